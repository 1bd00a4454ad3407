"""RPCs that this process makes: measured, and the client's spans of a trace."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from time import perf_counter
from typing import Any

import grpc
from opentelemetry import trace

from rostra_kit.rpc_metrics import ClientRpcMetrics
from rostra_kit.telemetry.spans import leaf_span
from rostra_kit.telemetry.trace_context import exemplar


class ClientCalls:
    """Watches the calls of one client."""

    def __init__(self, metrics: ClientRpcMetrics) -> None:
        self._metrics = metrics

    @contextmanager
    def watch(self, method: Any) -> Iterator[trace.Span]:
        """Measure one call of a stub's `method`; the span is the parent of what the server does."""
        service, name = _names(method._method)  # noqa: SLF001 - grpc.aio has no public word for it
        code, began = grpc.StatusCode.OK, perf_counter()
        with leaf_span(f"{service}/{name}") as span:
            try:
                yield span
            except grpc.aio.AioRpcError as error:
                code = error.code()
                raise
            except (asyncio.CancelledError, GeneratorExit):
                code = grpc.StatusCode.CANCELLED
                raise
            finally:
                self._metrics.handled.labels(service, name, code.name).inc()
                self._metrics.handling_seconds.labels(service, name).observe(perf_counter() - began, exemplar())
                if span.is_recording():
                    describe_rpc(span, service, name, code)


def describe_rpc(span: trace.Span, service: str, method: str, code: grpc.StatusCode) -> None:
    """Set what spans of RPCs have in common."""
    span.set_attributes(
        {
            "rpc.system": "grpc",
            "rpc.service": service,
            "rpc.method": method,
            "rpc.grpc.status_code": code.value[0],
        }
    )


@lru_cache(maxsize=512)
def _names(method: bytes) -> tuple[str, str]:
    service, _, name = method.decode()[1:].partition("/")
    return service, name
