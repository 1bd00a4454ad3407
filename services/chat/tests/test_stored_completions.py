"""Completions that are stored: what history gets, when, and what comes of it when it cannot be had."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.history.v1.chat_completion_service_pb2 import CreateChatCompletionRequest, CreateChatCompletionResponse
from rostra.history.v1.chat_completion_service_pb2_grpc import (
    ChatCompletionServiceServicer,
    add_ChatCompletionServiceServicer_to_server,
)
from rostra.user.v1.usage_pb2 import UsageEvent, UsageOutcome
from rostra_chat import recording
from rostra_kit.client import ServiceClient
from rostra_kit.context import current_caller
from rostra_kit.errors import AppError, ConflictError, InternalError, InvalidArgumentError, UnavailableError
from rostra_kit.server import new_server
from rostra_kit.testing.grpc import call_as
from support.provider import ScriptedProvider
from support.provider_call import Call
from support.provider_reply import GREETING, Reply
from support.provider_script import GOOD_MODELS
from support.provider_wire import Answer

Client = ServiceClient[Any]
Read = Callable[[], Awaitable[list[UsageEvent]]]

MESSAGES = [
    {"role": "developer", "content": "Be brief.\u2028"},
    {"role": "user", "name": "marcus", "content": [{"type": "text", "text": "Hello"}], "x_unknown": [1]},
]
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]


class FakeCompletions(ChatCompletionServiceServicer):
    """Keeps what it is given, or fails; `proceed` lets calls go on."""

    def __init__(self) -> None:
        self.requests: list[CreateChatCompletionRequest] = []
        self.owners: list[str] = []
        self.error: AppError | None = None
        self.called = asyncio.Event()
        self.proceed = asyncio.Event()
        self.proceed.set()

    async def CreateChatCompletion(self, request, context):
        self.called.set()
        await self.proceed.wait()
        if self.error:
            raise self.error
        self.requests.append(request)
        self.owners.append(current_caller().user_id)
        return CreateChatCompletionResponse()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.completion.body) for request in self.requests]


@pytest.fixture
async def history() -> FakeCompletions:
    return FakeCompletions()


@pytest.fixture
async def history_address(history: FakeCompletions) -> AsyncIterator[dict[str, Any]]:
    server = new_server(CollectorRegistry())
    add_ChatCompletionServiceServicer_to_server(history, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield {"target": f"127.0.0.1:{port}", "timeout_seconds": 1}
    await server.stop(grace=None)


@pytest.fixture
async def chat(
    open_chat: Callable[..., Awaitable[Client]], provider: ScriptedProvider, history_address: dict[str, Any]
) -> Client:
    provider.models = [
        *GOOD_MODELS,
        "no-usage",
        "no-done",
        "unknown-fields",
        "close-mid-stream",
        "ok-1000-10",
        "ok-200-1",
    ]
    call_as("user_1")
    return await open_chat(openai_base_url=provider.base_url, history=history_address)


def body(model: str, **parameters: Any) -> bytes:
    return json.dumps({"model": model, "messages": MESSAGES, "store": True, **parameters}).encode()


async def create(chat: Client, model: str, *, store: bool = True, **parameters: Any) -> dict[str, Any]:
    request = pb.CreateChatCompletionRequest(model=model, body=body(model, **parameters), store=store)
    return json.loads((await chat.call(chat.stub.CreateChatCompletion, request)).body)


def stream(chat: Client, model: str, *, store: bool = True, **parameters: Any) -> Any:
    request = pb.StreamChatCompletionRequest(model=model, body=body(model, stream=True, **parameters), store=store)
    return chat.stream(chat.stub.StreamChatCompletion, request)


async def frames_of(chat: Client, model: str, **parameters: Any) -> list[bytes]:
    received = b"".join([message.frames async for message in stream(chat, model, **parameters)])
    return received.split(b"\n\n")[:-1]


def anonymous(completion: dict[str, Any]) -> dict[str, Any]:
    """Return a completion without what differs from one call to the next."""
    for choice in completion["choices"]:
        for call in choice["message"].get("tool_calls") or ():
            assert call["id"].startswith("call_")
            call["id"] = "call"
    return completion | {"id": "", "created": 0}


async def test_whole_answer_is_stored_as_it_was_answered(chat: Client, history: FakeCompletions) -> None:
    answer = await create(chat, "ok", metadata={"topic": "Rome"})
    [request] = history.requests
    assert json.loads(request.completion.body) == answer
    assert request.completion.id == answer["id"]
    assert answer["id"].startswith("chatcmpl-")
    assert answer["choices"][0]["message"]["content"] == GREETING
    assert (list(request.completion.models), dict(request.completion.metadata)) == (["ok"], {"topic": "Rome"})
    assert [json.loads(message) for message in request.messages] == MESSAGES
    assert history.owners == ["user_1"]


@pytest.mark.parametrize("parameters", [{}, {"n": 3}, {"stream_options": {"include_usage": True}}, {"tools": TOOLS}])
@pytest.mark.parametrize("model", [*(name for name in GOOD_MODELS if name != "long-500-20"), "no-usage", "echo"])
async def test_stream_stores_what_the_same_call_stores_unstreamed(
    chat: Client, history: FakeCompletions, model: str, parameters: dict[str, Any]
) -> None:
    await create(chat, model, **{name: value for name, value in parameters.items() if name != "stream_options"})
    await frames_of(chat, model, **parameters)
    whole, streamed = history.bodies
    assert anonymous(streamed) == anonymous(whole)


async def test_long_stream_is_stored_whole(chat: Client, history: FakeCompletions) -> None:
    await frames_of(chat, "ok-200-1")
    [stored] = history.bodies
    assert stored["choices"][0]["message"]["content"].split()[-1] == "word-200"


async def answer_as_number_one(call: Call) -> None:
    """Answer by the name that every answer has."""
    await call.deliver(Answer(request=call.request, reply=Reply(content=("Hi.",)), key="1"), gap_seconds=0)


async def test_providers_name_for_every_answer_is_replaced(
    chat: Client, provider: ScriptedProvider, history: FakeCompletions
) -> None:
    provider.program("ok", *[answer_as_number_one] * 4)
    told = [(await create(chat, "ok"))["id"] for _ in range(2)]
    for _ in range(2):
        *frames, done = await frames_of(chat, "ok")
        assert done == b"data: [DONE]"
        [name] = {json.loads(frame.removeprefix(b"data: "))["id"] for frame in frames}
        told.append(name)
    assert len(set(told)) == 4
    assert [request.completion.id for request in history.requests] == told
    assert [stored["id"] for stored in history.bodies] == told
    assert all(re.fullmatch("chatcmpl-[0-9a-f]{32}", name) for name in told)


async def test_usage_is_stored_and_not_shown_to_who_did_not_ask(chat: Client, history: FakeCompletions) -> None:
    frames = await frames_of(chat, "ok")
    assert b"total_tokens" not in b"".join(frames)
    assert history.bodies[0]["usage"]["total_tokens"] > 0


async def test_providers_name_of_the_model_is_stored_too(
    open_chat: Callable[..., Awaitable[Client]],
    provider: ScriptedProvider,
    history: FakeCompletions,
    history_address: dict[str, Any],
    tmp_path: Any,
) -> None:
    catalogue = tmp_path / "models.yaml"
    catalogue.write_text("models:\n  - {id: mine, provider: openai, upstream_name: ok, create_time: 2026-01-01}\n")
    call_as("user_1")
    chat = await open_chat(openai_base_url=provider.base_url, history=history_address, catalogue_file=catalogue)
    await create(chat, "mine")
    await frames_of(chat, "mine")
    assert [list(request.completion.models) for request in history.requests] == [["mine", "ok"]] * 2


@pytest.mark.parametrize("store", [True, False])
async def test_provider_is_not_asked_to_store(chat: Client, provider: ScriptedProvider, store: bool) -> None:
    await create(chat, "ok", store=store, metadata={"a": "1"})
    await frames_of(chat, "ok", store=store, metadata={"a": "1"})
    assert len(provider.chats) == 2
    for asked in provider.chats:
        assert not {"store", "metadata"} & set(asked.body)


async def test_answer_that_is_not_to_be_stored_is_not(chat: Client, history: FakeCompletions) -> None:
    await create(chat, "ok", store=False)
    await frames_of(chat, "ok", store=False)
    assert not history.called.is_set()


async def test_stream_does_not_end_before_it_is_stored(chat: Client, history: FakeCompletions) -> None:
    history.proceed.clear()
    async with aclosing(stream(chat, "ok")) as messages:
        received = b""
        while b'"finish_reason":"stop"' not in received:
            received += (await anext(messages)).frames
        last = asyncio.ensure_future(anext(messages))
        await asyncio.wait_for(history.called.wait(), 5)
        done, _ = await asyncio.wait({last}, timeout=0.1)
        assert not done
        history.proceed.set()
        assert (await last).frames == b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (UnavailableError("Away."), UnavailableError),
        (InternalError("Broken."), UnavailableError),
        (ConflictError("Taken."), UnavailableError),
        (InvalidArgumentError("Too large."), InvalidArgumentError),
    ],
)
async def test_answer_that_cannot_be_stored_is_an_error_and_paid_once(
    chat: Client, history: FakeCompletions, read_usage_events: Read, error: AppError, raised: type[AppError]
) -> None:
    history.error = error
    with pytest.raises(raised):
        await create(chat, "ok")
    received = b""
    with pytest.raises(raised):
        async for message in stream(chat, "ok"):
            received += message.frames
    assert GREETING.split()[-1].encode() in received
    assert b"[DONE]" not in received
    await asyncio.sleep(0.1)
    events = await read_usage_events()
    assert [(event.outcome, event.estimated) for event in events] == [(UsageOutcome.USAGE_OUTCOME_FINISHED, False)] * 2


async def test_history_that_does_not_answer_is_unavailable(chat: Client, history: FakeCompletions) -> None:
    history.proceed.clear()
    with pytest.raises(UnavailableError, match="could not be stored"):
        await create(chat, "ok")
    with pytest.raises(UnavailableError, match="could not be stored"):
        await frames_of(chat, "ok")


async def test_stream_that_breaks_is_not_stored(chat: Client, history: FakeCompletions) -> None:
    with pytest.raises(AppError):
        await frames_of(chat, "close-mid-stream")
    assert not history.called.is_set()


async def test_stream_whose_client_leaves_is_not_stored(
    chat: Client, provider: ScriptedProvider, history: FakeCompletions
) -> None:
    async with aclosing(stream(chat, "ok-1000-10")) as messages:
        await anext(messages)
    await provider.wait_for_cancelled(1)
    await asyncio.sleep(0.1)
    assert not history.called.is_set()


async def test_stream_larger_than_can_be_kept_is_ended(
    chat: Client, history: FakeCompletions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_MAX_STREAM_BYTES", 1_000)
    with pytest.raises(AppError, match="too large"):
        await frames_of(chat, "ok")
    assert not history.called.is_set()


@pytest.mark.parametrize(
    "wrong", [{"messages": None}, {"messages": "Hi"}, {"metadata": ["a"]}, {"metadata": {"a": 1}}], ids=str
)
async def test_what_cannot_be_stored_is_refused_before_the_model_is_asked(
    chat: Client, provider: ScriptedProvider, read_usage_events: Read, wrong: dict[str, Any]
) -> None:
    for call in (create(chat, "ok", **wrong), frames_of(chat, "ok", **wrong)):
        with pytest.raises(InvalidArgumentError) as refused:
            await call
        assert refused.value.param == next(iter(wrong))
    assert not provider.chats
    assert await read_usage_events() == []
