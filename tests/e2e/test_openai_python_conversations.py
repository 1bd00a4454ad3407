"""Conversations and their items through the official Python SDK, and the list of all beside them."""

from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from openai.types.responses import ResponseInputItemParam

from support.stack import said

pytestmark = pytest.mark.e2e


def lines(count: int) -> list[ResponseInputItemParam]:
    return [{"type": "message", "role": "user", "content": f"line {number}"} for number in range(count)]


async def test_conversation_keeps_its_metadata(client: AsyncOpenAI) -> None:
    created = await client.conversations.create(metadata={"topic": "Rome"})
    assert created.id.startswith("conv_")
    assert created.object == "conversation"
    assert created.created_at > 0
    assert await client.conversations.retrieve(created.id) == created
    updated = await client.conversations.update(created.id, metadata={"topic": "Ostia"})
    assert updated.metadata == {"topic": "Ostia"}
    assert (await client.conversations.retrieve(created.id)).metadata == {"topic": "Ostia"}


async def test_deleted_conversation_is_not_found(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create(items=lines(1))
    deleted = await client.conversations.delete(conversation.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (conversation.id, True, "conversation.deleted")
    with pytest.raises(NotFoundError):
        await client.conversations.retrieve(conversation.id)
    with pytest.raises(NotFoundError):
        await client.conversations.items.list(conversation.id)


async def test_items_are_appended_listed_and_found(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create(items=lines(2))
    added = await client.conversations.items.create(
        conversation.id, items=[{"type": "message", "role": "assistant", "content": "an answer"}]
    )
    [answer] = added.data
    assert (added.object, added.first_id, added.last_id) == ("list", answer.id, answer.id)
    listed = [item async for item in client.conversations.items.list(conversation.id, order="asc")]
    assert said(listed) == [("user", "line 0"), ("user", "line 1"), ("assistant", "an answer")]
    assert listed[-1] == answer
    assert answer.id
    assert await client.conversations.items.retrieve(answer.id, conversation_id=conversation.id) == answer


async def test_deleted_item_is_gone_from_its_conversation(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create(items=lines(3))
    items = [item async for item in client.conversations.items.list(conversation.id, order="asc")]
    assert items[1].id
    left = await client.conversations.items.delete(items[1].id, conversation_id=conversation.id)
    assert left.id == conversation.id
    assert [item async for item in client.conversations.items.list(conversation.id, order="asc")] == [
        items[0],
        items[2],
    ]
    with pytest.raises(NotFoundError):
        await client.conversations.items.retrieve(items[1].id, conversation_id=conversation.id)


async def test_items_come_newest_first_in_pages(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create(items=lines(7))
    page = await client.conversations.items.list(conversation.id, limit=3)
    assert page.has_more
    assert len(page.data) == 3
    everything = [item async for item in client.conversations.items.list(conversation.id, limit=3)]
    assert said(everything) == [("user", f"line {number}") for number in reversed(range(7))]


async def test_item_of_every_kind_comes_back(client: AsyncOpenAI) -> None:
    items: list[ResponseInputItemParam] = [
        {"type": "message", "role": "system", "content": "Be brief."},
        {"type": "function_call", "call_id": "call_1", "name": "roll", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "6"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "I rolled."}]},
    ]
    conversation = await client.conversations.create(items=items)
    listed = [item async for item in client.conversations.items.list(conversation.id, order="asc")]
    assert [item.type for item in listed] == ["message", "function_call", "function_call_output", "reasoning"]


async def test_more_than_twenty_items_at_once_are_refused(client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as raised:
        await client.conversations.create(items=lines(21))
    assert raised.value.param == "items"


async def test_all_conversations_are_listed_newest_first(client: AsyncOpenAI) -> None:
    created = [(await client.conversations.create()).id for _ in range(5)]
    listed: list[str] = []
    page: dict[str, Any] = {"has_more": True, "last_id": ""}
    while page["has_more"]:
        query = {"limit": 2, "after": page["last_id"]}
        page = await client.get("/conversations", cast_to=dict[str, Any], options={"params": query})
        assert page["object"] == "list"
        listed += [conversation["id"] for conversation in page["data"]]
    assert listed == created[::-1]
