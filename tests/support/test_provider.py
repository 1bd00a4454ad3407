"""The scripted provider keeps to OpenAI's wire when it is good, and breaks as its models' names say when it is not."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam, ChatCompletionToolParam

from support.provider import ScriptedProvider, closed_port
from support.provider_call import Call
from support.provider_oddity import odd_pieces
from support.provider_reply import GREETING, numbered_text
from support.provider_script import FAULT_MODELS, GOOD_MODELS, script_for

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
FIRST_WORDS = "The rostra carried "


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
async def client(provider: ScriptedProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="any", max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
async def http(provider: ScriptedProvider) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=provider.base_url + "/") as session:
        yield session


def body(model: str, **parameters: object) -> dict[str, object]:
    return {"model": model, "messages": HELLO, **parameters}


async def chunks_of(client: openai.AsyncOpenAI, model: str, **parameters: Any) -> list[ChatCompletionChunk]:
    stream = await client.chat.completions.create(model=model, messages=HELLO, stream=True, **parameters)
    return [chunk async for chunk in stream]


def text_of(chunks: Iterable[ChatCompletionChunk], index: int = 0) -> str:
    choices = (choice for chunk in chunks for choice in chunk.choices if choice.index == index)
    return "".join(choice.delta.content or "" for choice in choices)


def frames_in(data: str) -> list[str]:
    return [part.removeprefix("data: ") for part in data.split("\n\n") if part]


def words_in(frames: Iterable[str]) -> str:
    return "".join(json.loads(frame)["choices"][0]["delta"].get("content") or "" for frame in frames)


async def test_models_are_listed_and_found_by_id(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == list(GOOD_MODELS)
    assert (await client.models.retrieve("ok")).id == "ok"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("absent")


async def test_plain_completion_has_text_and_usage_and_is_recorded(
    client: openai.AsyncOpenAI, provider: ScriptedProvider
) -> None:
    completion = await client.chat.completions.create(model="ok", messages=HELLO, temperature=0.5)
    assert completion.usage
    assert completion.choices[0].message.content == GREETING
    assert completion.choices[0].finish_reason == "stop"
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (11, 8)
    (request,) = provider.chats
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer any"
    assert request.body == {"model": "ok", "messages": HELLO, "temperature": 0.5}


async def test_stream_without_usage_option_never_mentions_usage(http: aiohttp.ClientSession) -> None:
    async with http.post("chat/completions", json=body("ok", stream=True)) as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        *frames, done = frames_in(await response.text())
    chunks = [json.loads(frame) for frame in frames]
    assert done == "[DONE]"
    assert not any("usage" in chunk for chunk in chunks)
    assert {(chunk["id"], chunk["created"], chunk["object"]) for chunk in chunks} == {
        (chunks[0]["id"], chunks[0]["created"], "chat.completion.chunk")
    }
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert chunks[-1]["choices"][0]["delta"] == {}
    assert words_in(frames) == GREETING


async def test_stream_with_usage_option_ends_with_a_chunk_of_usage_alone(http: aiohttp.ClientSession) -> None:
    parameters = {"stream": True, "stream_options": {"include_usage": True}, "n": 2}
    async with http.post("chat/completions", json=body("ok", **parameters)) as response:
        *chunks, last = [json.loads(frame) for frame in frames_in(await response.text())[:-1]]
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert (last["usage"]["completion_tokens"], last["usage"]["total_tokens"]) == (16, 27)


async def test_many_choices_are_each_answered(client: openai.AsyncOpenAI) -> None:
    chunks = await chunks_of(client, "ok", n=3)
    completion = await client.chat.completions.create(model="ok", messages=HELLO, n=3)
    assert [text_of(chunks, index) for index in range(3)] == [GREETING] * 3
    assert [(choice.index, choice.message.content) for choice in completion.choices] == [
        (index, GREETING) for index in range(3)
    ]


async def test_tool_is_called_in_fragments_and_its_result_answered(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="tool", messages=HELLO, tools=[WEATHER]) as stream:
        fragments = [event async for event in stream if event.type == "tool_calls.function.arguments.delta"]
        completion = await stream.get_final_completion()
    choice = completion.choices[0]
    assert choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    call = choice.message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city":"Paris"}')
    assert len(fragments) > 3
    plain = await client.chat.completions.create(model="tool", messages=HELLO, tools=[WEATHER])
    assert plain.choices[0].message.content is None
    assert plain.choices[0].message.tool_calls

    result: ChatCompletionMessageParam = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees,  sunny"}
    answer = await client.chat.completions.create(model="tool", messages=[*HELLO, result], tools=[WEATHER])
    assert answer.choices[0].message.content == "21 degrees,  sunny"


@pytest.mark.parametrize(
    ("model", "key", "finish_reason"),
    [
        ("refusal", "refusal", "stop"),
        ("reasoning", "reasoning_content", "stop"),
        ("length", "content", "length"),
        ("json", "content", "stop"),
    ],
)
async def test_each_manner_says_the_same_streamed_and_whole(
    client: openai.AsyncOpenAI, model: str, key: str, finish_reason: str
) -> None:
    chunks = await chunks_of(client, model)
    completion = await client.chat.completions.create(model=model, messages=HELLO)
    streamed = "".join(chunk.choices[0].delta.model_dump().get(key) or "" for chunk in chunks)
    assert streamed
    assert completion.choices[0].message.model_dump()[key] == streamed
    assert chunks[-1].choices[0].finish_reason == completion.choices[0].finish_reason == finish_reason
    if model == "json":
        assert isinstance(json.loads(streamed), dict)


async def test_reasoning_precedes_the_answer_and_is_counted(client: openai.AsyncOpenAI) -> None:
    chunks = await chunks_of(client, "reasoning", stream_options={"include_usage": True})
    kinds = ["content" if chunk.choices[0].delta.content else "reasoning" for chunk in chunks[1:-2]]
    assert kinds == ["reasoning"] * 5 + ["content"] * 8
    usage = chunks[-1].usage
    assert usage
    assert usage.completion_tokens_details
    assert (usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens) == (13, 5)


async def test_answer_that_was_cut_off_is_continued_where_it_stopped(client: openai.AsyncOpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [
        *HELLO,
        {"role": "assistant", "content": FIRST_WORDS},
        {"role": "user", "content": "You were cut off. Go on."},
    ]
    stream = await client.chat.completions.create(model="ok", messages=messages, stream=True)
    assert FIRST_WORDS + text_of([chunk async for chunk in stream]) == GREETING


async def test_no_usage_leaves_it_out_everywhere(client: openai.AsyncOpenAI) -> None:
    chunks = await chunks_of(client, "no-usage", stream_options={"include_usage": True})
    completion = await client.chat.completions.create(model="no-usage", messages=HELLO)
    assert text_of(chunks) == GREETING
    assert not any(chunk.usage or not chunk.choices for chunk in chunks)
    assert completion.usage is None


async def test_unknown_fields_are_readable_by_the_sdk(client: openai.AsyncOpenAI) -> None:
    chunks = await chunks_of(client, "unknown-fields", n=2, stream_options={"include_usage": True})
    completion = await client.chat.completions.create(model="unknown-fields", messages=HELLO)
    assert text_of(chunks) == text_of(chunks, 1) == completion.choices[0].message.content
    assert all("x_vendor" in chunk.model_dump() for chunk in chunks)
    assert "x_vendor" in completion.choices[0].message.model_dump()


def test_odd_pieces_are_cut_within_characters_line_ends_and_names() -> None:
    chunks = [{"choices": [{"delta": {"content": f"{number} déjà 🏛️"}}]} for number in range(20)]
    pieces = odd_pieces(chunks)
    seams = [(before[-2:], after[:2]) for before, after in pairwise(pieces)]
    assert any(0x80 <= after[0] < 0xC0 for _, after in seams)
    assert any(before.endswith(b"\r") and after.startswith(b"\n") for before, after in seams)
    assert (b"da", b"ta") in seams
    assert any(piece.count(b"\r\n\r\n") > 1 for piece in pieces)
    events = [line for line in b"".join(pieces).decode().split("\r\n") if line.startswith("data: ")]
    assert [json.loads(event[6:]) for event in events[:-1]] == chunks


async def test_paced_stream_takes_its_time_and_unpaced_ones_do_not(client: openai.AsyncOpenAI) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert text_of(await chunks_of(client, "ok-10-20")) == numbered_text(10)
    assert loop.time() - started >= 0.2
    assert text_of(await chunks_of(client, "unpaced-300")) == numbered_text(300)
    assert text_of(await chunks_of(client, "many-fast")) == numbered_text(50)
    assert len(text_of(await chunks_of(client, "huge"))) == 5_000_000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "error", "param"),
    [
        ("status-400", openai.BadRequestError, "temperature"),
        ("status-401", openai.AuthenticationError, None),
        ("status-403", openai.PermissionDeniedError, None),
        ("status-404", openai.NotFoundError, "model"),
        ("absent", openai.NotFoundError, "model"),
        ("status-422", openai.UnprocessableEntityError, "top_p"),
        ("status-429", openai.RateLimitError, None),
        ("status-429-quota", openai.RateLimitError, None),
        ("status-500", openai.InternalServerError, None),
        ("status-503", openai.InternalServerError, None),
    ],
)
async def test_status_models_raise_the_sdk_class_of_their_status(
    client: openai.AsyncOpenAI, model: str, error: type[openai.APIStatusError], param: str | None, *, stream: bool
) -> None:
    with pytest.raises(error) as caught:
        await client.chat.completions.create(model=model, messages=HELLO, stream=stream)
    assert caught.value.param == param
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    assert caught.value.response.headers.get("Retry-After") == ("7" if model == "status-429" else None)


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"messages": []}, "messages"),
        ({"model": 3}, "model"),
        ({"n": 0}, "n"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
async def test_bad_parameter_is_named(http: aiohttp.ClientSession, wrong: dict[str, object], param: str) -> None:
    async with http.post("chat/completions", json=body("ok") | wrong) as response:
        assert (response.status, (await response.json())["error"]["param"]) == (400, param)


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b'"text"'])
async def test_unreadable_body_is_refused(http: aiohttp.ClientSession, data: bytes) -> None:
    async with http.post("chat/completions", data=data) as response:
        assert (response.status, (await response.json())["error"]["type"]) == (400, "invalid_request_error")


async def test_unknown_path_is_refused(http: aiohttp.ClientSession) -> None:
    async with http.get("absent") as response:
        assert (response.status, (await response.json())["error"]["message"]) == (404, "Invalid URL (GET /v1/absent)")


@pytest.mark.parametrize("stream", [False, True])
async def test_html_comes_with_status_200(http: aiohttp.ClientSession, *, stream: bool) -> None:
    async with http.post("chat/completions", json=body("not-json", stream=stream)) as response:
        assert (response.status, response.content_type) == (200, "text/html")


@pytest.mark.parametrize("stream", [False, True])
async def test_stall_before_the_headers_ends_when_the_caller_gives_up(
    http: aiohttp.ClientSession, provider: ScriptedProvider, *, stream: bool
) -> None:
    call = asyncio.create_task(http.post("chat/completions", json=body("stall-first-byte", stream=stream)).__aenter__())
    await provider.wait_for_chats()
    done, _ = await asyncio.wait([call], timeout=0.1)
    assert not done
    assert provider.cancelled == 0
    call.cancel()
    await provider.wait_for_cancelled(timeout_seconds=1)


@pytest.mark.parametrize(
    ("model", "stream", "landmark"),
    [
        ("stall-after-headers", True, b""),
        ("stall-after-headers", False, b""),
        ("stall-mid-stream", True, b'"content":"carried "'),
        ("stall-mid-stream", False, b'"object":"chat.completion"'),
    ],
)
async def test_stalled_body_falls_silent_until_the_caller_leaves(
    http: aiohttp.ClientSession, provider: ScriptedProvider, model: str, landmark: bytes, *, stream: bool
) -> None:
    response = await http.post("chat/completions", json=body(model, stream=stream))
    if landmark:
        await response.content.readuntil(landmark)
        response.content.read_nowait()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(response.content.readany(), timeout=0.1)
    assert provider.cancelled == 0
    response.close()
    await provider.wait_for_cancelled(timeout_seconds=1)
    assert provider.cancelled == 1


async def test_broken_chunk_follows_three_words(http: aiohttp.ClientSession) -> None:
    async with http.post("chat/completions", json=body("broken-chunk", stream=True)) as response:
        *good, broken, done = frames_in(await response.text())
    assert words_in(good) == FIRST_WORDS
    assert (broken, done) == ('{"choices":[{"del', "[DONE]")
    async with http.post("chat/completions", json=body("broken-chunk")) as response:
        with pytest.raises(json.JSONDecodeError):
            await response.json()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["close-mid-stream", "close-mid-body"])
async def test_connection_closes_within_the_body(
    http: aiohttp.ClientSession, provider: ScriptedProvider, model: str, *, stream: bool
) -> None:
    async with http.post("chat/completions", json=body(model, stream=stream)) as response:
        received = await response.content.readany()
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()
    assert received
    if stream:
        assert words_in(frames_in(received.decode())) == FIRST_WORDS
    assert ("Content-Length" in response.headers) is (model == "close-mid-body")
    assert provider.cancelled == 0


async def test_connection_closes_before_the_first_byte(http: aiohttp.ClientSession, provider: ScriptedProvider) -> None:
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await http.post("chat/completions", json=body("close-first-byte"))
    assert provider.cancelled == 0


async def test_error_event_ends_a_stream_after_three_words(http: aiohttp.ClientSession) -> None:
    async with http.post("chat/completions", json=body("error-mid-stream", stream=True)) as response:
        *good, error = frames_in(await response.text())
    assert words_in(good) == FIRST_WORDS
    assert json.loads(error)["error"]["code"] == "server_is_overloaded"


async def test_no_done_ends_with_the_finish_chunk(http: aiohttp.ClientSession) -> None:
    async with http.post("chat/completions", json=body("no-done", stream=True)) as response:
        frames = frames_in(await response.text())
    assert words_in(frames) == GREETING
    assert json.loads(frames[-1])["choices"][0]["finish_reason"] == "stop"


async def test_stream_that_is_read_to_its_end_is_no_cancellation(
    client: openai.AsyncOpenAI, provider: ScriptedProvider
) -> None:
    await asyncio.gather(*(chunks_of(client, "ok") for _ in range(20)))
    assert len(provider.chats) == 20
    assert provider.cancelled == 0


async def test_caller_that_leaves_a_stream_is_noticed_at_once(
    client: openai.AsyncOpenAI, provider: ScriptedProvider
) -> None:
    stream = await client.chat.completions.create(model="long-500-20", messages=HELLO, stream=True)
    async for chunk in stream:
        if text_of([chunk]):
            break
    await stream.close()
    await provider.wait_for_cancelled(timeout_seconds=1)
    assert provider.cancelled == 1


async def test_provider_that_is_left_ends_open_calls_and_refuses_new_ones() -> None:
    async with aiohttp.ClientSession() as session:
        async with ScriptedProvider() as provider:
            url = f"{provider.base_url}/chat/completions"
            response = await session.post(url, json=body("stall-mid-stream", stream=True))
        with pytest.raises(aiohttp.ClientError):
            await response.read()
        assert provider.cancelled == 0
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.post(url, json=body("ok"))


async def test_closed_port_refuses() -> None:
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", closed_port())


async def test_api_key_is_required_where_one_is_set() -> None:
    async with ScriptedProvider(api_key="right") as provider:
        async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="right") as client:
            assert text_of(await chunks_of(client, "ok")) == GREETING
        async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="wrong") as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
            with pytest.raises(openai.AuthenticationError):
                await chunks_of(client, "ok")


async def test_programmed_model_plays_its_scripts_in_turn(
    client: openai.AsyncOpenAI, provider: ScriptedProvider
) -> None:
    released = asyncio.Event()

    async def wait_for_release(call: Call) -> None:
        await released.wait()
        await call.finish()

    provider.program("flaky", wait_for_release, "status-503", "ok")
    held = asyncio.create_task(chunks_of(client, "flaky"))
    await provider.wait_for_chats()
    with pytest.raises(openai.InternalServerError):
        await chunks_of(client, "flaky")
    assert text_of(await chunks_of(client, "flaky")) == text_of(await chunks_of(client, "flaky")) == GREETING
    held.cancel()
    await provider.wait_for_cancelled()
    with pytest.raises(ValueError, match="absent"):
        provider.program("flaky", "absent")


def test_every_listed_model_has_a_script() -> None:
    assert [model for model in (*GOOD_MODELS, *FAULT_MODELS) if script_for(model) is None] == []


async def test_process_says_when_it_is_ready_and_stops_when_told() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "support.provider", "--port", "0"),
        cwd=Path(__file__).parents[1],
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout
        ready = (await process.stdout.readline()).decode()
        found = re.fullmatch(r"scripted provider ready on (http://127\.0\.0\.1:\d+/v1)\n", ready)
        assert found
        async with openai.AsyncOpenAI(base_url=found[1], api_key="any") as client:
            assert text_of(await chunks_of(client, "ok")) == GREETING
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
