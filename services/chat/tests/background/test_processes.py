"""Chat and history as processes, and signals that no process can refuse."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceStub
from rostra.history.v1 import history_service_pb2 as history_pb
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra_kit.client import ServiceClient
from rostra_kit.settings import ServiceAddress
from rostra_kit.testing.grpc import call_as
from support.provider import ScriptedProvider
from support.provider_reply import numbered_text

CHAT = pb.DESCRIPTOR.services_by_name["ChatService"]
HISTORY = history_pb.DESCRIPTOR.services_by_name["HistoryService"]
STATE = pb.ResponseState(store=True, background=True)


class Process:
    """A service as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.target = f"127.0.0.1:{port}"
        self._process = process
        self._log = asyncio.create_task(process.stderr.read())

    @classmethod
    async def start(cls, module: str, settings: dict[str, Any]) -> "Process":
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ROSTRA_", "OPENAI_"))}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            env=kept | {name: str(value) for name, value in settings.items()},
            stderr=asyncio.subprocess.PIPE,
            limit=2**20,
        )
        port = 0
        while line := await process.stderr.readline():
            entry = json.loads(line)
            port = entry.get("port", port)
            if entry["message"] == "ready":
                return cls(process, port)
        raise RuntimeError(f"{module} did not start")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """End it by a signal and return its exit code."""
        if self._process.returncode is None:
            self.send(number)
        await self._log
        return await self._process.wait()


class Stack:
    """History, some chats, a provider whose words take their time, and clients of all."""

    def __init__(self, stack: AsyncExitStack, settings: dict[str, Any]) -> None:
        self._stack = stack
        self._settings = settings
        self.history: Any = None

    async def start_chat(self, **settings: Any) -> tuple[Process, Any]:
        names = {f"ROSTRA_CHAT_{name}": value for name, value in settings.items()}
        process = await Process.start("rostra_chat", self._settings | names)
        self._stack.push_async_callback(process.end)
        client = ServiceClient(ChatServiceStub, CHAT, ServiceAddress(target=process.target, timeout_seconds=30))
        return process, await self._stack.enter_async_context(client)

    async def create(self, chat: Any, model: str) -> str:
        body = orjson.dumps({"model": model, "input": "Count.", "background": True})
        request = pb.CreateResponseRequest(model=model, body=body, state=STATE)
        return orjson.loads((await chat.call(chat.stub.CreateResponse, request)).body)["id"]

    async def follow(self, chat: Any, response_id: str) -> list[dict[str, Any]]:
        request = pb.FollowResponseRequest(response_id=response_id)
        frames = b"".join([message.frames async for message in chat.stream(chat.stub.FollowResponse, request)])
        return [orjson.loads(frame.partition(b"\ndata: ")[2]) for frame in frames.split(b"\n\n")[:-1]]

    async def stored(self, response_id: str) -> tuple[str, str]:
        """Return the status and the text of a stored response."""
        request = history_pb.GetResponseRequest(response_id=response_id)
        answer = await self.history.call(self.history.stub.GetResponse, request)
        items = [orjson.loads(item.body) for item in answer.output]
        texts = [part["text"] for item in items if item["type"] == "message" for part in item["content"]]
        return orjson.loads(answer.response.body)["status"], "".join(texts)


@pytest.fixture
async def stack(redis_server, tmp_path: Path) -> AsyncIterator[Stack]:
    async with AsyncExitStack() as exits:
        provider = await exits.enter_async_context(ScriptedProvider(models=["ok-100-20", "ok-400-20"]))
        database = {"ROSTRA_HISTORY_DATABASE__URL": f"sqlite:///{tmp_path}/history.db"}
        history = await Process.start("rostra_history", database)
        exits.push_async_callback(history.end)
        settings = {
            "ROSTRA_CHAT_HISTORY__TARGET": history.target,
            "ROSTRA_CHAT_USER__TARGET": "127.0.0.1:1",
            "ROSTRA_CHAT_REDIS__URL": redis_server.url,
            "ROSTRA_CHAT_BACKGROUND__LEASE_SECONDS": 1.5,
            "ROSTRA_CHAT_BACKGROUND__RENEW_SECONDS": 0.4,
            "ROSTRA_CHAT_BACKGROUND__POLL_SECONDS": 0.2,
            "OPENAI_BASE_URL": provider.base_url,
        }
        stack = Stack(exits, settings)
        client = ServiceClient(HistoryServiceStub, HISTORY, ServiceAddress(target=history.target))
        stack.history = await exits.enter_async_context(client)
        call_as("user_1")
        yield stack


def text_of(events: list[dict[str, Any]]) -> str:
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


async def assert_whole(stack: Stack, response_ids: list[str], streams: list[Any], *, words: int) -> None:
    """Check that every response completed, once and whole, and that its follower saw just that."""
    for response_id, following in zip(response_ids, streams, strict=True):
        async with asyncio.timeout(30):
            events = await following
        assert events[-1]["type"] == "response.completed"
        assert text_of(events) == numbered_text(words)
        assert await stack.stored(response_id) == ("completed", numbered_text(words))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
async def test_responses_outlive_their_process(stack, number):
    runner, client = await stack.start_chat(SHUTDOWN__DRAIN_SECONDS=0.2)
    _, follower = await stack.start_chat(BACKGROUND__MAX_RUNS=0)
    ids = [await stack.create(client, "ok-100-20") for _ in range(10)]
    streams = [asyncio.create_task(stack.follow(follower, response_id)) for response_id in ids]
    await asyncio.sleep(0.8)

    runner.send(number)
    await stack.start_chat()
    await assert_whole(stack, ids, streams, words=100)

    if number is signal.SIGSTOP:
        runner.send(signal.SIGCONT)
        await asyncio.sleep(1.0)
        again = [asyncio.create_task(stack.follow(follower, response_id)) for response_id in ids]
        await assert_whole(stack, ids, again, words=100)
    if number is signal.SIGTERM:
        assert await runner.end(signal.SIGTERM) == 0


async def test_cancel_reaches_the_process_that_runs_the_response(stack):
    await stack.start_chat()
    _, other = await stack.start_chat(BACKGROUND__MAX_RUNS=0)
    response_id = await stack.create(other, "ok-400-20")
    following = asyncio.create_task(stack.follow(other, response_id))
    await asyncio.sleep(0.8)

    answer = await other.call(other.stub.CancelResponse, pb.CancelResponseRequest(response_id=response_id))
    events = await following

    response = orjson.loads(answer.body)
    assert response["status"] == "cancelled"
    assert events[-1]["type"] == "response.cancelled"
    assert await stack.stored(response_id) == ("cancelled", text_of(events))
    assert text_of(events)


async def test_redis_that_comes_back_empty_stops_no_response(stack, redis_server):
    await stack.start_chat()
    _, follower = await stack.start_chat(BACKGROUND__MAX_RUNS=0)
    ids = [await stack.create(follower, "ok-100-20") for _ in range(20)]
    streams = [asyncio.create_task(stack.follow(follower, response_id)) for response_id in ids]
    await asyncio.sleep(0.8)

    redis_server.kill()
    await asyncio.sleep(0.5)
    redis_server.start()

    await assert_whole(stack, ids, streams, words=100)
