"""The official Python SDK without an event loop goes the main way from end to end; and the models it finds."""

import pytest
from openai import AsyncOpenAI, NotFoundError, OpenAI

from support.provider_reply import GREETING
from support.stack import SharedStack, said, sdk

pytestmark = pytest.mark.e2e


def test_synchronous_client_chats_and_streams(sync_client: OpenAI) -> None:
    completion = sync_client.chat.completions.create(model="ok", messages=[{"role": "user", "content": "Hello"}])
    stream = sync_client.chat.completions.create(
        model="ok", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    with stream:
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert completion.choices[0].message.content == GREETING
    assert streamed == GREETING


def test_synchronous_client_gets_and_continues_responses(sync_client: OpenAI) -> None:
    first = sync_client.responses.create(model="ok", input="Hello")
    with sync_client.responses.stream(model="ok", input="Go on", previous_response_id=first.id) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        second = stream.get_final_response()
    assert first.output_text == GREETING
    assert "".join(deltas) == second.output_text == GREETING
    assert second.previous_response_id == first.id
    assert sync_client.responses.retrieve(second.id).output_text == GREETING


def test_synchronous_stream_helper_ends_with_the_completion(sync_client: OpenAI) -> None:
    with sync_client.chat.completions.stream(model="ok", messages=[{"role": "user", "content": "Hello"}]) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == GREETING


def test_synchronous_client_pages_through_conversation_items(sync_client: OpenAI) -> None:
    conversation = sync_client.conversations.create(
        items=[{"type": "message", "role": "user", "content": f"line {number}"} for number in range(5)]
    )
    pages = sync_client.conversations.items.list(conversation.id, limit=2, order="asc")
    assert said(pages) == [("user", f"line {number}") for number in range(5)]


async def test_models_of_catalogue_and_provider_are_listed(client: AsyncOpenAI) -> None:
    models = {model.id: model async for model in client.models.list()}
    assert {"echo", "ok", "tool"} <= set(models)
    assert all(model.object == "model" and model.created > 0 and model.owned_by for model in models.values())


async def test_models_a_provider_denies_are_not_listed(client: AsyncOpenAI) -> None:
    assert "gpt-5-mini" not in {model.id async for model in client.models.list()}


async def test_model_is_found_by_name(client: AsyncOpenAI) -> None:
    listed = {model.id: model async for model in client.models.list()}
    assert await client.models.retrieve("echo") == listed["echo"]


async def test_unknown_model_is_not_found(client: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError) as raised:
        await client.models.retrieve("no-such-model")
    assert raised.value.code == "model_not_found"


async def test_model_that_appears_at_the_provider_answers(client: AsyncOpenAI, stack: SharedStack) -> None:
    name = "ok-3-0"
    stack.provider.models.append(name)
    try:
        completion = await client.chat.completions.create(model=name, messages=[{"role": "user", "content": "Hi"}])
    finally:
        stack.provider.models.remove(name)
    assert completion.choices[0].message.content == "word-1 word-2 word-3"


async def test_every_gateway_answers(stack: SharedStack, client: AsyncOpenAI) -> None:
    for url in stack.gateway_urls:
        async with sdk(url, client.api_key) as own:
            answer = await own.chat.completions.create(model="echo", messages=[{"role": "user", "content": "Hello"}])
            assert "Hello" in (answer.choices[0].message.content or "")
