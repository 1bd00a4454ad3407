"""Shares over HTTP: made by one, read by anybody through any gateway, ended at once."""

import json
import time
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from support.openai_error import refusal
from support.stack import Account, SharedStack, eventually, register

pytestmark = pytest.mark.e2e

CANARY = "canary-93d1"
SECRETS: list[dict[str, Any]] = [
    {"role": "system", "content": f"{CANARY} system"},
    {"role": "developer", "content": f"{CANARY} developer"},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": json.dumps({"key": CANARY})},
    {"type": "function_call_output", "call_id": "c", "output": f"{CANARY} output"},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": f"{CANARY} reasoning"}]},
    {"role": "user", "content": [{"type": "input_image", "image_url": f"https://example.com/{CANARY}.png"}]},
    {"role": "user", "content": "seen", "note": CANARY},
]


async def test_anybody_reads_what_was_said_and_nothing_else(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, client: AsyncOpenAI, account: Account
) -> None:
    conversation = await client.conversations.create(items=SECRETS, metadata={"note": CANARY})
    await client.responses.create(
        model="echo", conversation=conversation.id, input="Hello!", instructions=f"{CANARY} instructions"
    )
    share = await shared(http, account, conversation.id)
    assert share["conversation_id"] == conversation.id

    listed = await other_http.get(f"/v1/shares/{share['id']}/items")
    messages = listed.json()["data"]
    assert [message["role"] for message in messages] == ["user", "user", "assistant"]
    assert [message["content"][0]["text"] for message in messages[:2]] == ["seen", "Hello!"]
    assert {frozenset(message) for message in messages} == {frozenset({"type", "id", "role", "content"})}
    page = await other_http.get(share["url"])
    assert "Hello!" in page.text
    for answer in (listed, page):
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        for secret in (CANARY, conversation.id, account.user_id, account.email):
            assert secret not in answer.text


async def test_what_comes_later_is_not_shown_and_what_is_deleted_goes(
    http: httpx.AsyncClient, client: AsyncOpenAI, account: Account
) -> None:
    conversation = await client.conversations.create(items=[said("one"), said("two")])
    share = await shared(http, account, conversation.id)
    await client.conversations.items.create(conversation.id, items=[said("three")])
    await client.responses.create(model="echo", conversation=conversation.id, input="four")
    assert await texts(http, share) == ["one", "two"]
    first = (await client.conversations.items.list(conversation.id, order="asc")).data[0]
    await client.conversations.items.delete(first.id, conversation_id=conversation.id)
    assert await texts(http, share) == ["two"]


async def test_title_is_the_one_at_that_time(http: httpx.AsyncClient, client: AsyncOpenAI, account: Account) -> None:
    conversation = await client.conversations.create(items=[said("one")])
    path = f"/v1/conversations/{conversation.id}"
    await http.post(path, json={"title": "First <title>"}, headers=account.key)
    share = await shared(http, account, conversation.id)
    await http.post(path, json={"title": "Second"}, headers=account.key)
    assert share["title"] == "First <title>"
    page = (await http.get(share["url"])).text
    assert '<h1 dir="auto">First &lt;title&gt;</h1>' in page
    assert "Second" not in page


async def test_ended_share_is_ended_at_once_at_every_gateway(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, client: AsyncOpenAI, account: Account
) -> None:
    conversation = await client.conversations.create(items=[said("one")])
    share, other = [await shared(http, account, conversation.id) for _ in range(2)]
    for each in (http, other_http):
        await assert_open(each, share)
    deleted = await http.delete(f"/v1/shares/{share['id']}", headers=account.key)
    assert deleted.json() == {"id": share["id"], "object": "conversation.share.deleted", "deleted": True}
    for each in (other_http, http):
        await assert_ended(each, share)
        await assert_open(each, other)
    refusal(await other_http.get(f"/v1/shares/{share['id']}", headers=account.key), 404)
    listed = (await other_http.get("/v1/shares", headers=account.key)).json()
    assert listed["data"] == [other]


@pytest.mark.parametrize("what", ["conversation", "user"])
async def test_share_goes_with_its_conversation_and_its_user(
    stack: SharedStack, http: httpx.AsyncClient, other_http: httpx.AsyncClient, what: str
) -> None:
    account = register(stack.gateway_urls[0])
    created = await http.post("/v1/conversations", json={"items": [said("one")]}, headers=account.key)
    share = await shared(http, account, created.json()["id"])
    await assert_open(other_http, share)
    if what == "conversation":
        await http.delete(f"/v1/conversations/{share['conversation_id']}", headers=account.key)
        assert (await http.get("/v1/shares", headers=account.key)).json()["data"] == []
    else:
        assert (await http.delete("/v1/me", headers=account.session)).is_success
    await assert_ended(other_http, share)


async def test_share_ends_when_it_was_said_to(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, client: AsyncOpenAI, account: Account
) -> None:
    conversation = await client.conversations.create(items=[said("one")])
    ends = int(time.time()) + 2
    share = await shared(http, account, conversation.id, expires_at=ends)
    assert share["expires_at"] == ends
    await assert_open(other_http, share)

    async def has_ended() -> bool:
        return (await other_http.get(share["url"])).status_code == 404

    await eventually(has_ended, within_seconds=4)
    assert time.time() >= ends
    await assert_ended(http, share)
    assert (await http.get(f"/v1/shares/{share['id']}", headers=account.key)).json() == share


async def test_share_cannot_end_in_the_past(http: httpx.AsyncClient, client: AsyncOpenAI, account: Account) -> None:
    conversation = await client.conversations.create()
    path = f"/v1/conversations/{conversation.id}/shares"
    answer = await http.post(path, json={"expires_at": int(time.time()) - 1}, headers=account.key)
    assert refusal(answer, 400)["param"] == "expires_at"


async def test_another_user_reads_a_share_and_does_not_manage_it(
    stack: SharedStack, http: httpx.AsyncClient, client: AsyncOpenAI, account: Account
) -> None:
    bob = register(stack.gateway_urls[0])
    conversation = await client.conversations.create(items=[said("one")])
    share = await shared(http, account, conversation.id)
    refusal(await http.post(f"/v1/conversations/{conversation.id}/shares", headers=bob.key), 404)
    for method in ("GET", "DELETE"):
        refusal(await http.request(method, f"/v1/shares/{share['id']}", headers=bob.key), 404)
    assert (await http.get("/v1/shares", headers=bob.key)).json()["data"] == []
    of = {"conversation_id": conversation.id}
    assert (await http.get("/v1/shares", params=of, headers=bob.key)).json()["data"] == []
    answer = await http.get(f"/v1/shares/{share['id']}/items", headers=bob.key)
    assert answer.json()["data"][0]["content"] == [{"type": "input_text", "text": "one"}]


async def test_long_conversation_is_read_in_pages(
    http: httpx.AsyncClient, client: AsyncOpenAI, account: Account
) -> None:
    conversation = await client.conversations.create()
    for start in range(0, 120, 20):
        batch = [said(str(number)) for number in range(start, start + 20)]
        await client.conversations.items.create(conversation.id, items=batch)
    share = await shared(http, account, conversation.id)
    seen: list[str] = []
    page: dict[str, Any] = {"has_more": True, "last_id": ""}
    while page["has_more"]:
        query = {"limit": 50, "after": page["last_id"]}
        page = (await http.get(f"/v1/shares/{share['id']}/items", params=query)).json()
        seen += [message["content"][0]["text"] for message in page["data"]]
    assert seen == [str(number) for number in range(120)]
    first = await http.get(share["url"])
    assert first.text.count("<article") == 50
    second = await http.get(share["url"], params={"after": page["data"][0]["id"]})
    assert second.text.count("<article") == len(page["data"]) - 1


async def test_share_is_made_once_for_an_idempotency_key(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, client: AsyncOpenAI, account: Account
) -> None:
    conversation = await client.conversations.create(items=[said("one")])
    path, headers = f"/v1/conversations/{conversation.id}/shares", account.key | {"idempotency-key": "one share"}
    first, second = [await each.post(path, headers=headers) for each in (http, other_http)]
    assert first.json() == second.json()
    assert len((await http.get("/v1/shares", headers=account.key)).json()["data"]) == 1


def said(text: str) -> Any:
    return {"type": "message", "role": "user", "content": text}


async def shared(http: httpx.AsyncClient, account: Account, conversation_id: str, **fields: Any) -> dict[str, Any]:
    answer = await http.post(f"/v1/conversations/{conversation_id}/shares", json=fields, headers=account.key)
    assert answer.status_code == 200, answer.text
    share: dict[str, Any] = answer.json()
    return share


async def texts(http: httpx.AsyncClient, share: dict[str, Any]) -> list[str]:
    """Return what the share shows, after checking that the page shows as much."""
    messages = (await http.get(f"/v1/shares/{share['id']}/items")).json()["data"]
    assert (await http.get(share["url"])).text.count("<article") == len(messages)
    return [message["content"][0]["text"] for message in messages]


async def assert_open(http: httpx.AsyncClient, share: dict[str, Any]) -> None:
    for path in (share["url"], f"/v1/shares/{share['id']}/items"):
        assert (await http.get(path)).status_code == 200


async def assert_ended(http: httpx.AsyncClient, share: dict[str, Any]) -> None:
    page = await http.get(share["url"])
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert refusal(await http.get(f"/v1/shares/{share['id']}/items"), 404)["code"] == "share_not_found"
