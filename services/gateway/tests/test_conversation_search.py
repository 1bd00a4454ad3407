"""Searching conversations."""

import httpx
import pytest

PATH = "/v1/conversations"
SEARCH = "/v1/conversations/search"
MESSAGE = {"type": "message", "role": "user", "content": "The <b>prows</b> & more."}


async def test_match_has_its_conversation_item_and_snippet(client: httpx.AsyncClient) -> None:
    created = (await client.post(PATH, json={"items": [MESSAGE]})).json()
    [item] = (await client.get(f"{PATH}/{created['id']}/items")).json()["data"]
    answer = await client.get(SEARCH, params={"query": "<b>prows</b> &"})
    assert answer.status_code == 200
    body = answer.json()
    [match] = body["data"]
    assert (body["object"], body["first_id"], body["last_id"], body["has_more"]) == (
        "list",
        match["id"],
        match["id"],
        False,
    )
    assert match.pop("created_at") > 1_700_000_000
    assert match == {
        "id": item["id"],
        "object": "conversation.match",
        "conversation": created,
        "item_id": item["id"],
        "snippet": "<b>prows</b> &",
    }


async def test_title_matches_without_an_item_and_pages_go_on_after_a_match(client: httpx.AsyncClient) -> None:
    names = [(await client.post(PATH)).json()["id"] for _ in range(3)]
    for name in names:
        await client.post(f"{PATH}/{name}", json={"title": "prows"})
    first = (await client.get(SEARCH, params={"query": "prows", "limit": 2})).json()
    assert [(match["id"], match["item_id"]) for match in first["data"]] == [(names[2], None), (names[1], None)]
    assert first["has_more"] is True
    second = (await client.get(SEARCH, params={"query": "prows", "after": first["last_id"]})).json()
    assert [match["id"] for match in second["data"]] == names[:1]


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({}, "query"),
        ({"query": ""}, "query"),
        ({"query": "a" * 257}, "query"),
        ({"query": "a", "limit": 0}, "limit"),
        ({"query": "a", "limit": 101}, "limit"),
        ({"query": "a", "after": "a" * 129}, "after"),
        ({"query": "a", "after": "msg_unknown"}, "after"),
    ],
)
async def test_wrong_search_is_400_and_named(client: httpx.AsyncClient, params: dict, param: str) -> None:
    answer = await client.get(SEARCH, params=params)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_search_is_no_conversation(client: httpx.AsyncClient) -> None:
    assert (await client.post(SEARCH)).status_code == 404
    assert (await client.get(f"{SEARCH}/items")).status_code == 404
