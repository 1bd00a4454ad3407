"""The OpenAPI document, and what it says of every route."""

import asyncio
import re

import httpx
import pytest
from schemathesis import openapi

from services.gateway.tests.conftest import Gateway, Services, bearer
from services.gateway.tests.fake_background import BackgroundResponse

PUBLIC = {
    ("post", "/v1/auth/register"),
    ("post", "/v1/auth/login"),
    ("post", "/v1/auth/refresh"),
    ("get", "/.well-known/jwks.json"),
    ("get", "/v1/shares/{share_id}/items"),
}
# What the routes with an id are sent.
BODIES = {
    "CreateItemsRequest": {"items": [{"role": "user", "content": "x"}]},
    "UpdateConversationRequest": {"title": "Mine now"},
    "GenerateTitleRequest": {"model": "echo"},
    "FeedbackRequest": {"rating": "positive"},
    "UpdateChatCompletionRequest": {"metadata": {}},
}
Operation = tuple[str, str, dict]


@pytest.fixture
async def document(anyone: httpx.AsyncClient) -> dict:
    return (await anyone.get("/openapi.json")).json()


def operations(document: dict) -> list[Operation]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def body_of(operation: dict) -> dict:
    reference = operation.get("requestBody", {"content": {"application/json": {"schema": {"$ref": ""}}}})
    name = reference["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return BODIES.get(name, {})


async def test_document_is_valid(document: dict) -> None:
    openapi.from_dict(document).validate()
    assert document["openapi"].startswith("3.1")


async def test_every_reference_leads_somewhere(document: dict) -> None:
    referred = set(re.findall(r"'\$ref': '#/components/schemas/([^']+)'", repr(document)))
    assert referred == set(document["components"]["schemas"])


async def test_every_operation_is_described_to_its_end(document: dict) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for method, path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        assert operation["responses"]["default"]["content"]["application/json"]["schema"] == {
            "$ref": "#/components/schemas/Error"
        }
        assert ("security" in operation) == ((method, path) not in PUBLIC), path
        has_body = method in ("post", "patch", "put") and not path.endswith("/cancel")
        assert ("requestBody" in operation) == has_body, path
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] != "path" or "maxLength" in parameter["schema"], path


async def test_pages_for_people_are_served(anyone: httpx.AsyncClient) -> None:
    assert (await anyone.get("/docs")).status_code == 200


async def test_every_route_but_the_public_ones_is_401_without_a_credential(
    anyone: httpx.AsyncClient, document: dict
) -> None:
    for method, path, operation in operations(document):
        if (method, path) not in PUBLIC:
            answer = await anyone.request(method, path, json=body_of(operation) if "requestBody" in operation else None)
            assert answer.status_code == 401, (method, path)
            assert answer.json()["error"]["code"] == "invalid_api_key"


async def test_every_route_with_an_id_is_404_for_anyone_but_its_owner(
    client: httpx.AsyncClient, gateway: Gateway, services: Services, document: dict
) -> None:
    (alice,) = services.user.users
    conversation = (
        await client.post("/v1/conversations", json={"items": BODIES["CreateItemsRequest"]["items"]})
    ).json()
    items = (await client.get(f"/v1/conversations/{conversation['id']}/items")).json()
    key = (await client.post("/v1/api_keys")).json()
    share = (await client.post(f"/v1/conversations/{conversation['id']}/shares")).json()
    ids = {
        "conversation_id": conversation["id"],
        "item_id": items["first_id"],
        "response_id": services.history.add_response(alice, b'{"object":"response"}'),
        "api_key_id": key["id"],
        "share_id": share["id"],
        "completion_id": services.chat_completions.add(alice),
    }
    owned = [
        (method, path, operation)
        for method, path, operation in operations(document)
        if re.findall(r"{(\w+)}", path) not in ([], ["model"])
        and (method, path) not in PUBLIC
        # Administrators own nothing, and others are refused: see test_admin.py.
        and not path.startswith("/v1/admin/")
    ]
    services.chat.background.add(BackgroundResponse(alice, "echo", asyncio.Event(), id=ids["response_id"]))
    # Deletions last: what is gone is 404 for its owner too.
    owned.sort(key=lambda operation: (operation[0] == "delete", operation[0] != "post", -operation[1].count("/")))
    assert len(owned) >= 11
    bob = bearer(services.user.add_key(services.user.add_user("bob@example.com")))
    async with httpx.AsyncClient(base_url=gateway.url, headers=bob) as stranger:
        for method, path, operation in owned:
            request = {"method": method, "url": path.format(**ids), "json": body_of(operation) or None}
            theirs = await stranger.request(**request)
            assert theirs.status_code == 404, (method, path)
            nobodys = await stranger.request(**request | {"url": path.format(**dict.fromkeys(ids, "none"))})
            assert theirs.json() == nobodys.json(), (method, path)
    for method, path, operation in owned:
        answer = await client.request(method, path.format(**ids), json=body_of(operation) or None)
        assert answer.status_code == 200, (method, path)
