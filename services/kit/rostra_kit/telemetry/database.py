"""How long statements and commands take, whichever database they are for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Histogram

from rostra_kit.telemetry.spans import leaf_span

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_OPERATIONS = frozenset(
    {
        *("select", "insert", "update", "delete", "transaction"),
        *("find", "getmore", "aggregate", "count", "distinct", "findandmodify", "committransaction", "ping"),
    }
)


class DatabaseMetrics:
    """What is measured of the statements and commands of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "rostra_database_seconds",
            "Time of statements (SQL) and commands (DocumentDB), by the word they begin with.",
            ["operation"],
            buckets=_SECONDS,
            registry=registry,
        )

    def observe(self, operation: str, seconds: float) -> None:
        """Count one."""
        known = operation.lower()
        self._seconds.labels(known if known in _OPERATIONS else "other").observe(seconds)

    @contextmanager
    def statement(self, operation: str, system: str) -> Iterator[None]:
        """Measure what happens in a `with`, and make it a span."""
        began = time.perf_counter()
        with leaf_span(operation, {"db.system.name": system, "db.operation.name": operation}):
            try:
                yield
            finally:
                self.observe(operation, time.perf_counter() - began)
