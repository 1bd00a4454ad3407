"""Commands that nobody waits for any more end in the metrics and the trace too; PyMongo tells of the others alone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from bson import encode
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from pymongo import AsyncMongoClient

from rostra_kit.telemetry import mongodb
from rostra_kit.telemetry.database import DatabaseMetrics
from rostra_kit.telemetry.mongodb import CommandWatch

HELLO = {"ok": 1.0, "isWritablePrimary": True, "minWireVersion": 0, "maxWireVersion": 21, "helloOk": True}


@asynccontextmanager
async def silent_server(asked: asyncio.Event) -> AsyncIterator[int]:
    """A server that greets, answers pings, and nothing else ever; being asked to find sets `asked`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                header = await reader.readexactly(16)
                body = await reader.readexactly(int.from_bytes(header[:4], "little") - 16)
                if b"\x02find\x00" in body:
                    asked.set()
                    continue
                if header[12:16] == (2004).to_bytes(4, "little"):  # OP_QUERY is answered by OP_REPLY
                    answer, code = bytes(16) + (1).to_bytes(4, "little") + encode(HELLO), 1
                else:
                    answer, code = bytes(5) + encode(HELLO), 2013
                size = len(answer) + 16
                writer.write(b"".join(n.to_bytes(4, "little") for n in (size, 1)) + header[4:8])
                writer.write(code.to_bytes(4, "little") + answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(mongodb, "_TRACER", provider.get_tracer("test"))
    return exporter


async def run(
    operate: Callable[[CommandWatch, AsyncMongoClient[Any], asyncio.Event], Any], registry: CollectorRegistry
) -> None:
    watch = CommandWatch(DatabaseMetrics(registry))
    asked = asyncio.Event()
    async with silent_server(asked) as port:
        uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        async with AsyncMongoClient[Any](uri, event_listeners=[watch]) as client:
            with trace.use_span(mongodb._TRACER.start_span("request"), end_on_exit=True):
                await operate(watch, client, asked)


async def end_when(asked: asyncio.Event, limit: asyncio.Timeout) -> None:
    await asked.wait()
    limit.reschedule(asyncio.get_running_loop().time())


def count(registry: CollectorRegistry, operation: str) -> float | None:
    return registry.get_sample_value("rostra_database_seconds_count", {"operation": operation})


def span_of(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    (span,) = [span for span in exporter.get_finished_spans() if span.name == name]
    return span


async def test_command_that_is_answered_is_measured_and_traced(exporter: InMemorySpanExporter) -> None:
    async def operate(watch: CommandWatch, client: AsyncMongoClient[Any], _asked: asyncio.Event) -> None:
        with watch.operation():
            await client.admin.command("ping")

    registry = CollectorRegistry()
    await run(operate, registry)
    assert count(registry, "ping") == 1
    span = span_of(exporter, "ping")
    assert span.attributes
    assert "error.type" not in span.attributes


@pytest.mark.parametrize("in_tasks", [False, True])
async def test_command_that_runs_out_of_time_is_measured_and_its_span_ends(
    exporter: InMemorySpanExporter, in_tasks: bool
) -> None:
    async def operate(watch: CommandWatch, client: AsyncMongoClient[Any], asked: asyncio.Event) -> None:
        finding = client.history.items.find_one({})
        with pytest.raises(TimeoutError), watch.operation():
            async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as group:
                group.create_task(end_when(asked, limit))
                await (asyncio.gather(finding) if in_tasks else finding)

    registry = CollectorRegistry()
    await run(operate, registry)
    assert count(registry, "find") == 1
    span = span_of(exporter, "find items")
    assert span.attributes
    assert span.attributes["error.type"] == "TimeoutError"
    assert span.status.status_code is trace.StatusCode.ERROR
