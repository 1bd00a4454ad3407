"""Clients of Redis that are measured, and whose commands are spans: of each its name, never its arguments."""

import time
from types import TracebackType
from typing import Any, Self, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from rostra_kit.telemetry.spans import leaf_span

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5)
_SYSTEM = {"db.system.name": "redis"}


class RedisMetrics:
    """What is measured of the clients of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connections = Gauge(
            "rostra_redis_connections", "Connections to Redis: busy, idle.", ["client", "state"], registry=registry
        )
        self.limit = Gauge(
            "rostra_redis_connections_limit", "The most that there may be.", ["client"], registry=registry
        )
        self.seconds = Histogram(
            "rostra_redis_command_seconds",
            "Time of commands, the wait for a connection included.",
            ["client"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.errors = Counter(
            "rostra_redis_errors", "Commands that Redis did not answer.", ["client"], registry=registry
        )

    def watch(self, client: str, pool: BlockingConnectionPool) -> None:
        """Have the gauges tell of a client's connections."""
        held: Any = pool  # redis-py has no public word for either
        self.connections.labels(client, "busy").set_function(lambda: len(held._in_use_connections))  # noqa: SLF001
        self.connections.labels(client, "idle").set_function(lambda: len(held._available_connections))  # noqa: SLF001
        self.limit.labels(client).set(pool.max_connections)


class Observer:
    """Observes the commands of one client.

    Args:
        metrics: Where to.
        client: The client's name.
        is_timed: Whether the time of a command says something; a blocking read takes as long as nothing happens.
    """

    def __init__(self, metrics: RedisMetrics, client: str, *, is_timed: bool) -> None:
        self._seconds = metrics.seconds.labels(client) if is_timed else None
        self._errors = metrics.errors.labels(client)

    def command(self, name: str) -> "_Observation":
        """Measure one round trip, for the length of a `with`."""
        return _Observation(name, self._seconds, self._errors)


class _Observation:
    """One round trip. A class, for every request makes several: a generator would take twice as long."""

    __slots__ = ("_began", "_errors", "_name", "_seconds", "_span")

    def __init__(self, name: str, seconds: Histogram | None, errors: Counter) -> None:
        self._name = name
        self._seconds = seconds
        self._errors = errors

    def __enter__(self) -> None:
        self._began = time.perf_counter()
        self._span = leaf_span(self._name, _SYSTEM)
        span = self._span.__enter__()
        if span.is_recording():
            span.set_attribute("db.operation.name", self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._span.__exit__(kind, error, traceback)
        if isinstance(error, RedisConnectionError | RedisTimeoutError | OSError):
            self._errors.inc()
        if self._seconds is not None:
            self._seconds.observe(time.perf_counter() - self._began)


class ObservedRedis(Redis):
    """A client whose commands and pipelines are observed."""

    observer: Observer

    @classmethod
    def on(cls, pool: BlockingConnectionPool, observer: Observer) -> Self:
        """Return a client that closes the pool at its end."""
        client = cast(Self, cls.from_pool(pool))
        client.observer = observer
        return client

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run one command."""
        with self.observer.command(args[0]):
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """Return a pipeline, one round trip of several commands."""
        pipeline = _ObservedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipeline.observer = self.observer
        return pipeline


class _ObservedPipeline(Pipeline):
    observer: Observer

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        with self.observer.command("MULTI" if self.is_transaction else "PIPELINE"):
            return await super().execute(raise_on_error)
