"""Responses through the official Python SDK: one turn each."""

import json
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from openai.types.responses import FunctionToolParam, ResponseFunctionToolCall
from pydantic import BaseModel

from support.provider_reply import GREETING
from support.stack import Journal, said

pytestmark = pytest.mark.e2e

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Person(BaseModel):
    name: str
    age: int


@pytest.mark.parametrize("model", ["ok", "echo"])
async def test_response_has_text_usage_and_openai_shape(client: AsyncOpenAI, model: str) -> None:
    response = await client.responses.create(model=model, input="Hello, world")
    assert response.id.startswith("resp_")
    assert (response.object, response.status, response.model) == ("response", "completed", model)
    assert response.output_text
    assert (response.error, response.incomplete_details) == (None, None)
    assert response.usage
    assert response.usage.input_tokens > 0
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


@pytest.mark.parametrize("model", ["ok", "echo"])
async def test_stream_tells_of_the_response_it_ends_with(client: AsyncOpenAI, model: str) -> None:
    stream = await client.responses.create(model=model, input="Hello, world", stream=True)
    events = [event async for event in stream]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    last = events[-1]
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    assert last.type == "response.completed"
    assert "".join(deltas) == last.response.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_stream_helper_ends_with_the_response(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="ok", input="Hello") as stream:
        snapshots = [event.snapshot async for event in stream if event.type == "response.output_text.delta"]
        response = await stream.get_final_response()
    assert snapshots[-1] == response.output_text == GREETING
    assert (await client.responses.retrieve(response.id)).output_text == GREETING


async def test_input_may_be_items(client: AsyncOpenAI, journal: Journal) -> None:
    await client.responses.create(
        model="ok",
        instructions="Be brief.",
        input=[
            {"role": "user", "content": "One"},
            {"role": "assistant", "content": "Two"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Three"}]},
        ],
    )
    messages = [(message["role"], message["content"]) for message in journal.last["messages"]]
    assert messages == [("system", "Be brief."), ("user", "One"), ("assistant", "Two"), ("user", "Three")]


async def test_echo_calls_a_tool_and_answers_from_its_output(client: AsyncOpenAI) -> None:
    asked = await client.responses.create(model="echo", input="What is the weather like?", tools=[WEATHER])
    [call] = asked.output
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, call.status) == ("get_weather", "completed")
    assert set(json.loads(call.arguments)) == {"city"}

    answered = await client.responses.create(
        model="echo",
        previous_response_id=asked.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "Sunny, 21 degrees."}],
        tools=[WEATHER],
    )
    assert "Sunny, 21 degrees." in answered.output_text


async def test_provider_gets_the_tool_call_and_its_output(client: AsyncOpenAI, journal: Journal) -> None:
    history: list[Any] = [{"role": "user", "content": "What is the weather like?"}]
    asked = await client.responses.create(model="tool", input=history, tools=[WEATHER], store=False)
    [call] = asked.output
    assert isinstance(call, ResponseFunctionToolCall)
    history += [*asked.output, {"type": "function_call_output", "call_id": call.call_id, "output": "Rain"}]
    answered = await client.responses.create(model="tool", input=history, tools=[WEATHER], store=False)
    assert answered.output_text == "Rain"
    user, assistant, tool = journal.last["messages"]
    assert user["role"] == "user"
    assert assistant["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": call.arguments}
    assert (tool["role"], tool["tool_call_id"], tool["content"]) == ("tool", call.call_id, "Rain")


async def test_streamed_tool_call_is_assembled_by_the_helper(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="tool", input="Weather?", tools=[WEATHER]) as stream:
        deltas = [event.delta async for event in stream if event.type == "response.function_call_arguments.delta"]
        response = await stream.get_final_response()
    [call] = response.output
    assert call.type == "function_call"
    assert "".join(deltas) == call.arguments


async def test_schema_shapes_the_answer(client: AsyncOpenAI) -> None:
    schema: dict[str, object] = {**Person.model_json_schema(), "additionalProperties": False}
    response = await client.responses.create(
        model="echo",
        input="Who are you?",
        text={"format": {"type": "json_schema", "name": "person", "schema": schema, "strict": True}},
    )
    Person.model_validate_json(response.output_text)


async def test_schema_reaches_the_provider(client: AsyncOpenAI, journal: Journal) -> None:
    schema: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}}
    await client.responses.create(
        model="json",
        input="Where?",
        text={"format": {"type": "json_schema", "name": "place", "schema": schema, "strict": True}},
    )
    assert journal.last["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "place", "schema": schema, "strict": True},
    }


async def test_parse_answers_what_a_pydantic_model_describes(client: AsyncOpenAI) -> None:
    response = await client.responses.parse(model="echo", input="Who are you?", text_format=Person)
    assert isinstance(response.output_parsed, Person)


async def test_length_limit_leaves_a_response_incomplete(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="echo", input="Tell me a long story", max_output_tokens=3)
    assert response.status == "incomplete"
    assert response.incomplete_details
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.max_output_tokens == 3
    assert response.usage
    assert response.usage.output_tokens <= 3


async def test_refusal_is_a_part_of_the_message(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="refusal", input="Hello")
    [message] = response.output
    assert message.type == "message"
    [part] = message.content
    assert part.type == "refusal"
    assert part.refusal == "I am sorry, I cannot help with that."


async def test_metadata_comes_back(client: AsyncOpenAI) -> None:
    created = await client.responses.create(model="ok", input="Hello", metadata={"topic": "greeting"})
    assert created.metadata == {"topic": "greeting"}
    assert (await client.responses.retrieve(created.id)).metadata == {"topic": "greeting"}


async def test_response_is_stored_as_it_was_answered(client: AsyncOpenAI) -> None:
    created = await client.responses.create(model="ok", input="Hello", temperature=0.5)
    assert await client.responses.retrieve(created.id) == created


async def test_response_that_is_not_to_be_stored_is_not_found(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="ok", input="Hello", store=False)
    assert (response.model_extra or {})["store"] is False
    with pytest.raises(NotFoundError):
        await client.responses.retrieve(response.id)


async def test_deleted_response_is_not_found(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="ok", input="Hello")
    await client.responses.delete(response.id)
    for lookup in (client.responses.retrieve(response.id), client.responses.delete(response.id)):
        with pytest.raises(NotFoundError):
            await lookup
    with pytest.raises(BadRequestError) as raised:
        await client.responses.create(model="ok", input="Go on", previous_response_id=response.id)
    assert raised.value.code == "previous_response_not_found"


async def test_input_items_are_listed_in_pages(client: AsyncOpenAI) -> None:
    texts = [f"line {number}" for number in range(5)]
    response = await client.responses.create(model="ok", input=[{"role": "user", "content": text} for text in texts])
    items = [item async for item in client.responses.input_items.list(response.id, limit=2, order="asc")]
    assert said(items) == [("user", text) for text in texts]
    newest_first = [item.id async for item in client.responses.input_items.list(response.id)]
    assert newest_first == [item.id for item in reversed(items)]
