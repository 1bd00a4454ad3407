"""RPCs that this process makes: measured, and the client's spans of a trace."""

import asyncio
from functools import lru_cache
from time import perf_counter
from types import TracebackType
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

    def watch(self, method: Any) -> "_WatchedCall":
        """Measure one call of a stub's `method`; the span is the parent of what the server does."""
        name: bytes = method._method  # noqa: SLF001 - grpc.aio has no public word for it
        return _WatchedCall(self._metrics, *rpc_names(name.decode()))


class _WatchedCall:
    """One call. A class, for it is on every request's way: a generator would take three times as long."""

    __slots__ = ("_began", "_leaf", "_metrics", "_name", "_service", "_span")

    def __init__(self, metrics: ClientRpcMetrics, service: str, name: str) -> None:
        self._metrics = metrics
        self._service = service
        self._name = name

    def __enter__(self) -> trace.Span:
        self._began = perf_counter()
        self._leaf = leaf_span(f"{self._service}/{self._name}")
        self._span = self._leaf.__enter__()
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        code = grpc.StatusCode.OK
        if isinstance(error, grpc.aio.AioRpcError):
            code = error.code()
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):
            code = grpc.StatusCode.CANCELLED
        self._metrics.handled.labels(self._service, self._name, code.name).inc()
        seconds = self._metrics.handling_seconds.labels(self._service, self._name)
        seconds.observe(perf_counter() - self._began, exemplar())
        if self._span.is_recording():
            describe_rpc(self._span, self._service, self._name, code)
        self._leaf.__exit__(kind, error, traceback)


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
def rpc_names(method: str) -> tuple[str, str]:
    """Return the service and the method that `/package.Service/Method` names."""
    service, _, name = method[1:].partition("/")
    return service, name
