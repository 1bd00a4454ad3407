"""DocumentDB through PyMongo: commands and connections measured, and commands as spans, which hold no document.

For services that depend on PyMongo.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Gauge, Histogram
from pymongo import monitoring

from rostra_kit.telemetry.database import DatabaseMetrics
from rostra_kit.telemetry.spans import mark_failed

_TRACER = trace.get_tracer("rostra")
_WAIT_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class CommandWatch(monitoring.CommandListener):
    """Measures commands, with spans for those of operations. PyMongo calls it in the task that awaits the command."""

    def __init__(self, metrics: DatabaseMetrics) -> None:
        self._metrics = metrics
        self._under_way: ContextVar[dict[int, _Command] | None] = ContextVar("rostra_commands", default=None)

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Trace the commands in a `with`, and end those that are cut with it: PyMongo never says that they ended."""
        under_way: dict[int, _Command] = {}
        token = self._under_way.set(under_way)
        try:
            yield
        except BaseException as error:
            for command in under_way.values():
                self._metrics.observe(command.name, time.perf_counter() - command.began)
                mark_failed(command.span, error)
                command.span.end()
            raise
        finally:
            under_way.clear()
            self._under_way.reset(token)

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Note a command of an operation, with a span if the request under way is recorded."""
        under_way = self._under_way.get()
        if under_way is not None:
            under_way[event.request_id] = _Command(event.command_name, time.perf_counter(), _span(event))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Measure a command that was answered."""
        self._end(event)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Measure a command that failed; what the server said of it may quote a document."""
        self._end(event, failed=True)

    def _end(
        self, event: monitoring.CommandSucceededEvent | monitoring.CommandFailedEvent, *, failed: bool = False
    ) -> None:
        under_way = self._under_way.get()
        if under_way is not None:
            command = under_way.pop(event.request_id, None)
            if command is None:
                return  # Its operation ended before it, and measured it.
            if failed:
                command.span.set_status(trace.StatusCode.ERROR)
            command.span.end()
        self._metrics.observe(event.command_name, event.duration_micros / 1_000_000)


class PoolWatch(monitoring.ConnectionPoolListener):
    """Counts connections, and measures how long operations wait for one."""

    def __init__(self, registry: CollectorRegistry, *, service: str, limit: int) -> None:
        prefix = f"rostra_{service}_database"
        connections = Gauge(
            f"{prefix}_connections", "Connections to DocumentDB: busy, idle.", ["state"], registry=registry
        )
        self._wait_seconds = Histogram(
            f"{prefix}_wait_seconds",
            "Time until an operation had a connection, or was refused one.",
            buckets=_WAIT_SECONDS,
            registry=registry,
        )
        most = Gauge(
            f"{prefix}_connections_limit", "The most connections that there may be to each server.", registry=registry
        )
        most.set(limit)
        self._open = self._busy = 0
        connections.labels("busy").set_function(lambda: self._busy)
        connections.labels("idle").set_function(lambda: self._open - self._busy)

    def connection_created(self, _event: monitoring.ConnectionCreatedEvent) -> None:
        """Count a connection."""
        self._open += 1

    def connection_closed(self, _event: monitoring.ConnectionClosedEvent) -> None:
        """Count it no more."""
        self._open -= 1

    def connection_checked_out(self, event: monitoring.ConnectionCheckedOutEvent) -> None:
        """Note that one is used."""
        self._busy += 1
        self._wait_seconds.observe(event.duration or 0.0)

    def connection_check_out_failed(self, event: monitoring.ConnectionCheckOutFailedEvent) -> None:
        """Note that one was waited for in vain."""
        self._wait_seconds.observe(event.duration or 0.0)

    def connection_checked_in(self, _event: monitoring.ConnectionCheckedInEvent) -> None:
        """Note that it is free again."""
        self._busy -= 1

    def connection_ready(self, event: monitoring.ConnectionReadyEvent) -> None:
        """Do nothing; PyMongo wants every method."""

    def connection_check_out_started(self, event: monitoring.ConnectionCheckOutStartedEvent) -> None:
        """Do nothing."""

    def pool_created(self, event: monitoring.PoolCreatedEvent) -> None:
        """Do nothing."""

    def pool_ready(self, event: monitoring.PoolReadyEvent) -> None:
        """Do nothing."""

    def pool_cleared(self, event: monitoring.PoolClearedEvent) -> None:
        """Do nothing."""

    def pool_closed(self, event: monitoring.PoolClosedEvent) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    began: float
    span: trace.Span


def _span(event: monitoring.CommandStartedEvent) -> trace.Span:
    if not trace.get_current_span().is_recording():
        return trace.INVALID_SPAN
    name = event.command_name
    attributes = {"db.system.name": "mongodb", "db.operation.name": name, "db.namespace": event.database_name}
    collection = event.command.get(name)
    if isinstance(collection, str):
        attributes["db.collection.name"] = collection
        name = f"{name} {collection}"
    return _TRACER.start_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes)
