"""Tracing: W3C trace context on every hop, exported by OTLP when the standard `OTEL_*` variables name a collector."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()


@contextmanager
def tracing(service: str) -> Iterator[None]:
    """Export the spans of this process while the context is open, if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.

    Without it spans cost next to nothing, and a trace context that comes in is passed on all the same.
    """
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        yield
        return
    # Imported only where they are needed: they would be a good part of every service's start.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": f"rostra-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()


def incoming_trace(headers: Mapping[str, Any]) -> Context:
    """Return the trace that `traceparent` and `tracestate` among `headers` (lower-case names) belong to."""
    return _PROPAGATOR.extract(headers)


def outgoing_trace() -> dict[str, str]:
    """Return the headers that let the next hop join the trace under way; empty when there is none."""
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers)
    return headers
