"""The engine with everything around it in memory, and a journal of what happened in which order."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from rostra.chat.v1.chat_service_pb2 import CreateResponseRequest, ResponseState, StreamResponseRequest
from rostra.common.v1.limit_state_pb2 import LimitState
from rostra.user.v1.usage_pb2 import UsageOutcome
from rostra_chat.catalogue import Model
from rostra_chat.errors import ModelNotFound
from rostra_chat.providers.provider import Frame
from rostra_chat.responses import run as run_module
from rostra_chat.responses.engine import ResponsesEngine
from rostra_chat.responses.store import Context
from rostra_kit.errors import AppError, NotFoundError

MODEL = Model(
    id="scripted", provider="fake", upstream_name="scripted", context_window=10_000, create_time=datetime.now(UTC)
)
LIMITS = (LimitState(name="tokens", limit=100, remaining=50),)


def chunk(delta: dict[str, Any] | None = None, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a chunk of a chat completion with one choice."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice], **more}


def usage_chunk(prompt_tokens: int = 7, completion_tokens: int = 3) -> dict[str, Any]:
    """Return the chunk that only reports usage."""
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return {"object": "chat.completion.chunk", "choices": [], "usage": usage}


def says(*words: str, finish_reason: str = "stop") -> list[dict[str, Any]]:
    """Return the chunks of an answer that is nothing but text."""
    pieces = [chunk({"content": word}) for word in words]
    return [chunk({"role": "assistant", "content": ""}), *pieces, chunk({}, finish_reason), usage_chunk()]


class ScriptedModel:
    """A provider that plays a script: chunks, errors to raise, and events to wait for."""

    name = "fake"

    def __init__(self, journal: list[str]) -> None:
        self.script: Sequence[Any] = says("Hello ", "there")
        self.bodies: list[dict[str, Any]] = []
        self.stalled = asyncio.Event()
        self._journal = journal

    async def stream(self, model: Model, body: dict[str, Any]) -> AsyncGenerator[list[Frame], None]:
        self._journal.append("provider")
        self.bodies.append(body)
        try:
            for step in self.script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    self.stalled.set()
                    await step.wait()
                    continue
                yield [Frame(data=data, raw=b"") for data in (step if isinstance(step, list) else [step])]
        finally:
            self._journal.append("provider closed")


class MemoryStore:
    """A `ResponseStore` in memory, which fails on demand."""

    def __init__(self, journal: list[str]) -> None:
        self.context = Context()
        self.responses: dict[str, dict[str, Any]] = {}
        self.inputs: dict[str, list[dict[str, Any]]] = {}
        self.branch_points: dict[str, bytes] = {}
        self.loads: list[dict[str, Any]] = []
        self.failures: dict[str, Exception] = {}
        self.leases: dict[str, float] = {}
        self.renewals: list[list[str]] = []
        self._journal = journal

    async def load_context(self, **names: Any) -> Context:
        self.loads.append(names)
        if error := self.failures.get("load"):
            raise error
        return self.context

    async def create(
        self,
        response: dict[str, Any],
        *,
        input_items: Sequence[dict[str, Any]],
        branch_point: bytes = b"",
        lease_seconds: float,
    ) -> None:
        await asyncio.sleep(0)
        if error := self.failures.get("create"):
            raise error
        self._journal.append(f"stored {response['status']}")
        self.responses[response["id"]] = response
        self.inputs[response["id"]] = list(input_items)
        self.branch_points[response["id"]] = branch_point
        self.leases[response["id"]] = lease_seconds

    async def renew(self, response_ids: Sequence[str], *, lease_seconds: float) -> None:
        self.renewals.append(list(response_ids))
        if error := self.failures.get("renew"):
            raise error

    async def finish(self, response: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        if error := self.failures.get("finish"):
            raise error
        if response["id"] not in self.responses:
            raise NotFoundError("No such response.")
        self._journal.append(f"stored {response['status']}")
        self.responses[response["id"]] = response

    @property
    def only(self) -> dict[str, Any]:
        (response,) = self.responses.values()
        return response


class RecordingMeter:
    """Hands out charges and remembers how each of them ended."""

    def __init__(self, journal: list[str]) -> None:
        self.error: AppError | None = None
        self.reserved: list[dict[str, Any]] = []
        self.ends: list[tuple[Any, ...]] = []
        self.journal = journal

    async def reserve(self, **wanted: Any) -> "RecordingCharge":
        if self.error:
            raise self.error
        self.journal.append("reserved")
        self.reserved.append(wanted)
        return RecordingCharge(self)


class RecordingCharge:
    limits = LIMITS

    def __init__(self, meter: RecordingMeter) -> None:
        self._meter = meter

    async def settle(self, usage: Any, *, outcome: UsageOutcome, estimated: bool) -> None:
        await asyncio.sleep(0)
        name = UsageOutcome.Name(outcome).removeprefix("USAGE_OUTCOME_")
        self._meter.journal.append("settled")
        self._meter.ends.append((name, usage.input_tokens, usage.output_tokens, estimated))

    async def cancel(self) -> None:
        await asyncio.sleep(0)
        self._meter.journal.append("given back")
        self._meter.ends.append(("GIVEN BACK",))


@dataclass
class Bench:
    """The engine, and all that it touches."""

    journal: list[str] = field(default_factory=list)
    lease_seconds: float = 20.0

    def __post_init__(self) -> None:
        self.provider = ScriptedModel(self.journal)
        self.store = MemoryStore(self.journal)
        self.meter = RecordingMeter(self.journal)
        self.model = MODEL
        self.engine = ResponsesEngine(
            models=self,
            meter=self.meter,
            store=self.store,
            default_max_output_tokens=256,
            lease_seconds=self.lease_seconds,
        )

    async def get(self, name: str) -> tuple[Model, ScriptedModel]:
        if name != self.model.id:
            raise ModelNotFound.named(name)
        return self.model, self.provider

    async def create(self, *, state: ResponseState | None = None, **body: Any) -> dict[str, Any]:
        """Make a response that is not streamed."""
        request = CreateResponseRequest(model=self.model.id, body=_body(body), state=state or ResponseState(store=True))
        return orjson.loads((await self.engine.create(request)).body)

    async def stream(self, *, state: ResponseState | None = None, **body: Any) -> AsyncGenerator[dict[str, Any], None]:
        """Make a response and yield its events, parsed."""
        request = StreamResponseRequest(model=self.model.id, body=_body(body), state=state or ResponseState(store=True))
        async for message in self.engine.stream(request):
            for event in parse_frames(message.frames):
                self.journal.append(event["type"])
                yield event

    async def events(self, **body: Any) -> list[dict[str, Any]]:
        """Make a response and return all its events."""
        return [event async for event in self.stream(**body)]


def _body(body: dict[str, Any]) -> bytes:
    return orjson.dumps({"model": MODEL.id, "input": "Hi", **body})


def parse_frames(frames: bytes) -> list[dict[str, Any]]:
    """Return the events in server-sent frames, after a check of the frames' form."""
    assert frames.endswith(b"\n\n")
    events = []
    for frame in frames[:-2].split(b"\n\n"):
        name, data = frame.split(b"\n")
        event = orjson.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode()
        events.append(event)
    return events


@pytest.fixture
async def bench(monkeypatch):
    monkeypatch.setattr(run_module, "_PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(run_module, "_RETRY_SECONDS", 0.01)
    bench = Bench()
    async with bench.engine:
        yield bench


@pytest.fixture
def chunks():
    """The makers of chunks."""
    return Chunks


class Chunks:
    one = staticmethod(chunk)
    usage = staticmethod(usage_chunk)
    says = staticmethod(says)
