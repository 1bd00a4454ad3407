"""A collector that is dead, or that never answers, costs spans and nothing else; the spans are counted."""

import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace

from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra_kit.client import ServiceClient
from rostra_kit.ports import LOOPBACK, free_port
from rostra_kit.settings import ServiceAddress
from rostra_kit.testing.grpc import call_as
from rostra_stack.child import Child
from rostra_stack.plan import ProcessPlan
from support.observed_stack import scrape

pytestmark = pytest.mark.e2e

_HISTORY = pb.DESCRIPTOR.services_by_name["HistoryService"]
_CALLS = 100
_SPANS_PER_CALL = 2  # the RPC's and the statement's
_QUEUE, _BATCH = 20, 10


@contextmanager
def _dead_collector() -> Iterator[int]:
    """Yield a port on which nobody listens."""
    yield free_port()


@contextmanager
def _silent_collector() -> Iterator[int]:
    """Yield a port on which connections are made, and never answered."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("collector", [_dead_collector, _silent_collector])
async def test_collector_that_takes_nothing_costs_spans_and_nothing_else(tmp_path: Path, collector) -> None:
    with collector() as port:
        history = _history(tmp_path, collector_port=port)
        await history.start()
        try:
            await history.wait_ready(timeout_seconds=60)
            await _call(history)
            families = await scrape(history)
            # In order, in spite of spans that nobody takes: the grace is far longer than what it may take.
            code = await history.stop(timeout_seconds=30)
        finally:
            await history.kill()
    assert code == 0, history.log.read_text()[-2000:]
    told = {sample.labels["outcome"]: sample.value for sample in families["rostra_telemetry_spans"].samples}
    assert told["exported"] == 0
    assert told["dropped"] + told["failed"] >= _CALLS * _SPANS_PER_CALL - _QUEUE - _BATCH
    (handled,) = [
        sample.value
        for sample in families["grpc_server_handled"].samples
        if sample.labels.get("grpc_method") == "ListConversations" and sample.labels["grpc_code"] == "OK"
    ]
    assert handled == _CALLS


def _history(folder: Path, *, collector_port: int) -> Child:
    environment = {
        "ROSTRA_HISTORY_DATABASE__URL": f"sqlite:///{folder}/history.sqlite3",
        "ROSTRA_HISTORY_LISTEN__PORT": str(port := free_port()),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{LOOPBACK}:{collector_port}",
        "OTEL_BSP_MAX_QUEUE_SIZE": str(_QUEUE),
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": str(_BATCH),
        "OTEL_BSP_SCHEDULE_DELAY": "10",
    }
    plan = ProcessPlan(
        name="history",
        command=(sys.executable, "-m", "rostra_history"),
        port=port,
        probe="grpc",
        environment={**os.environ, **environment},
    )
    return Child(plan, folder / "logs")


async def _call(history: Child) -> None:
    """Make calls that belong to traces which are recorded."""
    call_as("user_1")
    async with ServiceClient(HistoryServiceStub, _HISTORY, ServiceAddress(target=history.plan.address)) as client:
        for _ in range(_CALLS):
            parent = trace.SpanContext(secrets.randbits(128), secrets.randbits(64), True, trace.TraceFlags(1))
            token = otel_context.attach(trace.set_span_in_context(trace.NonRecordingSpan(parent)))
            try:
                await client.call(client.stub.ListConversations, pb.ListConversationsRequest())
            finally:
                otel_context.detach(token)
