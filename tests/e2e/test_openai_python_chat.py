"""Chat completions through the official Python SDK."""

import json
from typing import Any, Literal

import pytest
from openai import APIError, AsyncOpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from support.provider_reply import GREETING
from support.stack import Journal

pytestmark = pytest.mark.e2e

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello, world"}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "kelvin"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


class Forecast(BaseModel):
    city: str
    degrees: int
    sky: Literal["clear", "cloudy"]


async def chunks_of(client: AsyncOpenAI, **parameters: Any) -> list[ChatCompletionChunk]:
    stream = await client.chat.completions.create(stream=True, **{"messages": HELLO, **parameters})
    return [chunk async for chunk in stream]


@pytest.mark.parametrize("model", ["ok", "echo"])
async def test_completion_has_text_usage_and_openai_shape(client: AsyncOpenAI, model: str) -> None:
    completion = await client.chat.completions.create(model=model, messages=HELLO)
    [choice] = completion.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason == "stop"
    assert completion.id.startswith("chatcmpl")
    assert completion.object == "chat.completion"
    assert completion.model == model
    usage = completion.usage
    assert usage
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


async def test_echo_says_what_it_is_and_what_it_heard(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model="echo", messages=HELLO)
    content = completion.choices[0].message.content or ""
    assert "echo" in content
    assert "Hello, world" in content


@pytest.mark.parametrize("model", ["ok", "echo"])
async def test_stream_brings_the_same_text_in_pieces(client: AsyncOpenAI, model: str) -> None:
    whole = await client.chat.completions.create(model=model, messages=HELLO)
    chunks = await chunks_of(client, model=model)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert "".join(pieces) == whole.choices[0].message.content
    assert len(pieces) > 3
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert all(chunk.usage is None for chunk in chunks)


@pytest.mark.parametrize("model", ["ok", "echo"])
async def test_last_chunk_holds_the_usage_that_was_asked_for(client: AsyncOpenAI, model: str) -> None:
    whole = await client.chat.completions.create(model=model, messages=HELLO)
    *others, last = await chunks_of(client, model=model, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage
    assert whole.usage
    assert last.usage.total_tokens == whole.usage.total_tokens
    assert all(chunk.usage is None for chunk in others)


async def test_echo_calls_a_tool_and_answers_from_its_output(client: AsyncOpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather like?"}]
    asked = await client.chat.completions.create(model="echo", messages=messages, tools=[WEATHER])
    [choice] = asked.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls
    [call] = choice.message.tool_calls
    assert call.type == "function"
    assert call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
    assert set(arguments) == {"city", "unit"}
    assert arguments["unit"] in ("celsius", "kelvin")

    messages += [choice.message, {"role": "tool", "tool_call_id": call.id, "content": "Sunny, 21 degrees."}]
    answered = await client.chat.completions.create(model="echo", messages=messages, tools=[WEATHER])
    assert "Sunny, 21 degrees." in (answered.choices[0].message.content or "")
    assert answered.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", ["tool", "echo"])
async def test_streamed_tool_call_is_assembled_by_the_helper(client: AsyncOpenAI, model: str) -> None:
    async with client.chat.completions.stream(model=model, messages=HELLO, tools=[WEATHER]) as stream:
        kinds = [event.type async for event in stream]
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.tool_calls
    [call] = completion.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)
    assert "tool_calls.function.arguments.done" in kinds


async def test_stream_helper_ends_with_the_completion(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="ok", messages=HELLO) as stream:
        deltas = [event.delta async for event in stream if event.type == "content.delta"]
        completion = await stream.get_final_completion()
    assert "".join(deltas) == completion.choices[0].message.content == GREETING


@pytest.mark.parametrize("model", ["ok", "echo"])
async def test_as_many_choices_come_as_were_asked_for(client: AsyncOpenAI, model: str) -> None:
    completion = await client.chat.completions.create(model=model, messages=HELLO, n=3)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    chunks = await chunks_of(client, model=model, n=3)
    assert {choice.index for chunk in chunks for choice in chunk.choices} == {0, 1, 2}


async def test_json_mode_answers_a_json_object(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(
        model="echo",
        messages=[{"role": "user", "content": "Answer in JSON."}],
        response_format={"type": "json_object"},
    )
    assert isinstance(json.loads(completion.choices[0].message.content or ""), dict)


async def test_parse_answers_what_a_pydantic_model_describes(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.parse(model="echo", messages=HELLO, response_format=Forecast)
    assert isinstance(completion.choices[0].message.parsed, Forecast)


async def test_stream_helper_parses_what_a_pydantic_model_describes(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="echo", messages=HELLO, response_format=Forecast) as stream:
        completion = await stream.get_final_completion()
    assert isinstance(completion.choices[0].message.parsed, Forecast)


async def test_echo_stops_at_max_tokens(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model="echo", messages=HELLO, max_tokens=3)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage
    assert completion.usage.completion_tokens <= 3


async def test_provider_gets_parameters_that_rostra_does_not_know(client: AsyncOpenAI, journal: Journal) -> None:
    novelty = {"depth": [1, 2.5, None], "text": "déjà vu 🏛️"}
    await client.chat.completions.create(
        model="ok", messages=HELLO, temperature=0.25, seed=7, extra_body={"a_new_parameter": novelty}
    )
    assert journal.last["a_new_parameter"] == novelty
    assert (journal.last["temperature"], journal.last["seed"]) == (0.25, 7)
    assert journal.last["messages"] == HELLO


async def test_fields_that_rostra_does_not_know_arrive(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="unknown-fields", messages=HELLO)
    chunks = await chunks_of(client, model="unknown-fields")
    known = {"note": "déjà vu", "list": [1, None]}
    assert (whole.model_extra or {})["x_vendor"] == known
    assert all((chunk.model_extra or {})["x_vendor"] == known for chunk in chunks)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == whole.choices[0].message.content


async def test_refusal_arrives_as_one(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model="refusal", messages=HELLO)
    assert completion.choices[0].message.refusal == "I am sorry, I cannot help with that."


async def test_error_within_a_stream_is_raised(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="error-mid-stream", messages=HELLO, stream=True)
    received = ""
    with pytest.raises(APIError):
        async for chunk in stream:
            received += chunk.choices[0].delta.content or ""
    assert received
    assert GREETING.startswith(received)
