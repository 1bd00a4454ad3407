"""Stored chat completions through the official Python SDK."""

from collections.abc import AsyncIterator

import httpx
import pytest
from openai import APIError, AsyncOpenAI, BadRequestError, NotFoundError
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageParam,
    ChatCompletionStoreMessage,
)

from support.provider_reply import GREETING
from support.stack import Journal, SharedStack, register, sdk

pytestmark = pytest.mark.e2e

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
TOOLS: list[ChatCompletionFunctionToolParam] = [
    {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
]
_ROUNDS = 10


@pytest.fixture
async def newcomer(stack: SharedStack) -> AsyncIterator[AsyncOpenAI]:
    """A client who has stored nothing yet."""
    async with sdk(stack.gateway_urls[0], register(stack.gateway_urls[0]).api_key) as client:
        yield client


async def stored(client: AsyncOpenAI, *, model: str = "ok", **metadata: str) -> ChatCompletion:
    return await client.chat.completions.create(model=model, messages=HELLO, store=True, metadata=metadata)


async def streamed_id(client: AsyncOpenAI, model: str = "ok") -> str:
    """Have a stream stored and return its name."""
    stream = await client.chat.completions.create(
        model=model, messages=HELLO, store=True, stream=True, tools=TOOLS, n=2
    )
    [completion_id] = {chunk.id async for chunk in stream}
    return completion_id


async def test_stored_completion_is_what_was_answered_and_its_metadata(
    client: AsyncOpenAI, other_client: AsyncOpenAI, journal: Journal
) -> None:
    answer = await stored(client, topic="Rome")
    assert answer.choices[0].message.content == GREETING
    found = await other_client.chat.completions.retrieve(answer.id)
    assert found == answer.model_copy(update={"metadata": {"topic": "Rome"}})
    assert found.usage
    assert not {"store", "metadata"} & set(journal.last)


async def test_every_completion_is_read_at_once_through_the_other_gateway(
    client: AsyncOpenAI, other_client: AsyncOpenAI
) -> None:
    for number in range(_ROUNDS):
        writer, reader = (client, other_client)[:: 1 if number % 2 else -1]
        answer = await stored(writer)
        assert (await reader.chat.completions.retrieve(answer.id)).choices == answer.choices
        streamed = await reader.chat.completions.retrieve(await streamed_id(writer))
        assert [choice.message.content for choice in streamed.choices] == [GREETING, GREETING]


@pytest.mark.parametrize("model", ["ok", "tool", "refusal", "length", "echo"])
async def test_streamed_completion_is_stored_as_one_that_was_not(client: AsyncOpenAI, model: str) -> None:
    whole = await client.chat.completions.create(model=model, messages=HELLO, store=True, tools=TOOLS, n=2)
    streamed = await client.chat.completions.retrieve(await streamed_id(client, model))
    assert anonymous(streamed) == anonymous(await client.chat.completions.retrieve(whole.id))


async def test_what_is_not_to_be_stored_is_not(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="ok", messages=HELLO)
    with pytest.raises(NotFoundError) as raised:
        await client.chat.completions.retrieve(answer.id)
    assert raised.value.code == "chat_completion_not_found"


async def test_lists_are_paged_and_filtered(newcomer: AsyncOpenAI) -> None:
    completions = newcomer.chat.completions
    ids = [(await stored(newcomer, even=str(number % 2 == 0), city="Rome")).id for number in range(5)]
    other = (await stored(newcomer, model="echo", city="Ostia")).id
    assert [each.id async for each in completions.list(limit=2)] == [*ids, other]
    assert [each.id async for each in completions.list(limit=2, order="desc")] == [other, *ids[::-1]]
    assert [each.id async for each in completions.list(model="echo")] == [other]
    assert [each.id async for each in completions.list(metadata={"even": "True"}, limit=1)] == ids[::2]
    assert [each.id async for each in completions.list(metadata={"even": "False", "city": "Rome"})] == ids[1::2]
    assert [each.id async for each in completions.list(model="echo", metadata={"city": "Rome"})] == []
    page = await completions.list(limit=3, after=ids[0])
    assert ([each.id for each in page.data], page.has_more) == (ids[1:4], True)
    with pytest.raises(BadRequestError) as raised:
        await completions.list(after="chatcmpl-absent")
    assert raised.value.param == "after"


async def test_messages_are_those_that_were_sent(client: AsyncOpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "name": "marcus", "content": [{"type": "text", "text": "Hello"}]},
        {"role": "assistant", "content": "Hail."},
        {"role": "user", "content": "And again?"},
    ]
    answer = await client.chat.completions.create(model="ok", messages=messages, store=True)
    listed = [each async for each in client.chat.completions.messages.list(answer.id, limit=3)]
    assert all(isinstance(message, ChatCompletionStoreMessage) for message in listed)
    assert [message.id for message in listed] == [f"{answer.id}-{place}" for place in range(4)]
    assert [message.content for message in listed] == ["Be brief.", None, "Hail.", "And again?"]
    assert [part.to_dict() for part in listed[1].content_parts or ()] == [{"type": "text", "text": "Hello"}]
    assert listed[1].to_dict()["name"] == "marcus"
    newest = await client.chat.completions.messages.list(answer.id, order="desc", limit=1)
    assert ([each.content for each in newest.data], newest.has_more) == (["And again?"], True)


async def test_metadata_is_replaced(newcomer: AsyncOpenAI) -> None:
    answer = await stored(newcomer, topic="Rome")
    changed = await newcomer.chat.completions.update(answer.id, metadata={"city": "Ostia"})
    assert changed == answer.model_copy(update={"metadata": {"city": "Ostia"}})
    assert await newcomer.chat.completions.retrieve(answer.id) == changed
    assert (await newcomer.chat.completions.list(metadata={"topic": "Rome"})).data == []
    assert (await newcomer.chat.completions.list(metadata={"city": "Ostia"})).data == [changed]


async def test_deleted_completion_is_gone(newcomer: AsyncOpenAI) -> None:
    answer = await stored(newcomer, topic="Rome")
    deleted = await newcomer.chat.completions.delete(answer.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (answer.id, True, "chat.completion.deleted")
    for attempt in (
        newcomer.chat.completions.retrieve(answer.id),
        newcomer.chat.completions.delete(answer.id),
        newcomer.chat.completions.update(answer.id, metadata={}),
        newcomer.get(f"/chat/completions/{answer.id}/messages", cast_to=httpx.Response),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    assert (await newcomer.chat.completions.list()).data == []


async def test_stream_that_is_cut_is_not_stored(newcomer: AsyncOpenAI) -> None:
    cut = await newcomer.chat.completions.create(model="long-500-20", messages=HELLO, store=True, stream=True)
    await anext(aiter(cut))
    await cut.close()
    broken = await newcomer.chat.completions.create(model="error-mid-stream", messages=HELLO, store=True, stream=True)
    with pytest.raises(APIError):
        _ = [chunk async for chunk in broken]
    after = await stored(newcomer)
    assert [each.id async for each in newcomer.chat.completions.list()] == [after.id]


def anonymous(completion: ChatCompletion) -> dict[str, object]:
    """Return a completion without what differs from one call to the next."""
    values = completion.to_dict()
    for choice in completion.choices:
        for call in choice.message.tool_calls or ():
            call.id = "call"
    return values | {"choices": [choice.to_dict() for choice in completion.choices], "id": "", "created": 0}
