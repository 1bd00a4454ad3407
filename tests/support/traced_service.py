"""One service as a process whose spans are collected, and calls of it that belong to traces which are recorded."""

import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from opentelemetry import context as otel_context
from opentelemetry import trace

from rostra_kit.ports import free_port
from rostra_stack.child import Child
from rostra_stack.plan import ProcessPlan
from support.stack import eventually
from support.trace_receiver import ReceivedSpan, TraceReceiver, trace_receiver


def service_process(service: str, folder: Path, environment: Mapping[str, str]) -> Child:
    """Return a service's process, not started yet; its settings are this process's own and `environment`."""
    port = free_port()
    plan = ProcessPlan(
        name=service,
        command=(sys.executable, "-m", f"rostra_{service}"),
        port=port,
        probe="grpc",
        environment={**os.environ, f"ROSTRA_{service.upper()}_LISTEN__PORT": str(port), **environment},
    )
    return Child(plan, folder / "logs")


@asynccontextmanager
async def traced_service(
    service: str, folder: Path, environment: Mapping[str, str]
) -> AsyncIterator[tuple[Child, TraceReceiver]]:
    """Run a service, ready for calls, beside a collector of its spans."""
    async with trace_receiver(folder / "spans") as receiver:
        collected = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        process = service_process(service, folder, {**environment, **collected})
        await process.start()
        try:
            await process.wait_ready(timeout_seconds=60)
            yield process, receiver
        finally:
            await process.stop(timeout_seconds=20)


@contextmanager
def recorded_trace() -> Iterator[str]:
    """Let the calls in a `with` belong to a new trace that their receivers record, and yield its id."""
    parent = trace.SpanContext(secrets.randbits(128), secrets.randbits(64), True, trace.TraceFlags(1))
    token = otel_context.attach(trace.set_span_in_context(trace.NonRecordingSpan(parent)))
    try:
        yield f"{parent.trace_id:032x}"
    finally:
        otel_context.detach(token)


async def children_of(receiver: TraceReceiver, trace_id: str, rpc: str) -> list[ReceivedSpan]:
    """Return the spans below the RPC's in that trace, once it has ended."""

    async def has_ended() -> bool:
        return any(span.trace_id == trace_id and span.name.endswith(rpc) for span in receiver.spans())

    await eventually(has_ended, within_seconds=30)
    spans = [span for span in receiver.spans() if span.trace_id == trace_id]
    (parent,) = [span for span in spans if span.name.endswith(rpc)]
    return [span for span in spans if span.parent_id == parent.span_id]
