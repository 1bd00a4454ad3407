"""Shares: managed by their owners, read by anybody."""

import time

import httpx
import pytest

from rostra_gateway.settings import AddressLimits
from rostra_kit.errors import InvalidArgumentError
from services.gateway.tests.conftest import Services, StartGateway, connect

ITEMS = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}]


@pytest.fixture
async def conversation_id(client: httpx.AsyncClient) -> str:
    return (await client.post("/v1/conversations", json={"items": ITEMS})).json()["id"]


@pytest.fixture
async def share(client: httpx.AsyncClient, conversation_id: str) -> dict:
    return (await client.post(f"/v1/conversations/{conversation_id}/shares")).json()


async def test_share_goes_through_its_life(client: httpx.AsyncClient, conversation_id: str) -> None:
    ends = int(time.time()) + 3600
    share = (await client.post(f"/v1/conversations/{conversation_id}/shares", json={"expires_at": ends})).json()
    assert share.pop("created_at") > 1_700_000_000
    assert share == {
        "id": share["id"],
        "object": "conversation.share",
        "conversation_id": conversation_id,
        "title": None,
        "url": f"/share/{share['id']}",
        "expires_at": ends,
    }
    second = (await client.post(f"/v1/conversations/{conversation_id}/shares")).json()
    assert second["expires_at"] is None
    assert (await client.get(f"/v1/shares/{second['id']}")).json() == second
    page = (await client.get("/v1/shares", params={"limit": 1})).json()
    assert (page["object"], page["data"], page["has_more"]) == ("list", [second], True)
    page = (await client.get("/v1/shares", params={"conversation_id": conversation_id, "order": "asc"})).json()
    assert [element["id"] for element in page["data"]] == [share["id"], second["id"]]
    assert (await client.get("/v1/shares", params={"conversation_id": "conv_x"})).json()["data"] == []

    deleted = (await client.delete(f"/v1/shares/{share['id']}")).json()
    assert deleted == {"id": share["id"], "object": "conversation.share.deleted", "deleted": True}
    for path in ("", "/items"):
        answer = await client.get(f"/v1/shares/{share['id']}{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "share_not_found")
    assert (await client.delete(f"/v1/shares/{share['id']}")).status_code == 404


async def test_anybody_reads_a_share_from_its_beginning(anyone: httpx.AsyncClient, share: dict) -> None:
    path = f"/v1/shares/{share['id']}/items"
    answer = await anyone.get(path, params={"limit": 1})
    assert answer.headers["cache-control"] == "no-store"
    page = answer.json()
    assert [item["role"] for item in page["data"]] == ["user"]
    assert page["has_more"]
    rest = (await anyone.get(path, params={"after": page["last_id"]})).json()
    assert [item["role"] for item in rest["data"]] == ["assistant"]
    newest = (await anyone.get(path, params={"order": "desc"})).json()
    assert [item["role"] for item in newest["data"]] == ["assistant", "user"]


@pytest.mark.parametrize("authorization", ["Bearer sk-rostra-wrong", "Basic eA==", "x"])
async def test_credentials_do_not_matter_to_readers(anyone: httpx.AsyncClient, share: dict, authorization: str) -> None:
    answer = await anyone.get(f"/v1/shares/{share['id']}/items", headers={"authorization": authorization})
    assert answer.status_code == 200


async def test_readers_count_against_their_address(
    start_gateway: StartGateway, services: Services, share: dict
) -> None:
    limited = await start_gateway(address_limits=AddressLimits(requests_per_minute=3))
    async with connect(limited) as anyone:
        path = f"/v1/shares/{share['id']}/items"
        answers = [await anyone.get(path), await anyone.get("/v1/shares/share_x/items"), await anyone.get(path)]
        assert [answer.status_code for answer in answers] == [200, 404, 200]
        assert answers[0].headers["x-ratelimit-limit-requests"] == "3"
        refused = await anyone.get(path)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        page = await anyone.get(f"/share/{share['id']}")
        assert (page.status_code, page.headers["content-type"]) == (429, "text/html; charset=utf-8")
        assert int(page.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "1900000000"}, "expires_at"),
        ({"expires_at": 1.5}, "expires_at"),
        ({"expires_at": True}, "expires_at"),
        ({"expires_at": -1}, "expires_at"),
        ({"expires_at": 0}, "expires_at"),
        ({"expires_at": 253_402_300_800}, "expires_at"),
        ({"expires_in": 60}, "expires_in"),
    ],
)
async def test_impossible_end_names_its_parameter(
    client: httpx.AsyncClient, conversation_id: str, body: dict, param: str
) -> None:
    answer = await client.post(f"/v1/conversations/{conversation_id}/shares", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"order": "up"}, {"after": "x" * 129}])
async def test_impossible_page_names_its_parameter(anyone: httpx.AsyncClient, share: dict, query: dict) -> None:
    answer = await anyone.get(f"/v1/shares/{share['id']}/items", params=query)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == next(iter(query))


async def test_unknown_start_of_a_page_names_its_parameter(
    anyone: httpx.AsyncClient, services: Services, share: dict
) -> None:
    services.shares.error = InvalidArgumentError("No such element.", param="after")
    answer = await anyone.get(f"/v1/shares/{share['id']}/items", params={"after": "msg_x"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "after")


async def test_links_begin_with_the_address_that_people_use(start_gateway: StartGateway, alice: str) -> None:
    gateway = await start_gateway(public_url="https://chat.example.com/rostra")
    async with connect(gateway, alice) as client:
        conversation = (await client.post("/v1/conversations")).json()
        headers = {"host": "evil.example.com"}
        share = (await client.post(f"/v1/conversations/{conversation['id']}/shares", headers=headers)).json()
    assert share["url"] == f"https://chat.example.com/rostra/share/{share['id']}"
