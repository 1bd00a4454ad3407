"""Feedback over HTTP: given through one gateway, read through the other, gone with its item."""

import httpx
import pytest
from openai import AsyncOpenAI

from support.openai_error import refusal
from support.stack import Account, SharedStack, register

pytestmark = pytest.mark.e2e


@pytest.fixture
async def path(client: AsyncOpenAI) -> str:
    """Where the feedback on an answer is."""
    conversation = await client.conversations.create()
    await client.responses.create(model="echo", conversation=conversation.id, input="Hello!")
    [answer] = (await client.conversations.items.list(conversation.id, limit=1)).data
    return f"/v1/conversations/{conversation.id}/items/{answer.id}/feedback"


async def test_feedback_is_given_changed_and_taken_back(
    http: httpx.AsyncClient, other_http: httpx.AsyncClient, account: Account, path: str
) -> None:
    assert refusal(await http.get(path, headers=account.key), 404)["code"] == "feedback_not_found"
    given = await http.post(path, json={"rating": "positive", "comment": "So\x00 🚢"}, headers=account.key)
    assert given.status_code == 200
    assert (await other_http.get(path, headers=account.key)).json() == given.json()
    assert (given.json()["rating"], given.json()["comment"]) == ("positive", "So\x00 🚢")
    changed = await other_http.post(path, json={"rating": "negative"}, headers=account.key)
    assert (await http.get(path, headers=account.key)).json() == changed.json()
    assert (changed.json()["rating"], changed.json()["comment"]) == ("negative", None)
    assert (await http.delete(path, headers=account.key)).json()["deleted"] is True
    for method in ("GET", "DELETE"):
        refusal(await other_http.request(method, path, headers=account.key), 404)


async def test_feedback_bends_no_endpoint_of_openai(
    http: httpx.AsyncClient, client: AsyncOpenAI, account: Account, path: str
) -> None:
    _, _, _, conversation_id, _, item_id, _ = path.split("/")
    before = await client.conversations.items.retrieve(item_id, conversation_id=conversation_id)
    await http.post(path, json={"rating": "positive", "comment": "private"}, headers=account.key)
    assert await client.conversations.items.retrieve(item_id, conversation_id=conversation_id) == before


async def test_feedback_goes_with_its_item(
    http: httpx.AsyncClient, client: AsyncOpenAI, account: Account, path: str
) -> None:
    _, _, _, conversation_id, _, item_id, _ = path.split("/")
    await http.post(path, json={"rating": "positive"}, headers=account.key)
    await client.conversations.items.delete(item_id, conversation_id=conversation_id)
    for method in ("POST", "GET", "DELETE"):
        body = {"rating": "negative"} if method == "POST" else None
        answer = await http.request(method, path, json=body, headers=account.key)
        assert refusal(answer, 404)["code"] == "item_not_found"


async def test_another_user_neither_reads_nor_gives_it(
    stack: SharedStack, http: httpx.AsyncClient, account: Account, path: str
) -> None:
    bob = register(stack.gateway_urls[0])
    given = await http.post(path, json={"rating": "positive", "comment": "mine"}, headers=account.key)
    for method in ("POST", "GET", "DELETE"):
        body = {"rating": "negative"} if method == "POST" else None
        refusal(await http.request(method, path, json=body, headers=bob.key), 404)
    assert (await http.get(path, headers=account.key)).json() == given.json()


async def test_feedback_does_not_show_in_a_share(http: httpx.AsyncClient, account: Account, path: str) -> None:
    await http.post(path, json={"rating": "negative", "comment": "canary"}, headers=account.key)
    conversation = path.partition("/items/")[0]
    share = (await http.post(f"{conversation}/shares", headers=account.key)).json()
    for shown in (f"/v1/shares/{share['id']}/items", share["url"]):
        answer = await http.get(shown)
        assert answer.status_code == 200
        assert not {"canary", "negative"} & set(answer.text.replace('"', " ").split())


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "rating"), ({"rating": "good"}, "rating"), ({"rating": "positive", "comment": "x" * 2_001}, "comment")],
)
async def test_impossible_feedback_names_its_parameter(
    http: httpx.AsyncClient, account: Account, path: str, body: dict[str, str], param: str
) -> None:
    assert refusal(await http.post(path, json=body, headers=account.key), 400)["param"] == param
