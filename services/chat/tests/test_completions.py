"""Chat completions from the gRPC call to the provider and back: what passes, what is settled, and that it is once."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.common.v1.caller_pb2 import Limits
from rostra.user.v1.usage_pb2 import UsageEvent, UsageOutcome
from rostra_chat.tokens import estimate_request_tokens, estimate_tokens
from rostra_kit.client import ServiceClient
from rostra_kit.errors import (
    AppError,
    DeadlineExceededError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)
from rostra_kit.status import reason_name
from rostra_kit.testing.grpc import call_as
from support.provider import ScriptedProvider
from support.provider_call import Call
from support.provider_reply import GREETING, numbered_text
from support.provider_script import FAULT_MODELS, GOOD_MODELS
from support.provider_wire import PROMPT_TOKENS, frame

Client = ServiceClient[Any]
Read = Callable[[], Awaitable[list[UsageEvent]]]

FINISHED = UsageOutcome.USAGE_OUTCOME_FINISHED
CANCELLED = UsageOutcome.USAGE_OUTCOME_CANCELLED
FAILED = UsageOutcome.USAGE_OUTCOME_FAILED

MESSAGES = [{"role": "user", "content": "Hello"}]
INPUT_TOKENS = estimate_request_tokens({"messages": MESSAGES})
GREETING_TOKENS = len(GREETING.split())
TOKENS_PER_MINUTE = 100_000
DONE = b"data: [DONE]\n\n"
CATALOGUE = """
models:
  - {id: paid, provider: openai, upstream_name: ok, input_price: 2, output_price: 10, create_time: 2026-01-01}
  - id: small
    provider: openai
    upstream_name: ok
    context_window: 100
    max_output_tokens: 50
    create_time: 2026-01-01
"""


@pytest.fixture
async def chat(open_chat: Callable[..., Awaitable[Client]], provider: ScriptedProvider, tmp_path: Path) -> Client:
    provider.models = [*GOOD_MODELS, *FAULT_MODELS, "no-usage", "many-fast", "huge", "ok-1000-10", "status-404"]
    catalogue = tmp_path / "models.yaml"
    catalogue.write_text(CATALOGUE)
    call_as("user_1", limits=Limits(tokens_per_minute=TOKENS_PER_MINUTE))
    return await open_chat(
        openai_base_url=provider.base_url,
        catalogue_file=catalogue,
        provider={"first_byte_timeout_seconds": 1, "idle_timeout_seconds": 1, "answer_timeout_seconds": 1},
    )


def body(model: str, **parameters: Any) -> bytes:
    return json.dumps({"model": model, "messages": MESSAGES, **parameters}).encode()


def stream_request(model: str, **parameters: Any) -> pb.StreamChatCompletionRequest:
    return pb.StreamChatCompletionRequest(model=model, body=body(model, stream=True, **parameters))


async def create(chat: Client, model: str, **parameters: Any) -> pb.CreateChatCompletionResponse:
    request = pb.CreateChatCompletionRequest(model=model, body=body(model, **parameters))
    return await chat.call(chat.stub.CreateChatCompletion, request)


async def messages_of(chat: Client, model: str, **parameters: Any) -> list[pb.StreamChatCompletionResponse]:
    stream = chat.stream(chat.stub.StreamChatCompletion, stream_request(model, **parameters))
    return [message async for message in stream]


async def frames_of(chat: Client, model: str, **parameters: Any) -> list[bytes]:
    return frames_in(await messages_of(chat, model, **parameters))


def frames_in(messages: Sequence[pb.StreamChatCompletionResponse]) -> list[bytes]:
    assert all(message.frames.endswith(b"\n\n") for message in messages)
    received = b"".join([message.frames for message in messages])
    return [frame + b"\n\n" for frame in received.split(b"\n\n")[:-1]]


def chunks_in(frames: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(frame.removeprefix(b"data: ")) for frame in frames if frame != DONE]


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


async def used_tokens(chat: Client) -> int:
    """Return how many tokens of the caller's are taken, found out by a call that takes hardly any."""
    answer = await create(chat, "ok", max_tokens=1)
    return TOKENS_PER_MINUTE - answer.limits[0].remaining - (INPUT_TOKENS + 1)


async def events_when_settled(read: Read, count: int = 1) -> list[UsageEvent]:
    """Return the usage events once there are `count`, and after a moment in which one too many would show."""
    async with asyncio.timeout(5):
        while len(await read()) < count:  # noqa: ASYNC110 - Redis offers no event
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    return await read()


def counts(event: UsageEvent) -> tuple[int, int, bool, int]:
    return event.input_tokens, event.output_tokens, event.estimated, event.outcome


async def test_whole_answer_is_the_providers_bytes(
    chat: Client, provider: ScriptedProvider, read_usage_events: Read
) -> None:
    answer = await create(chat, "ok", temperature=0.5, x_unknown={"a": 1})
    assert json.loads(answer.body)["choices"][0]["message"]["content"] == GREETING
    assert provider.chats[0].body["x_unknown"] == {"a": 1}
    assert [state.name for state in answer.limits] == ["tokens"]
    events = await events_when_settled(read_usage_events)
    assert [counts(event) for event in events] == [(PROMPT_TOKENS, GREETING_TOKENS, False, FINISHED)]
    assert (events[0].model, events[0].provider, events[0].user_id) == ("ok", "openai", "user_1")


async def test_stream_is_the_providers_frames_and_done(chat: Client, read_usage_events: Read) -> None:
    frames = await frames_of(chat, "ok")
    assert frames[-1] == DONE
    assert frames.count(DONE) == 1
    chunks = chunks_in(frames)
    assert text_of(chunks) == GREETING
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    events = await events_when_settled(read_usage_events)
    assert [counts(event) for event in events] == [(PROMPT_TOKENS, GREETING_TOKENS, False, FINISHED)]


@pytest.mark.parametrize("options", [{}, {"stream_options": None}, {"stream_options": {"include_usage": False}}])
async def test_usage_chunk_is_kept_back_from_who_did_not_ask(chat: Client, options: dict[str, Any]) -> None:
    chunks = chunks_in(await frames_of(chat, "ok", **options))
    assert all(chunk["choices"] and not chunk.get("usage") for chunk in chunks)


async def test_usage_chunk_comes_last_for_who_asked(chat: Client) -> None:
    chunks = chunks_in(await frames_of(chat, "ok", stream_options={"include_usage": True}))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == GREETING_TOKENS


async def test_first_message_alone_tells_the_limits(chat: Client) -> None:
    first, *others = await messages_of(chat, "ok")
    assert [(state.name, state.limit) for state in first.limits] == [("tokens", TOKENS_PER_MINUTE)]
    assert first.frames
    assert not any(message.limits for message in others)


async def test_chunks_that_come_together_go_together(chat: Client) -> None:
    messages = await messages_of(chat, "many-fast")
    assert len(messages) < 10
    assert text_of(chunks_in(frames_in(messages))) == numbered_text(50)


async def test_huge_chunk_passes(chat: Client) -> None:
    assert len(text_of(chunks_in(await frames_of(chat, "huge")))) == 5_000_000


async def test_missing_usage_is_estimated(chat: Client, read_usage_events: Read) -> None:
    await frames_of(chat, "no-usage")
    await create(chat, "no-usage")
    events = await events_when_settled(read_usage_events, 2)
    expected = (INPUT_TOKENS, estimate_tokens(GREETING), True, FINISHED)
    assert [counts(event) for event in events] == [expected, expected]


async def test_client_that_leaves_pays_for_what_was_made(
    chat: Client, provider: ScriptedProvider, read_usage_events: Read
) -> None:
    async with aclosing(chat.stream(chat.stub.StreamChatCompletion, stream_request("ok-1000-10"))) as stream:
        received = [await anext(stream) for _ in range(5)]
    await provider.wait_for_cancelled(1)
    (event,) = await events_when_settled(read_usage_events)
    assert (event.input_tokens, event.estimated, event.outcome) == (INPUT_TOKENS, True, CANCELLED)
    words = text_of(chunks_in(frames_in(received)))
    assert estimate_tokens(words) <= event.output_tokens < 200
    assert await used_tokens(chat) < 300


async def test_client_that_leaves_before_the_first_word_pays_for_the_input(
    chat: Client, provider: ScriptedProvider, read_usage_events: Read
) -> None:
    request = stream_request("stall-first-byte")
    stream = chat.stream(chat.stub.StreamChatCompletion, request)
    waiting = asyncio.ensure_future(anext(stream))
    await provider.wait_for_chats(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    await provider.wait_for_cancelled(1)
    events = await events_when_settled(read_usage_events)
    assert [counts(event) for event in events] == [(INPUT_TOKENS, 0, True, CANCELLED)]


async def speak_without_end(call: Call) -> None:
    choice = {"index": 0, "delta": {"content": "word " * 20_000}, "finish_reason": None}
    await call.start()
    while True:
        await call.send(frame({"object": "chat.completion.chunk", "choices": [choice]}))


async def test_client_that_does_not_read_and_leaves_is_settled(
    chat: Client, provider: ScriptedProvider, read_usage_events: Read
) -> None:
    provider.models.append("endless")
    provider.program("endless", speak_without_end)
    async with aclosing(chat.stream(chat.stub.StreamChatCompletion, stream_request("endless"))) as stream:
        await anext(stream)
        await asyncio.sleep(0.3)  # until flow control holds chat up in the midst of sending, which nothing tells
    await provider.wait_for_cancelled(1)
    events = await events_when_settled(read_usage_events)
    assert [event.outcome for event in events] == [CANCELLED]
    assert events[0].output_tokens > 10_000


async def test_client_that_cancels_a_whole_answer_ends_the_call(
    chat: Client, provider: ScriptedProvider, read_usage_events: Read
) -> None:
    waiting = asyncio.create_task(create(chat, "ok-1000-10"))
    await provider.wait_for_chats(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    await provider.wait_for_cancelled(1)
    events = await events_when_settled(read_usage_events)
    assert [counts(event) for event in events] == [(INPUT_TOKENS, 0, True, CANCELLED)]


async def test_deadline_ends_the_providers_call(
    chat: Client, provider: ScriptedProvider, read_usage_events: Read
) -> None:
    request = pb.CreateChatCompletionRequest(model="ok-1000-10", body=body("ok-1000-10"))
    with pytest.raises(DeadlineExceededError):
        await chat.call(chat.stub.CreateChatCompletion, request, timeout_seconds=0.7)
    await provider.wait_for_cancelled(1)
    assert [event.outcome for event in await events_when_settled(read_usage_events)] == [CANCELLED]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("stall-mid-stream", "PROVIDER_TIMEOUT"),
        ("broken-chunk", "PROVIDER_ERROR"),
        ("close-mid-stream", "PROVIDER_ERROR"),
        ("error-mid-stream", "PROVIDER_ERROR"),
    ],
)
async def test_stream_that_breaks_is_paid_as_far_as_it_came(
    chat: Client, read_usage_events: Read, registry: CollectorRegistry, model: str, reason: str
) -> None:
    received = b""
    with pytest.raises(AppError) as caught:
        async for message in chat.stream(chat.stub.StreamChatCompletion, stream_request(model)):
            received += message.frames
    assert reason_name(caught.value.reason) == reason
    assert b"carried" in received
    assert DONE not in received
    events = await events_when_settled(read_usage_events)
    expected = (INPUT_TOKENS, estimate_tokens("The rostra carried "), True, FAILED)
    assert [counts(event) for event in events] == [expected]
    errors = {"provider": "openai", "kind": reason.lower()}
    assert registry.get_sample_value("rostra_chat_provider_errors_total", errors) == 1
    assert registry.get_sample_value("rostra_chat_open_streams", {"provider": "openai"}) == 0


@pytest.mark.parametrize("model", ["status-400", "status-500", "stall-first-byte", "not-json", "close-first-byte"])
async def test_call_that_fails_before_the_first_word_costs_nothing(
    chat: Client, read_usage_events: Read, model: str
) -> None:
    with pytest.raises(AppError):
        await messages_of(chat, model)
    with pytest.raises(AppError):
        await create(chat, model)
    assert await used_tokens(chat) <= 0
    events = await events_when_settled(read_usage_events)
    assert [event.model for event in events] == ["ok"]


async def test_senseless_answer_gives_back_what_was_reserved(chat: Client, provider: ScriptedProvider) -> None:
    async def senseless(call: Call) -> None:
        await call.respond(web.json_response({"choices": ["x"]}))

    provider.program("ok", senseless, "ok")
    with pytest.raises(AppError):
        await create(chat, "ok", max_tokens=50_000)
    assert await used_tokens(chat) <= 0


@pytest.mark.parametrize(
    "parameters", [{"max_tokens": 1000}, {"max_completion_tokens": 500, "n": 2}, {"max_tokens": 1000, "n": 1}]
)
async def test_asked_for_tokens_are_reserved_for_every_choice(chat: Client, parameters: dict[str, Any]) -> None:
    answer = await create(chat, "ok", **parameters)
    assert TOKENS_PER_MINUTE - answer.limits[0].remaining == INPUT_TOKENS + 1000


async def test_unbounded_answer_reserves_the_default(chat: Client) -> None:
    answer = await create(chat, "ok")
    assert TOKENS_PER_MINUTE - answer.limits[0].remaining == INPUT_TOKENS + 4096


async def test_models_bound_is_reserved_at_most(chat: Client) -> None:
    answer = await create(chat, "small")
    assert TOKENS_PER_MINUTE - answer.limits[0].remaining == INPUT_TOKENS + 50


async def test_settled_stream_takes_what_was_used(chat: Client) -> None:
    await frames_of(chat, "ok")
    assert 0 <= await used_tokens(chat) <= PROMPT_TOKENS + GREETING_TOKENS


async def test_price_is_the_catalogues_and_the_name_the_providers(
    chat: Client, provider: ScriptedProvider, read_usage_events: Read
) -> None:
    await frames_of(chat, "paid")
    assert provider.chats[0].body["model"] == "ok"
    (event,) = await events_when_settled(read_usage_events)
    assert (event.model, event.cost_micros) == ("paid", PROMPT_TOKENS * 2 + GREETING_TOKENS * 10)


async def test_refused_caller_does_not_reach_the_provider(chat: Client, provider: ScriptedProvider) -> None:
    call_as("user_2", limits=Limits(tokens_per_minute=100))
    with pytest.raises(ResourceExhaustedError, match="Request too large for ok"):
        await create(chat, "ok")
    with pytest.raises(ResourceExhaustedError):
        await messages_of(chat, "ok")
    assert provider.chats == []


async def test_unknown_model_is_not_found(chat: Client) -> None:
    with pytest.raises(NotFoundError, match="`nothing`") as caught:
        await create(chat, "nothing")
    assert (reason_name(caught.value.reason), caught.value.param) == ("MODEL_NOT_FOUND", "model")
    with pytest.raises(NotFoundError):
        await messages_of(chat, "nothing")


@pytest.mark.parametrize(
    "parameters", [{"max_tokens": 120}, {"messages": [{"role": "user", "content": "word " * 400}]}]
)
async def test_request_beyond_the_window_is_refused_at_no_cost(
    chat: Client, provider: ScriptedProvider, parameters: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgumentError, match="maximum context length is 100 tokens") as caught:
        await create(chat, "small", **parameters)
    assert (reason_name(caught.value.reason), caught.value.param) == ("CONTEXT_LENGTH_EXCEEDED", "messages")
    assert provider.chats == []


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b"\xff", None),
        (b'{"messages": [], "n": 0}', "n"),
        (b'{"messages": [], "n": 1.5}', "n"),
        (b'{"messages": [], "max_tokens": true}', "max_tokens"),
        (b'{"messages": [], "max_completion_tokens": -1}', "max_completion_tokens"),
        (b'{"messages": [], "deep": ' + b"[" * 300 + b"]" * 300 + b"}", None),
    ],
)
async def test_body_that_cannot_be_is_refused(chat: Client, raw: bytes, param: str | None) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await chat.call(chat.stub.CreateChatCompletion, pb.CreateChatCompletionRequest(model="ok", body=raw))
    assert caught.value.param == param


async def test_models_are_served(chat: Client) -> None:
    listed = (await chat.call(chat.stub.ListModels, pb.ListModelsRequest())).models
    names = [model.id for model in listed]
    assert names == sorted(names)
    assert {"echo", "paid", "small", "ok"} <= set(names)
    paid = (await chat.call(chat.stub.GetModel, pb.GetModelRequest(id="paid"))).model
    assert (paid.owned_by, paid.input_price_micros, paid.output_price_micros) == ("openai", 2_000_000, 10_000_000)
    with pytest.raises(NotFoundError):
        await chat.call(chat.stub.GetModel, pb.GetModelRequest(id="absent"))


async def test_echo_streams_without_any_provider(
    open_chat: Callable[..., Awaitable[Client]], read_usage_events: Read
) -> None:
    call_as("user_1")
    chat = await open_chat()
    assert text_of(chunks_in(await frames_of(chat, "echo"))).endswith("You said: Hello")
    (event,) = await events_when_settled(read_usage_events)
    assert (event.provider, event.cost_micros, event.estimated, event.outcome) == ("echo", 0, False, FINISHED)


async def test_time_to_the_first_token_is_measured(chat: Client, registry: CollectorRegistry) -> None:
    await frames_of(chat, "ok")
    labels = {"provider": "openai", "model": "ok"}
    assert registry.get_sample_value("rostra_chat_first_token_seconds_count", labels) == 1
