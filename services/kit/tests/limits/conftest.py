"""Servers, clients and limiters: whatever is said of a limiter is said of every one."""

from collections.abc import AsyncIterator, Callable, Iterator
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from rostra_kit.limits import Limiter, LocalLimiter, RedisLimiter
from rostra_kit.testing.manual_clock import ManualClock
from rostra_kit.testing.redis_server import installed_redis, redis_client, running_redis


@pytest.fixture(scope="session", params=["fakeredis", "installed"])
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    executable = installed_redis() if request.param == "installed" else None
    if request.param == "installed" and executable is None:
        pytest.skip("neither redis-server nor valkey-server is on PATH")
    with running_redis(executable) as server:
        yield server.url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with redis_client(redis_url) as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["local", "redis"])
async def limiter(request: pytest.FixtureRequest, clock: ManualClock, redis: Redis) -> Limiter:
    return LocalLimiter(now_us=clock) if request.param == "local" else RedisLimiter(redis, now_us=clock)


@pytest.fixture
def key() -> Callable[[str], str]:
    """Return what makes the keys of one owner, whom no other test knows."""
    owner = uuid4().hex
    return lambda name: f"limit:{{{owner}}}:{name}"
