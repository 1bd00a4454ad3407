"""DocumentDB through PyMongo: commands and connections measured, and commands as spans, which hold no document.

For services that depend on PyMongo.
"""

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Gauge, Histogram
from pymongo import monitoring

from rostra_kit.telemetry.database import DatabaseMetrics

_TRACER = trace.get_tracer("rostra")
_WAIT_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class CommandWatch(monitoring.CommandListener):
    """Measures commands. PyMongo calls it in the task that awaits the command."""

    def __init__(self, metrics: DatabaseMetrics) -> None:
        self._metrics = metrics
        self._spans: dict[int, trace.Span] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Begin a span, if the request under way is recorded."""
        if not trace.get_current_span().is_recording():
            return
        name = event.command_name
        attributes = {"db.system.name": "mongodb", "db.operation.name": name, "db.namespace": event.database_name}
        collection = event.command.get(name)
        if isinstance(collection, str):
            attributes["db.collection.name"] = collection
            name = f"{name} {collection}"
        span = _TRACER.start_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes)
        self._spans[event.request_id] = span

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Measure a command that was answered."""
        self._end(event)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Measure a command that failed; what the server said of it may quote a document."""
        self._end(event, failed=True)

    def _end(
        self, event: monitoring.CommandSucceededEvent | monitoring.CommandFailedEvent, *, failed: bool = False
    ) -> None:
        self._metrics.observe(event.command_name, event.duration_micros / 1_000_000)
        span = self._spans.pop(event.request_id, None)
        if span is not None:
            if failed:
                span.set_status(trace.StatusCode.ERROR)
            span.end()


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
