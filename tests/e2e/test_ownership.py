"""Every route with an id answers 404 for somebody else's, exactly as for nobody's, and 401 without a token."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from support.openai_error import refusal
from support.stack import Account, SharedStack, register

pytestmark = pytest.mark.e2e

# Ids that belong to nobody: the same for all.
_PUBLIC = {"model"}
# Routes that anybody may call, without a token. A share's id is the right to read it.
_OPEN = {
    *("/v1/auth/register", "/v1/auth/login", "/v1/auth/refresh", "/v1/auth/logout", "/.well-known/jwks.json"),
    "/v1/shares/{share_id}/items",
}
# Routes for administrators, who own none of it: everybody else is refused alike, see test_admin.py.
_ADMINISTRATION = "/v1/admin/"
_BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("post", "/v1/chat/completions/{completion_id}"): {"metadata": {"mine": "now"}},
    ("post", "/v1/conversations/{conversation_id}"): {"metadata": {"mine": "now"}},
    ("post", "/v1/conversations/{conversation_id}/title"): {"model": "echo"},
    ("post", "/v1/conversations/{conversation_id}/items/{item_id}/feedback"): {"rating": "negative"},
    ("post", "/v1/conversations/{conversation_id}/items"): {"items": [{"role": "user", "content": "Bob was here"}]},
}
_QUERIES = {"/v1/conversations/search": {"query": "secret"}}
_NOBODYS = {
    "response_id": "resp_00000000000000000000000000000000",
    "conversation_id": "conv_00000000000000000000000000000000",
    "item_id": "msg_00000000000000000000000000000000",
    "api_key_id": "key_00000000000000000000000000000000",
    "share_id": "share_000000000000000000000000000000000000000000000000",
    "completion_id": "chatcmpl-00000000000000000000000000000000",
}


@dataclass(frozen=True)
class Route:
    """An operation of the OpenAPI document.

    Attributes:
        ids: The parameters of its path that stand for something somebody owns.
    """

    method: str
    path: str
    ids: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    def ask(self, http: httpx.Client, ids: dict[str, str], **headers: str) -> httpx.Response:
        """Call the route with `ids` in its path."""
        body = _BODIES.get((self.method, self.path))
        return http.request(self.method, self.path.format(**ids), json=body, headers=headers)


@pytest.fixture(scope="module")
def http(stack: SharedStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.gateway_urls[1], timeout=20) as http:
        yield http


@pytest.fixture(scope="module")
def routes(http: httpx.Client) -> list[Route]:
    """Return every route of the running gateway's own description."""
    paths = http.get("/openapi.json").json()["paths"]
    return [
        Route(method, path, tuple(name for name in re.findall(r"{(\w+)}", path) if name not in _PUBLIC))
        for path, operations in paths.items()
        for method in operations
        if not path.startswith(_ADMINISTRATION)
    ]


@pytest.fixture(scope="module")
def alice(stack: SharedStack) -> Account:
    return register(stack.gateway_urls[0])


@pytest.fixture(scope="module")
def bob(stack: SharedStack) -> Account:
    return register(stack.gateway_urls[0])


@pytest.fixture(scope="module")
def alices_ids(http: httpx.Client, alice: Account) -> dict[str, str]:
    """Return an id of Alice's for each parameter that a path can have."""
    item = {"role": "user", "content": "a secret"}
    conversation_id = http.post("/v1/conversations", json={"items": [item]}, headers=alice.key).json()["id"]
    items = http.get(f"/v1/conversations/{conversation_id}/items", headers=alice.key).json()["data"]
    feedback = f"/v1/conversations/{conversation_id}/items/{items[0]['id']}/feedback"
    assert http.post(feedback, json={"rating": "positive"}, headers=alice.key).is_success
    share = http.post(f"/v1/conversations/{conversation_id}/shares", headers=alice.key).json()
    response = http.post("/v1/responses", json={"model": "echo", "input": "a secret"}, headers=alice.key).json()
    chat = {"model": "echo", "messages": [item], "store": True}
    completion = http.post("/v1/chat/completions", json=chat, headers=alice.key).json()
    return {
        "completion_id": completion["id"],
        "conversation_id": conversation_id,
        "item_id": items[0]["id"],
        "response_id": response["id"],
        "api_key_id": alice.api_key_id,
        "share_id": share["id"],
    }


def test_every_id_in_a_path_is_known_to_these_tests(routes: list[Route], alices_ids: dict[str, str]) -> None:
    unknown = {f"{route}: {name}" for route in routes for name in route.ids if name not in alices_ids}
    assert not unknown, f"tell this test about {sorted(unknown)}: make one in `alices_ids`"
    assert set(alices_ids) == set(_NOBODYS)
    assert sum(bool(route.ids) for route in routes) >= 9


def test_somebody_elses_is_as_absent_as_what_does_not_exist(
    http: httpx.Client, routes: list[Route], alices_ids: dict[str, str], bob: Account
) -> None:
    for route in routes:
        if not route.ids or route.path in _OPEN:
            continue
        for credentials in (bob.key, bob.session):
            hers = route.ask(http, alices_ids, **credentials)
            nobodys = route.ask(http, _NOBODYS, **credentials)
            refusal(hers, 404)
            assert nobodys.status_code == 404, f"{route}: {nobodys.text}"
            assert anonymous(hers, alices_ids) == anonymous(nobodys, _NOBODYS), str(route)


def test_her_parent_does_not_open_his_child(http: httpx.Client, alices_ids: dict[str, str], bob: Account) -> None:
    his = http.post("/v1/conversations", json={"items": [{"role": "user", "content": "Hi"}]}, headers=bob.key).json()
    for method in ("get", "delete"):
        path = f"/v1/conversations/{his['id']}/items/{alices_ids['item_id']}"
        refusal(http.request(method, path, headers=bob.key), 404)


def test_somebody_elses_is_no_context_for_a_response(
    http: httpx.Client, alices_ids: dict[str, str], bob: Account
) -> None:
    for context in (
        {"previous_response_id": alices_ids["response_id"]},
        {"conversation": alices_ids["conversation_id"]},
        {"input": [{"type": "item_reference", "id": alices_ids["item_id"]}]},
    ):
        for path, stream in (
            *(("/v1/responses", False), ("/v1/responses", True)),
            *(("/v1/responses/input_tokens", False), ("/v1/responses/compact", False)),
        ):
            body = {"model": "echo", "input": "What is the secret?", "stream": stream} | context
            answer = http.post(path, json=body, headers=bob.key)
            refusal(answer, 400, 404)
            assert "a secret" not in answer.text


def test_lists_hold_only_ones_own(
    http: httpx.Client, routes: list[Route], alices_ids: dict[str, str], bob: Account
) -> None:
    lists = [route.path for route in routes if route.method == "get" and not route.ids and "{" not in route.path]
    of_stored = {"/v1/chat/completions", "/v1/conversations", "/v1/shares", "/v1/me/export"}
    assert of_stored | {"/v1/api_keys", "/v1/usage", "/v1/me"} <= set(lists)
    for path in lists:
        answer = http.get(path, params=_QUERIES.get(path), headers=bob.key)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        assert not [owned for owned in alices_ids.values() if owned in answer.text], path


def test_without_a_token_every_route_asks_for_one(
    http: httpx.Client, routes: list[Route], alices_ids: dict[str, str]
) -> None:
    for route in routes:
        if route.path not in _OPEN:
            answer = route.ask(http, alices_ids | {"model": "echo"})
            assert refusal(answer, 401)["code"] == "invalid_api_key", str(route)
            assert answer.headers["www-authenticate"] == "Bearer"


def test_share_opens_nothing_but_itself(http: httpx.Client, alices_ids: dict[str, str], bob: Account) -> None:
    shown = http.get(f"/v1/shares/{alices_ids['share_id']}/items").json()
    assert [item["id"] for item in shown["data"]] == [alices_ids["item_id"]]
    assert refusal(http.get(f"/v1/shares/{_NOBODYS['share_id']}/items"), 404)["code"] == "share_not_found"
    # What a reader learns is a name that is good for nothing.
    reference = {"type": "item_reference", "id": alices_ids["item_id"]}
    refusal(http.post("/v1/responses", json={"model": "echo", "input": [reference]}, headers=bob.key), 400, 404)


def test_afterwards_all_of_hers_is_as_it_was(http: httpx.Client, alices_ids: dict[str, str], alice: Account) -> None:
    conversation = http.get(f"/v1/conversations/{alices_ids['conversation_id']}", headers=alice.key).json()
    items = http.get(f"/v1/conversations/{alices_ids['conversation_id']}/items", headers=alice.key).json()
    assert conversation["metadata"] == {}
    assert [item["id"] for item in items["data"]] == [alices_ids["item_id"]]
    assert http.get(f"/v1/responses/{alices_ids['response_id']}", headers=alice.key).status_code == 200
    feedback = f"/v1/conversations/{alices_ids['conversation_id']}/items/{alices_ids['item_id']}/feedback"
    assert http.get(feedback, headers=alice.key).json()["rating"] == "positive"
    assert http.get(f"/v1/shares/{alices_ids['share_id']}", headers=alice.key).status_code == 200
    completion = http.get(f"/v1/chat/completions/{alices_ids['completion_id']}", headers=alice.key)
    assert completion.json()["metadata"] == {}


def anonymous(answer: httpx.Response, ids: dict[str, str]) -> str:
    """Return the answer's body without the ids that were asked for."""
    text = answer.text
    for value in ids.values():
        text = text.replace(value, "…")
    return text
