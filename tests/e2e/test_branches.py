"""Branches of a conversation: turns are edited and answers made again by OpenAI's endpoints, and nothing is lost."""

import asyncio
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from support.openai_error import refusal
from support.provider_reply import GREETING
from support.stack import Account, Journal, SharedStack, eventually, said

pytestmark = pytest.mark.e2e

# A second of words.
_PACED = "ok-50-20"


@pytest.fixture(autouse=True)
def models(stack: SharedStack) -> None:
    """Let the provider list the paced model."""
    if _PACED not in stack.provider.models:
        stack.provider.models.append(_PACED)


@pytest.fixture
async def mine(http: httpx.AsyncClient, account: Account) -> httpx.AsyncClient:
    """Return a client of the first gateway that is the account."""
    http.headers.update(account.key)
    return http


async def items_of(client: AsyncOpenAI, conversation: str) -> list[Any]:
    return [item async for item in client.conversations.items.list(conversation, order="asc")]


async def make_active(http: httpx.AsyncClient, conversation: str, item_id: str | None) -> None:
    answer = await http.post(f"/v1/conversations/{conversation}", json={"active_item_id": item_id})
    assert answer.is_success, answer.text
    assert answer.json()["active_item_id"] == item_id


async def forks_of(http: httpx.AsyncClient, conversation: str) -> list[dict[str, Any]]:
    answer = await http.get(f"/v1/conversations/{conversation}/forks")
    assert answer.is_success, answer.text
    forks: list[dict[str, Any]] = answer.json()["data"]
    return forks


def heard(journal: Journal) -> list[str]:
    """Return what the provider was given to read last."""
    return [message["content"] for message in journal.last["messages"]]


async def test_edited_turns_answers_made_again_and_the_way_back(
    client: AsyncOpenAI, other_client: AsyncOpenAI, mine: httpx.AsyncClient, journal: Journal
) -> None:
    conversation = (await client.conversations.create()).id
    await client.responses.create(model="ok", input="First", conversation=conversation)
    await other_client.responses.create(model="ok", input="Second", conversation=conversation)
    first, answer, second, last = await items_of(client, conversation)

    await make_active(mine, conversation, answer.id)
    await other_client.responses.create(model="ok", input="Second, edited", conversation=conversation)
    assert heard(journal) == ["First", GREETING, "Second, edited"]
    shown = await items_of(other_client, conversation)
    assert [text for _, text in said(shown)] == ["First", GREETING, "Second, edited", GREETING]

    await make_active(mine, conversation, first.id)
    again = await client.responses.create(model="ok", conversation=conversation)
    assert heard(journal) == ["First"]
    assert [item.id for item in await items_of(client, conversation)] == [first.id, again.output[0].id]

    await make_active(mine, conversation, None)
    await client.responses.create(model="ok", input="First, edited", conversation=conversation)
    assert heard(journal) == ["First, edited"]

    await make_active(mine, conversation, last.id)
    assert await items_of(other_client, conversation) == [first, answer, second, last]
    await other_client.responses.create(model="ok", input="Third", conversation=conversation)
    assert heard(journal) == ["First", GREETING, "Second", GREETING, "Third"]

    root, after_first, after_answer = await forks_of(mine, conversation)
    assert (root["object"], root["id"], root["parent_id"]) == ("conversation.fork", first.id, None)
    assert [branch["active"] for branch in root["branches"]] == [True, False]
    assert after_first["parent_id"] == first.id
    assert [branch["item_id"] for branch in after_first["branches"]] == [answer.id, again.output[0].id]
    assert after_answer["parent_id"] == answer.id
    assert [branch["item_id"] for branch in after_answer["branches"]] == [second.id, shown[2].id]
    assert after_answer["branches"][1]["leaf_id"] == shown[3].id


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_answer_is_made_again_without_input(
    client: AsyncOpenAI, mine: httpx.AsyncClient, journal: Journal, streamed: bool
) -> None:
    conversation = (await client.conversations.create()).id
    await client.responses.create(model="ok", input="Hello", conversation=conversation)
    question, _ = await items_of(client, conversation)
    await make_active(mine, conversation, question.id)
    if streamed:
        async with client.responses.stream(model="ok", conversation=conversation) as stream:
            response = await stream.get_final_response()
    else:
        response = await client.responses.create(model="ok", conversation=conversation)
    assert heard(journal) == ["Hello"]
    assert [item.id for item in await items_of(client, conversation)] == [question.id, response.output[0].id]
    [fork] = await forks_of(mine, conversation)
    assert [branch["active"] for branch in fork["branches"]] == [False, True]


async def test_background_response_joins_the_branch_it_was_made_for(
    client: AsyncOpenAI, other_client: AsyncOpenAI, mine: httpx.AsyncClient, journal: Journal
) -> None:
    conversation = (await client.conversations.create()).id
    await client.responses.create(model="ok", input="One", conversation=conversation)
    one, answer = await items_of(client, conversation)
    running = await client.responses.create(model=_PACED, input="Two", conversation=conversation, background=True)
    await make_active(mine, conversation, one.id)
    aside = await other_client.responses.create(model="ok", conversation=conversation)

    async def is_complete() -> bool:
        return (await other_client.responses.retrieve(running.id)).status == "completed"

    await eventually(is_complete, within_seconds=20)
    contexts = [[message["content"] for message in body["messages"]] for body in journal.bodies]
    assert ["One", GREETING, "Two"] in contexts
    assert [item.id for item in await items_of(client, conversation)] == [one.id, aside.output[0].id]
    [fork] = await forks_of(mine, conversation)
    assert [branch["active"] for branch in fork["branches"]] == [False, True]
    await make_active(mine, conversation, fork["branches"][0]["leaf_id"])
    texts = [text for _, text in said(await items_of(other_client, conversation))]
    assert texts[:3] == ["One", GREETING, "Two"]
    assert len(texts) == 4
    assert (await items_of(client, conversation))[1].id == answer.id


async def test_streams_and_switches_at_once_through_two_gateways_lose_no_turn(
    client: AsyncOpenAI, other_client: AsyncOpenAI, mine: httpx.AsyncClient
) -> None:
    conversation = (await client.conversations.create()).id
    await client.responses.create(model="ok", input="Root", conversation=conversation)
    root, answer = await items_of(client, conversation)
    responses = await asyncio.gather(
        *(
            (client, other_client)[number % 2].responses.create(
                model="ok", input=f"Turn {number}", conversation=conversation
            )
            for number in range(8)
        ),
        *(make_active_quietly(mine, conversation, item.id) for item in (root, answer) * 4),
    )
    leaves = {branch["leaf_id"] for fork in await forks_of(mine, conversation) for branch in fork["branches"]}
    leaves |= {item.id for item in (await items_of(client, conversation))[-1:]}
    seen: set[str] = set()
    for leaf in leaves:
        await make_active(mine, conversation, leaf)
        shown = await items_of(other_client, conversation)
        assert shown[0].id == root.id
        seen |= {item.id for item in shown}
    outputs = {response.output[0].id for response in responses if response is not None}
    assert len(outputs) == 8
    assert outputs <= seen


async def make_active_quietly(http: httpx.AsyncClient, conversation: str, item_id: str) -> None:
    """Make an item active while others do so too."""
    answer = await http.post(f"/v1/conversations/{conversation}", json={"active_item_id": item_id})
    assert answer.is_success, answer.text


async def test_item_of_elsewhere_is_not_made_active(
    client: AsyncOpenAI, mine: httpx.AsyncClient, other_http: httpx.AsyncClient
) -> None:
    message: dict[str, Any] = {"type": "message", "role": "user", "content": "Hi"}
    names = [(await mine.post("/v1/conversations", json={"items": [message]})).json()["id"] for _ in range(2)]
    [item] = await items_of(client, names[0])
    refused = await mine.post(f"/v1/conversations/{names[1]}", json={"active_item_id": item.id})
    assert refusal(refused, 404)["code"] == "item_not_found"


async def test_conversations_are_named_archived_and_listed(
    client: AsyncOpenAI, mine: httpx.AsyncClient, other_client: AsyncOpenAI
) -> None:
    conversation = (await client.conversations.create()).id
    waiting = (await client.conversations.create()).id
    await other_client.responses.create(model="ok", input="What is a rostra?\nTell me.", conversation=conversation)
    by_update = (await mine.get("/v1/conversations", params={"order_by": "updated_at"})).json()["data"]
    assert [(found["id"], found["title"]) for found in by_update] == [
        (conversation, "What is a rostra?"),
        (waiting, None),
    ]
    archived = (await mine.post(f"/v1/conversations/{waiting}", json={"archived": True})).json()
    assert archived["archived"] is True
    assert [found["id"] for found in (await mine.get("/v1/conversations")).json()["data"]] == [conversation]
    away = (await mine.get("/v1/conversations", params={"archived": True})).json()["data"]
    assert away == [archived]
    since = by_update[0]["created_at"]
    found = (await mine.get("/v1/conversations", params={"created_before": since})).json()["data"]
    assert found == []
    found = (await mine.get("/v1/conversations", params={"created_after": since})).json()["data"]
    assert [one["id"] for one in found] == [conversation]
