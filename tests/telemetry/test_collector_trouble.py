"""A collector that is dead, or that never answers, costs spans and nothing else; the spans are counted."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra_kit.client import ServiceClient
from rostra_kit.ports import LOOPBACK, free_port
from rostra_kit.settings import ServiceAddress
from rostra_kit.testing.grpc import call_as
from rostra_stack.child import Child
from support.observed_stack import scrape
from support.traced_service import recorded_trace, service_process

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
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{LOOPBACK}:{collector_port}",
        "OTEL_BSP_MAX_QUEUE_SIZE": str(_QUEUE),
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": str(_BATCH),
        "OTEL_BSP_SCHEDULE_DELAY": "10",
    }
    return service_process("history", folder, environment)


async def _call(history: Child) -> None:
    call_as("user_1")
    async with ServiceClient(HistoryServiceStub, _HISTORY, ServiceAddress(target=history.plan.address)) as client:
        for _ in range(_CALLS):
            with recorded_trace():
                await client.call(client.stub.ListConversations, pb.ListConversationsRequest())
