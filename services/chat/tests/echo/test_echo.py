"""The offline model behaves on the wire as OpenAI's models do."""

import json
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from rostra_chat.catalogue import Model
from rostra_chat.providers.echo import EchoProvider
from rostra_chat.providers.provider import Frame
from rostra_chat.tokens import estimate_request_tokens
from rostra_kit.errors import InvalidArgumentError

ECHO = Model(id="echo", provider="echo", upstream_name="echo", max_output_tokens=500, create_time=datetime.now(UTC))
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "kelvin"]}},
            "required": ["city", "unit"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
ASKED = {"role": "user", "content": "Is it warm?"}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "31 degrees"}


@pytest.fixture
def echo() -> EchoProvider:
    return EchoProvider(word_delay_seconds=0)


def body(*messages: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    return {"model": "echo", "messages": list(messages or [ASKED]), **parameters}


async def complete(echo: EchoProvider, *messages: dict[str, Any], **parameters: Any) -> ChatCompletion:
    completion, raw = await echo.complete(ECHO, body(*messages, **parameters))
    assert json.loads(raw) == completion
    return ChatCompletion.model_validate(completion)


async def say(echo: EchoProvider, *messages: dict[str, Any], **parameters: Any) -> str:
    completion = await complete(echo, *messages, **parameters)
    return completion.choices[0].message.content or ""


async def stream(echo: EchoProvider, *messages: dict[str, Any], **parameters: Any) -> list[ChatCompletionChunk]:
    async with aclosing(echo.stream(ECHO, body(*messages, **parameters))) as batches:
        frames: list[Frame] = [frame async for batch in batches for frame in batch]
    for frame in frames:
        assert json.loads(frame.raw.removeprefix(b"data: ")) == frame.data
    return [ChatCompletionChunk.model_validate(frame.data) for frame in frames]


def text_of(chunks: Sequence[ChatCompletionChunk], index: int = 0) -> str:
    choices = (choice for chunk in chunks for choice in chunk.choices if choice.index == index)
    return "".join(choice.delta.content or "" for choice in choices)


async def test_answer_repeats_the_last_words_and_says_what_it_is(echo: EchoProvider) -> None:
    said = await say(echo, {"role": "user", "content": "First."}, ASKED)
    assert said == "This is Rostra's offline model `echo`. You said: Is it warm?"


@pytest.mark.parametrize(
    ("content", "heard"),
    [
        (
            [{"type": "text", "text": "What is"}, {"type": "image_url"}, {"type": "text", "text": "this?"}],
            "What is this?",
        ),
        ([], None),
        (None, None),
    ],
)
async def test_content_is_read_in_every_form(echo: EchoProvider, content: Any, heard: str | None) -> None:
    said = await say(echo, {"role": "user", "content": content})
    assert said.endswith(f"You said: {heard}" if heard else "You said nothing.")


async def test_stream_has_openais_course(echo: EchoProvider) -> None:
    chunks = await stream(echo)
    first, last, usage = chunks[0], chunks[-2], chunks[-1]
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert text_of(chunks) == await say(echo)
    assert last.choices[0].finish_reason == "stop"
    assert last.choices[0].delta.model_dump(exclude_none=True) == {}
    assert usage.choices == []
    assert usage.usage is not None
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert all(choice.finish_reason is None for chunk in chunks[:-2] for choice in chunk.choices)


async def test_two_answers_differ_in_nothing_but_their_names(echo: EchoProvider) -> None:
    one, other = await complete(echo), await complete(echo)
    assert one.id != other.id
    assert one.choices == other.choices


async def test_usage_is_the_estimate(echo: EchoProvider) -> None:
    completion = await complete(echo)
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == estimate_request_tokens(body())
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert (await stream(echo))[-1].usage == completion.usage


@pytest.mark.parametrize("parameter", ["max_tokens", "max_completion_tokens"])
async def test_answer_ends_with_its_tokens(echo: EchoProvider, parameter: str) -> None:
    completion = await complete(echo, **{parameter: 5})
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert 0 < completion.usage.completion_tokens <= 5
    assert "This is" in (completion.choices[0].message.content or "")
    assert (await stream(echo, **{parameter: 5}))[-2].choices[0].finish_reason == "length"


async def test_models_own_bound_holds(echo: EchoProvider) -> None:
    completion = await complete(echo, {"role": "user", "content": "word " * 5000}, max_tokens=4000)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens <= 500


@pytest.mark.parametrize("stop", ["You", ["nowhere", "You"]])
async def test_answer_ends_before_a_stop_sequence(echo: EchoProvider, stop: Any) -> None:
    completion = await complete(echo, stop=stop)
    assert completion.choices[0].message.content == "This is Rostra's offline model `echo`. "
    assert completion.choices[0].finish_reason == "stop"


async def test_every_choice_is_answered_and_counted(echo: EchoProvider) -> None:
    one, three = await complete(echo), await complete(echo, n=3)
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert one.usage is not None
    assert three.usage is not None
    assert three.usage.completion_tokens == 3 * one.usage.completion_tokens
    chunks = await stream(echo, n=3)
    assert text_of(chunks, 2) == text_of(chunks, 0)


@pytest.mark.parametrize("parameters", [{"n": 0}, {"n": 129}, {"n": "2"}, {"max_tokens": -1}, {"max_tokens": 1.5}])
async def test_number_out_of_bounds_is_named(echo: EchoProvider, parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await echo.complete(ECHO, body(**parameters))
    assert caught.value.param == next(iter(parameters))


async def test_offered_tool_is_called_with_fitting_arguments(echo: EchoProvider) -> None:
    choice = (await complete(echo, tools=[WEATHER, CLOCK])).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    call = choice.message.tool_calls[0]
    assert call.type == "function"
    assert call.function.name == "get_weather"
    jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])  # type: ignore[index]


async def test_streamed_call_adds_up_to_the_whole_one(echo: EchoProvider) -> None:
    chunks = await stream(echo, tools=[WEATHER])
    pieces = [piece for chunk in chunks for choice in chunk.choices for piece in choice.delta.tool_calls or []]
    assert pieces[0].id
    assert pieces[0].function is not None
    assert (pieces[0].function.name, pieces[0].function.arguments) == ("get_weather", "")
    assert all(piece.id is None for piece in pieces[1:])
    arguments = "".join(piece.function.arguments or "" for piece in pieces if piece.function)
    assert json.loads(arguments) == {"city": "example", "unit": "celsius"}
    assert chunks[-2].choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("auto", "get_weather"),
        ("required", "get_weather"),
        ({"type": "function", "function": {"name": "get_time"}}, "get_time"),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CLOCK]}}, "get_time"),
        ("none", None),
    ],
)
async def test_tool_choice_is_honoured(echo: EchoProvider, choice: Any, called: str | None) -> None:
    message = (await complete(echo, tools=[WEATHER, CLOCK], tool_choice=choice)).choices[0].message
    names = [call.function.name for call in message.tool_calls or [] if call.type == "function"]
    assert names == ([called] if called else [])


async def test_choice_of_an_absent_tool_is_refused(echo: EchoProvider) -> None:
    choice = {"type": "function", "function": {"name": "absent"}}
    with pytest.raises(InvalidArgumentError) as caught:
        await echo.complete(ECHO, body(tools=[WEATHER], tool_choice=choice))
    assert caught.value.param == "tool_choice"


async def test_tools_result_is_answered_from(echo: EchoProvider) -> None:
    said = await say(echo, ASKED, CALLED, RESULT, tools=[WEATHER])
    assert said.endswith("The tool answered: 31 degrees")


async def test_new_question_after_a_result_calls_again(echo: EchoProvider) -> None:
    choice = (await complete(echo, ASKED, CALLED, RESULT, ASKED, tools=[WEATHER])).choices[0]
    assert choice.finish_reason == "tool_calls"


async def test_json_mode_answers_an_object(echo: EchoProvider) -> None:
    said = json.loads(await say(echo, response_format={"type": "json_object"}))
    assert said["said"] == "Is it warm?"


async def test_schema_is_answered_with_what_fits_it(echo: EchoProvider) -> None:
    schema = {
        "type": "object",
        "properties": {
            "steps": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "ok": {"type": "boolean"},
        },
        "required": ["steps", "ok"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "plan", "strict": True, "schema": schema}}
    jsonschema.validate(json.loads(await say(echo, response_format=wanted)), schema)
    jsonschema.validate(json.loads(text_of(await stream(echo, response_format=wanted))), schema)


@pytest.mark.parametrize(
    "odd",
    [
        {"messages": None},
        {"messages": ["hello", {"role": 3}, {}]},
        {"tools": ["x", {"function": None}, {"function": {"name": 3}}]},
        {"tools": [{"function": {"name": "f", "parameters": "none"}}]},
        {"tool_choice": ["x"], "tools": [CLOCK]},
        {"stop": [1, None, ""]},
        {"response_format": {"type": "json_schema", "json_schema": None}},
        {"response_format": "text"},
    ],
)
async def test_odd_body_is_answered(echo: EchoProvider, odd: dict[str, Any]) -> None:
    assert (await complete(echo, **odd)).choices


async def test_words_come_one_by_one() -> None:
    echo = EchoProvider(word_delay_seconds=0.001)
    async with aclosing(echo.stream(ECHO, body())) as batches:
        sizes = [len(batch) async for batch in batches]
    assert sizes == [1] * 12 + [2]
