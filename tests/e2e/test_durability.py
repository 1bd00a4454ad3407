"""What a reply said is stored is read at once through another gateway, and is there after everything was killed."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from openai import APIError, AsyncOpenAI
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from rostra_stack.stack import Stack
from support.provider import ScriptedProvider
from support.provider_reply import GREETING
from support.stack import Account, eventually, own_stack, register, said, sdk

pytestmark = pytest.mark.e2e

_ROUNDS = 10
_WRITERS = 5


@dataclass(frozen=True, kw_only=True)
class Acknowledged:
    """What replies said is stored."""

    account: Account
    conversation_id: str
    whole: Response
    streamed: Response
    chat: ChatCompletion


async def test_everything_written_is_read_at_once_through_the_other_gateway(
    client: AsyncOpenAI, other_client: AsyncOpenAI
) -> None:
    for number in range(_ROUNDS):
        writer, reader = (client, other_client)[:: 1 if number % 2 else -1]
        conversation = await writer.conversations.create(metadata={"round": str(number)})
        assert await reader.conversations.retrieve(conversation.id) == conversation
        response = await writer.responses.create(model="ok", input=f"round {number}", conversation=conversation.id)
        assert await reader.responses.retrieve(response.id) == response
        items = [item async for item in reader.conversations.items.list(conversation.id, order="asc")]
        assert said(items) == [("user", f"round {number}"), ("assistant", GREETING)]
        await writer.conversations.items.create(
            conversation.id, items=[{"type": "message", "role": "user", "content": "more"}]
        )
        newest = await reader.conversations.items.list(conversation.id, limit=1)
        assert said(newest.data) == [("user", "more")]


async def test_streamed_response_is_read_at_once_through_the_other_gateway(
    client: AsyncOpenAI, other_client: AsyncOpenAI
) -> None:
    for _ in range(_ROUNDS):
        stream = await client.responses.create(model="ok", input="Hello", stream=True)
        async for event in stream:
            if event.type == "response.created":
                begun = await other_client.responses.retrieve(event.response.id)
                assert begun.status in ("in_progress", "completed")
            if event.type == "response.completed":
                assert await other_client.responses.retrieve(event.response.id) == event.response


async def test_nothing_acknowledged_is_lost_when_every_process_is_killed(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        async with own_stack(tmp_path, provider=provider) as stack:
            stored = await store_something(stack.gateway_urls[0])
            await kill_everything(stack)
        async with own_stack(tmp_path, provider=provider) as stack:
            await assert_all_is_there(stack.gateway_urls[0], stored, provider)


async def test_nothing_acknowledged_is_lost_when_killed_in_the_midst_of_writing(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    async with own_stack(tmp_path) as stack:
        account = register(stack.gateway_urls[0])
        async with sdk(stack.gateway_urls[0], account.api_key) as client:
            conversation = (await client.conversations.create()).id
            writers = [asyncio.create_task(write_on(client, conversation, acknowledged)) for _ in range(_WRITERS)]

            async def is_busy() -> bool:
                return len(acknowledged) >= _WRITERS * 10

            await eventually(is_busy, within_seconds=20)
            await kill_everything(stack)
            await asyncio.wait(writers)
            assert all(isinstance(writer.exception(), APIError) for writer in writers)
    async with own_stack(tmp_path) as stack, sdk(stack.gateway_urls[0], account.api_key) as client:
        items = [item.id async for item in client.conversations.items.list(conversation, order="asc", limit=100)]
    assert set(acknowledged) <= set(items)
    # Of each writer one write may have been under way.
    assert len(items) <= len(acknowledged) + _WRITERS


async def write_on(client: AsyncOpenAI, conversation_id: str, acknowledged: list[str]) -> None:
    """Append items until the gateway is away, and note each one whose reply came."""
    while True:
        written = await client.conversations.items.create(
            conversation_id, items=[{"type": "message", "role": "user", "content": "more"}]
        )
        acknowledged += [item.id for item in written.data if item.id]


async def store_something(url: str) -> Acknowledged:
    """Have an account, a key, a conversation and responses stored, and return as soon as the last reply is there."""
    account = register(url, name="Marcus")
    async with sdk(url, account.api_key) as client:
        conversation = await client.conversations.create(metadata={"topic": "durability"})
        await client.responses.create(model="ok", input="My name is Marcus.", conversation=conversation.id)
        whole = await client.responses.create(model="ok", input="I live in Ostia.")
        chat = await client.chat.completions.create(
            model="ok", messages=[{"role": "user", "content": "I own a boat."}], store=True, metadata={"topic": "boats"}
        )
        async with client.responses.stream(model="ok", input="I sell fish.", previous_response_id=whole.id) as stream:
            streamed = (await stream.get_final_response()).id
            return Acknowledged(
                account=account,
                conversation_id=conversation.id,
                whole=whole,
                streamed=await client.responses.retrieve(streamed),
                chat=chat,
            )


async def kill_everything(stack: Stack) -> None:
    """End every process at the same moment, with no chance to write anything more."""
    assert await asyncio.gather(*(child.kill() for child in stack.children.values())) == [-9] * len(stack.children)


async def assert_all_is_there(url: str, stored: Acknowledged, provider: ScriptedProvider) -> None:
    """Check what was stored, and that it can be continued."""
    account = stored.account
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        me = await http.get("/v1/me", headers=account.session)
        assert (me.status_code, me.json().get("name")) == (200, "Marcus")
        login = await http.post("/v1/auth/login", json={"email": account.email, "password": account.password})
        assert login.status_code == 200
        refreshed = await http.post("/v1/auth/refresh", json={"refresh_token": account.refresh_token})
        assert refreshed.status_code == 200
    async with sdk(url, account.api_key) as client:
        await assert_history_is_there(client, stored)
        await client.responses.create(model="ok", input="Who am I?", previous_response_id=stored.streamed.id)
        heard = [message["content"] for message in provider.chats[-1].body["messages"]]
        assert heard == ["I live in Ostia.", GREETING, "I sell fish.", GREETING, "Who am I?"]
        await client.responses.create(model="ok", input="Who am I?", conversation=stored.conversation_id)
        heard = [message["content"] for message in provider.chats[-1].body["messages"]]
        assert heard == ["My name is Marcus.", GREETING, "Who am I?"]


async def assert_history_is_there(client: AsyncOpenAI, stored: Acknowledged) -> None:
    """Check conversation, responses, items and stored chats."""
    conversation = await client.conversations.retrieve(stored.conversation_id)
    assert conversation.metadata == {"topic": "durability"}
    items = [item async for item in client.conversations.items.list(conversation.id, order="asc")]
    assert said(items) == [("user", "My name is Marcus."), ("assistant", GREETING)]
    assert await client.responses.retrieve(stored.whole.id) == stored.whole
    assert await client.responses.retrieve(stored.streamed.id) == stored.streamed
    inputs = [item async for item in client.responses.input_items.list(stored.streamed.id)]
    assert said(inputs) == [("user", "I sell fish.")]
    [chat] = [each async for each in client.chat.completions.list(metadata={"topic": "boats"})]
    assert chat == stored.chat.model_copy(update={"metadata": {"topic": "boats"}})
    heard = await client.chat.completions.messages.list(chat.id)
    assert [message.content for message in heard.data] == ["I own a boat."]
