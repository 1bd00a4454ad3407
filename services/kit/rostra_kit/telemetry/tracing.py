"""Tracing: spans exported by OTLP when the standard `OTEL_*` variables name a collector."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from prometheus_client import CollectorRegistry

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@contextmanager
def tracing(service: str, registry: CollectorRegistry) -> Iterator[None]:
    """Export the spans of this process while the context is open, if a collector is named and tracing is not disabled.

    Without it spans cost next to nothing, and a trace context that comes in is passed on all the same.

    Args:
        service: The service's name.
        registry: Takes the count of spans.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS) or os.environ.get("OTEL_SDK_DISABLED") == "true":
        yield
        return
    # Imported only where they are needed: they would be a good part of every service's start.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

    from rostra_kit.telemetry.sampling import LinkSampler, default_sampler  # noqa: PLC0415
    from rostra_kit.telemetry.span_queue import SpanQueue  # noqa: PLC0415

    resource = Resource.create({"service.name": f"rostra-{service}", "service.namespace": "rostra"})
    provider = TracerProvider(sampler=default_sampler(), resource=resource, shutdown_on_exit=False)
    provider.sampler = LinkSampler(provider.sampler)
    provider.add_span_processor(SpanQueue(OTLPSpanExporter(), registry))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()
