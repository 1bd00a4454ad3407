"""The metrics that every process has, and the port on which all are read."""

import asyncio
import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

from rostra_kit.settings import ListenSettings, ServiceSettings
from rostra_kit.tasks import cancel
from rostra_kit.telemetry.certificates import watch_certificates

_SAMPLE_SECONDS = 0.25
_LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


def new_registry() -> CollectorRegistry:
    """Return a registry that knows the process and what it runs."""
    # Each counter and histogram would have another series, which says when it was made.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    build = Gauge("rostra_build_info", "Which version runs.", ["version", "python"], registry=registry)
    build.labels(version("rostra-kit"), platform.python_version()).set(1)
    return registry


@asynccontextmanager
async def metrics_served(settings: ServiceSettings, registry: CollectorRegistry) -> AsyncIterator[int]:
    """Serve the metrics, those of the event loop and of the certificates among them; yield the port.

    A scraper that asks for OpenMetrics gets exemplars with them.
    """
    watch_certificates(settings, registry)
    sampler = asyncio.create_task(_sample_lag(registry), name="event-loop-lag")
    listen: ListenSettings = settings.listen
    server, _ = start_http_server(listen.metrics_port, addr=listen.host, registry=registry)
    try:
        yield server.server_port
    finally:
        await cancel(sampler)


async def _sample_lag(registry: CollectorRegistry) -> None:
    """Measure again and again how late a sleeper is woken, and among how many tasks."""
    lag = Histogram(
        "rostra_event_loop_lag_seconds",
        "How late the event loop wakes a sleeper.",
        buckets=_LAG_SECONDS,
        registry=registry,
    )
    tasks = Gauge("rostra_event_loop_tasks", "Tasks of the event loop that have not ended.", registry=registry)
    loop = asyncio.get_running_loop()
    while True:
        tasks.set(len(asyncio.all_tasks()))
        due = loop.time() + _SAMPLE_SECONDS
        await asyncio.sleep(_SAMPLE_SECONDS)
        lag.observe(max(0.0, loop.time() - due))
