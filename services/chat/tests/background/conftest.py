"""Replicas of chat around one Redis and one queue: everything is real but the queue, the meter and the model."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.user.v1.usage_pb2 import UsageOutcome
from rostra_chat.background.job_queue import ENDED, Job, Lease, Renewal
from rostra_chat.background.opening import Background, open_background
from rostra_chat.catalogue import Model
from rostra_chat.continuation import broken_off
from rostra_chat.errors import LeaseLost
from rostra_chat.metrics import ChatMetrics
from rostra_chat.providers.provider import Frame
from rostra_chat.responses.planner import Planner
from rostra_chat.responses.store import Context
from rostra_chat.settings import BackgroundSettings
from rostra_kit.errors import AppError, InvalidArgumentError, NotFoundError, UnavailableError
from rostra_kit.redis import RedisSettings, open_redis
from rostra_kit.testing.grpc import call_as
from rostra_kit.testing.redis_server import RedisServer, installed_redis, redis_client, running_redis

FAST = BackgroundSettings(lease_seconds=0.6, renew_seconds=0.1, poll_seconds=0.1, gather_seconds=0.01)


class MemoryQueue:
    """A `JobQueue` in memory, with leases and fencing as history has them."""

    def __init__(self) -> None:
        self.responses: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, bytes] = {}
        self.branch_points: dict[str, bytes] = {}
        self.leases: dict[str, tuple[int, float]] = {}
        self.tries: dict[str, int] = {}
        self.cancelled: set[str] = set()
        self.finished: list[tuple[str, str, int]] = []
        self.is_away = False
        self.ended: dict[str, asyncio.Event] = {}

    async def enqueue(
        self, response: dict[str, Any], *, input_items: Sequence[Any], request_body: bytes, branch_point: bytes = b""
    ) -> None:
        self._check()
        self.responses[response["id"]] = response
        self.jobs[response["id"]] = request_body
        self.branch_points[response["id"]] = branch_point
        self.ended[response["id"]] = asyncio.Event()

    async def get(self, response_id: str) -> dict[str, Any]:
        self._check()
        if response_id not in self.responses:
            raise NotFoundError("No such response.")
        return self.responses[response_id]

    async def cancel(self, response_id: str) -> dict[str, Any]:
        response = await self.get(response_id)
        if not response["background"]:
            raise InvalidArgumentError("Cannot cancel a synchronous response.")
        if response["status"] == "queued":
            self._end(response | {"status": "cancelled"})
        elif response["status"] == "in_progress":
            self.cancelled.add(response_id)
        return self.responses[response_id]

    async def claim(self, *, lease_seconds: float) -> Job | None:
        self._check()
        await asyncio.sleep(0)
        now = time.monotonic()
        for response_id, response in self.responses.items():
            attempt, ends_at = self.leases.get(response_id, (0, 0.0))
            if response["status"] in ENDED or ends_at > now:
                continue
            self.leases[response_id] = (attempt + 1, now + lease_seconds)
            self.tries[response_id] = self.tries.get(response_id, 0) + 1
            self.responses[response_id] = response | {"status": "in_progress"}
            lease = Lease(response_id, attempt + 1)
            body = self.jobs[response_id]
            return Job(
                lease=lease,
                tries=self.tries[response_id],
                response=self.responses[response_id],
                request_body=body,
                caller=b"\n\x04user",
            )
        return None

    async def renew(self, leases: Sequence[Lease], *, lease_seconds: float) -> Renewal:
        self._check()
        lost = {lease.response_id for lease in leases if not self._holds(lease)}
        for lease in leases:
            if lease.response_id not in lost:
                self.leases[lease.response_id] = (lease.attempt, time.monotonic() + lease_seconds)
        return Renewal(frozenset(lost), frozenset(self.cancelled - lost))

    async def release(self, lease: Lease) -> None:
        self._check()
        if self._holds(lease):
            self.leases[lease.response_id] = (lease.attempt, 0.0)
            self.tries[lease.response_id] -= 1

    async def finish(self, response: dict[str, Any], lease: Lease) -> None:
        self._check()
        await asyncio.sleep(0)
        if response["id"] not in self.responses:
            raise NotFoundError("No such response.")
        if not self._holds(lease):
            raise LeaseLost("It is another runner's.")
        self.finished.append((response["id"], response["status"], lease.attempt))
        self._end(response)

    def _end(self, response: dict[str, Any]) -> None:
        self.responses[response["id"]] = response
        self.ended[response["id"]].set()

    def _holds(self, lease: Lease) -> bool:
        response = self.responses.get(lease.response_id)
        held = self.leases.get(lease.response_id, (0, 0.0))[0]
        return response is not None and response["status"] not in ENDED and held == lease.attempt

    def _check(self) -> None:
        if self.is_away:
            raise UnavailableError("History is away.")


class WordsModel:
    """A model that says numbered words and goes on where it was cut; `gate` holds it before words from `hold_at` on.

    Its name says how many words there are, and how it says them: `words-20`, `reasoning-20`, `call-3`.
    """

    name = "fake"

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.pause_seconds = 0.002
        self.hold_at: int | None = None
        self.gate = asyncio.Event()
        self.held = asyncio.Event()
        self.error: AppError | None = None

    async def stream(self, model: Model, body: dict[str, Any]) -> AsyncGenerator[list[Frame], None]:
        self.bodies.append(body)
        if self.error is not None:
            raise self.error
        _, said = broken_off(body)
        kind, _, count = model.id.partition("-")
        words = [f"word-{number} " for number in range(1, int(count) + 1)]
        if kind == "reasoning" and not said:
            for word in ("Let ", "me ", "think. "):
                yield [_frame({"reasoning_content": word})]
                await self._wait(0)
        for number, word in list(enumerate(words, start=1))[len(re.findall(r"word-\d+ ", said)) :]:
            await self._wait(number)
            yield [_frame({"content": word})]
        if kind == "call":
            async for frames in self._call(int(count)):
                yield frames
        yield [_frame({}, "tool_calls" if kind == "call" else "stop")]
        usage = {"prompt_tokens": 7, "completion_tokens": len(words)}
        yield [Frame(data={"choices": [], "usage": usage}, raw=b"")]

    async def _call(self, count: int) -> AsyncGenerator[list[Frame], None]:
        function = {"name": "look", "arguments": '{"at":'}
        yield [_frame({"tool_calls": [{"index": 0, "id": "call_1", "function": function}]})]
        await self._wait(count + 1)
        yield [_frame({"tool_calls": [{"index": 0, "function": {"arguments": ' "it"}'}}]})]

    async def _wait(self, number: int) -> None:
        if self.hold_at is not None and number >= self.hold_at:
            self.held.set()
            await self.gate.wait()
        await asyncio.sleep(self.pause_seconds)


def _frame(delta: dict[str, Any], finish_reason: str | None = None) -> Frame:
    return Frame(data={"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}, raw=b"")


def words(count: int, *, first: int = 1) -> str:
    return "".join(f"word-{number} " for number in range(first, count + 1))


class CountingMeter:
    """Hands out charges and remembers how each of them ended."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.open = 0
        self.error: AppError | None = None

    async def reserve(self, **wanted: Any) -> "CountingCharge":
        if self.error is not None:
            raise self.error
        self.open += 1
        return CountingCharge(self)


class CountingCharge:
    limits = ()

    def __init__(self, meter: CountingMeter) -> None:
        self._meter = meter

    async def settle(self, usage: Any, *, outcome: UsageOutcome, estimated: bool) -> None:
        self._end(UsageOutcome.Name(outcome).removeprefix("USAGE_OUTCOME_"))

    async def cancel(self) -> None:
        self._end("GIVEN BACK")

    def _end(self, how: str) -> None:
        self._meter.open -= 1
        self._meter.ends.append(how)


@dataclass
class Replica:
    """One process of chat; `stack` is what it leaves when it ends in order."""

    background: Background
    registry: CollectorRegistry
    stack: AsyncExitStack

    async def drain(self) -> None:
        """End it as SIGTERM does."""
        self.background.runner.stop_claiming()
        await self.stack.aclose()

    def freeze_leases(self) -> None:
        """Have it hear nothing more of its leases, and claim nothing, as if it were paused."""
        runner = self.background.runner
        runner._renewing.cancel()
        runner._claiming.cancel()

    def kill(self) -> None:
        """End its runs as a crash does: nothing is stored, settled or given back."""
        self.freeze_leases()
        for run in self.background.runner._runs.values():
            if run._run_log is not None:
                run._run_log.abandon()

    def value(self, name: str) -> float:
        return self.registry.get_sample_value(name) or 0.0


def parse_frames(frames: bytes) -> list[dict[str, Any]]:
    """Return the events in server-sent frames."""
    return [orjson.loads(frame.partition(b"\ndata: ")[2]) for frame in frames.split(b"\n\n")[:-1]]


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


def assert_sound(frames: bytes, response: dict[str, Any]) -> None:
    """Check that a follower from the start saw exactly what is stored, without a gap or a repeat."""
    events = parse_frames(frames)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == f"response.{response['status']}"
    stored = [item for item in response["output"] if item["type"] == "message"]
    assert text_of(events) == "".join(part["text"] for item in stored for part in item["content"])
    added = [event["item"]["id"] for event in events if event["type"] == "response.output_item.added"]
    assert added == [item["id"] for item in response["output"]]


@dataclass
class Bench:
    """Replicas, and all that they share."""

    redis_server: RedisServer
    settings: BackgroundSettings = field(default_factory=lambda: FAST)
    queue: MemoryQueue = field(default_factory=MemoryQueue)
    model: WordsModel = field(default_factory=WordsModel)
    meter: CountingMeter = field(default_factory=CountingMeter)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    loads: list[dict[str, Any]] = field(default_factory=list)

    async def get(self, name: str) -> tuple[Model, WordsModel]:
        """Find a model, as `ModelDirectory` does."""
        return Model(id=name, provider="fake", upstream_name=name, create_time=datetime.now(UTC)), self.model

    async def load_context(self, **names: Any) -> Context:
        self.loads.append(names)
        return Context(branch_point=b"point" if names["conversation_id"] else b"")

    async def start(
        self, *, drain_seconds: float = 0.0, foreground_renewal_seconds: float = 0.0, **settings: Any
    ) -> Replica:
        """Start a replica."""
        stack = AsyncExitStack()
        self.stack.push_async_callback(stack.aclose)
        url = SecretStr(self.redis_server.url)
        redis = await stack.enter_async_context(open_redis(RedisSettings(url=url, timeout_seconds=0.5)))
        registry = CollectorRegistry()
        background = await stack.enter_async_context(
            open_background(
                self.settings.model_copy(update=settings),
                redis=redis,
                queue=self.queue,
                planner=Planner(models=self, store=self, default_max_output_tokens=256),
                meter=self.meter,
                metrics=ChatMetrics(registry),
                drain_seconds=drain_seconds,
                foreground_renewal_seconds=foreground_renewal_seconds,
            )
        )
        return Replica(background, registry, stack)

    async def create(self, replica: Replica, model: str = "words-20", *, conversation: str = "", **body: Any) -> str:
        """Queue a response and return its id."""
        request = {"model": model, "input": "Hi", "background": True, **body}
        state = pb.ResponseState(store=True, background=True, conversation_id=conversation)
        answer = await replica.background.responses.create(
            pb.CreateResponseRequest(model=model, body=orjson.dumps(request), state=state)
        )
        response = orjson.loads(answer.body)
        assert (response["status"], response["background"]) == ("queued", True)
        return response["id"]

    async def follow(self, replica: Replica, response_id: str, *, starting_after: int | None = None) -> bytes:
        """Return the frames to the end of the response."""
        request = pb.FollowResponseRequest(response_id=response_id, starting_after=starting_after)
        return b"".join([message.frames async for message in replica.background.responses.follow(request)])

    async def read_until(self, replica: Replica, response_id: str, text: str) -> list[dict[str, Any]]:
        """Follow until the deltas add up to `text`, and return the events."""
        events: list[dict[str, Any]] = []
        request = pb.FollowResponseRequest(response_id=response_id)
        async with asyncio.timeout(5), aclosing(replica.background.responses.follow(request)) as messages:
            async for message in messages:
                events += parse_frames(message.frames)
                if text_of(events) == text:
                    break
        return events

    async def published(self, response_id: str) -> bytes:
        """Return what the log holds."""
        async with Redis.from_url(self.redis_server.url) as redis:
            return b"".join([fields[b"f"] for _, fields in await redis.xrange(f"run:{{{response_id}}}:events")])

    async def until_published(self, response_id: str, sign: bytes) -> None:
        """Return when the log holds `sign`."""
        async with asyncio.timeout(10):
            while sign not in await self.published(response_id):
                pass

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Return when something is so that no event tells of."""
        async with asyncio.timeout(10):
            while not is_so():  # noqa: ASYNC110 - no event tells of what tests watch
                await asyncio.sleep(0.01)

    async def ended(self, response_id: str) -> dict[str, Any]:
        """Return the stored response once it has ended."""
        async with asyncio.timeout(15):
            await self.queue.ended[response_id].wait()
        return self.queue.responses[response_id]

    words = staticmethod(words)
    parse = staticmethod(parse_frames)
    text_of = staticmethod(text_of)
    assert_sound = staticmethod(assert_sound)

    async def cancel(self, replica: Replica, response_id: str) -> dict[str, Any]:
        answer = await replica.background.responses.cancel(pb.CancelResponseRequest(response_id=response_id))
        return orjson.loads(answer.body)


@pytest.fixture(params=["fakeredis", "installed"])
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    executable = installed_redis() if request.param == "installed" else None
    if request.param == "installed" and executable is None:
        pytest.skip("neither redis-server nor valkey-server is on PATH")
    with running_redis(executable) as server:
        yield server


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with redis_client(redis_server.url) as client:
        yield client


@pytest.fixture
async def bench(redis_server: RedisServer) -> AsyncIterator[Bench]:
    call_as("user")
    bench = Bench(redis_server)
    async with bench.stack:
        yield bench
        bench.model.gate.set()
