"""A collector of traces that keeps what it is sent: OTLP over gRPC, in a process of its own.

A gRPC server in the test's process would not survive that the test starts others.
"""

import asyncio
import fcntl
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedSpan:
    """A span as it was sent; `service` is without `rostra-`, and of links the linked spans' ids are kept."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    is_failed: bool
    attributes: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.service}: {self.name} ({self.kind})"


@dataclass(frozen=True, slots=True)
class TraceReceiver:
    """A collector that runs.

    Attributes:
        url: Where it listens, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
        file: Holds all that was sent.
    """

    url: str
    file: Path

    def text(self) -> str:
        """Return all that was sent, as text."""
        return self.file.read_bytes().decode("utf-8", "replace")

    def spans(self) -> list[ReceivedSpan]:
        """Return the spans that were sent."""
        with self.file.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # so that none is written by half
            # One message after the other is one message: its lists are longer.
            sent = trace_service_pb2.ExportTraceServiceRequest.FromString(file.read())
        return [
            _received(span, service=_values(of_service.resource.attributes)["service.name"])
            for of_service in sent.resource_spans
            for scope in of_service.scope_spans
            for span in scope.spans
        ]


@asynccontextmanager
async def trace_receiver(file: Path) -> AsyncIterator[TraceReceiver]:
    """Run a collector that writes to `file`."""
    file.touch()  # noqa: ASYNC240 - once, before anything runs
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, file, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    try:
        async with asyncio.timeout(30):
            port = int(await process.stdout.readline())
        yield TraceReceiver(f"http://127.0.0.1:{port}", file)
    finally:
        process.kill()
        await process.wait()


def _received(span: trace_pb2.Span, *, service: str) -> ReceivedSpan:
    return ReceivedSpan(
        service=service.removeprefix("rostra-"),
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=tuple(link.span_id.hex() for link in span.links),
        is_failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        attributes=_values(span.attributes),
    )


def _values(pairs: Iterable[common_pb2.KeyValue]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


class _Servicer(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, file: Path) -> None:
        self._file = file

    async def Export(self, request: Any, context: Any) -> Any:
        with self._file.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Unescaped: the bytes hold every string as it was sent.
            file.write(request.SerializeToString())
        return trace_service_pb2.ExportTraceServiceResponse()


async def _serve(file: Path) -> None:
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Servicer(file), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
