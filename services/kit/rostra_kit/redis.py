"""Clients of Redis, one per purpose: redis-py's defaults suit none of them.

redis-py 8 times every read out after 5 s, which ends a blocking read early, and repeats a failed call ten times, which
makes a request wait for seconds while Redis is down.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from rostra_kit.redis_batch import RedisBatch
from rostra_kit.telemetry.redis import ObservedRedis, Observer, RedisMetrics

_SCHEMES = ("redis://", "rediss://", "unix://")
_RETRIES = 2
# Without an end, a reader whose Redis vanished without a word would never read again.
_LONGEST_READ_SECONDS = 10.0


class RedisSettings(BaseModel):
    """Where Redis is, and how long to wait for it."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis' address, with user and password where it needs them; `rediss://` for TLS.",
    )
    max_connections: int = Field(default=50, ge=4, description="The most connections of each of the three clients.")
    connect_timeout_seconds: float = Field(default=1.0, gt=0, description="How long a new connection may take.")
    timeout_seconds: float = Field(default=1.0, gt=0, description="How long a command may take.")
    limiter_timeout_seconds: float = Field(
        default=0.2,
        gt=0,
        description="How long a limit may take to check or a connection for it, before this pod counts alone.",
    )

    @field_validator("url")
    @classmethod
    def _know_scheme(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(_SCHEMES):
            raise ValueError(f"must begin with one of {', '.join(_SCHEMES)}")
        return url


@dataclass(frozen=True, slots=True)
class RedisClients:
    """The clients of one process. None connects before it is used; all answer bytes.

    Attributes:
        limiter: Fails fast and repeats nothing, for calls that every request waits for.
        commands: Repeats what failed twice, for everything else.
        streams: Reads for up to 10 s, for XREADGROUP BLOCK, and for pub/sub, which says itself how long.
    """

    limiter: Redis
    commands: Redis
    streams: Redis


@asynccontextmanager
async def open_redis(settings: RedisSettings, registry: CollectorRegistry | None = None) -> AsyncIterator[RedisClients]:
    """Open the clients of Redis, and close them at the end; `registry` takes what is measured of them."""
    metrics = RedisMetrics(registry or CollectorRegistry())
    fast, plain = settings.limiter_timeout_seconds, settings.timeout_seconds
    connect = settings.connect_timeout_seconds
    backoff = ExponentialWithJitterBackoff(base=0.05, cap=0.5)
    pools = {
        "limiter": _pool(settings, read_seconds=fast, connect_seconds=fast, retry=Retry(NoBackoff(), 0)),
        "commands": _pool(settings, read_seconds=plain, connect_seconds=connect, retry=Retry(backoff, _RETRIES)),
        "streams": _pool(
            settings, read_seconds=_LONGEST_READ_SECONDS, connect_seconds=connect, retry=Retry(backoff, _RETRIES)
        ),
    }
    clients: dict[str, Redis] = {}
    async with AsyncExitStack() as stack:
        for name, pool in pools.items():
            metrics.watch(name, pool)
            client = ObservedRedis.on(pool, Observer(metrics, name, is_timed=name != "streams"))
            clients[name] = await stack.enter_async_context(client)
            stack.push_async_callback(RedisBatch.of(client).close)
        yield RedisClients(**clients)


def _pool(
    settings: RedisSettings, *, read_seconds: float, connect_seconds: float, retry: Retry
) -> BlockingConnectionPool:
    """Return a pool whose callers wait for a free connection, where redis-py would raise at once."""
    pool = BlockingConnectionPool.from_url(
        settings.url.get_secret_value(),
        max_connections=settings.max_connections,
        timeout=connect_seconds,
        socket_timeout=read_seconds,
        socket_connect_timeout=connect_seconds,
        retry=retry,
    )
    pool.connection_class = _telling_of_dead_sockets(pool.connection_class)
    return pool


def _telling_of_dead_sockets(connection_class: type[AbstractConnection]) -> type[AbstractConnection]:
    """Return the class of connections with uvloop's word for a socket that is closed made into redis-py's.

    uvloop refuses to write to one with a `RuntimeError`, which redis-py, and whoever handles its errors, lets pass.
    """

    class Connection(connection_class):  # type: ignore[misc,valid-type]
        async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
            try:
                await super().send_packed_command(*args, **kwargs)
            except RuntimeError as error:
                if "closed" not in str(error):
                    raise
                raise RedisConnectionError("The connection is closed.") from error

    return Connection
