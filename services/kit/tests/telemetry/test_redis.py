"""What is measured of the clients of Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import RedisError

from rostra_kit.redis import RedisClients, RedisSettings, open_redis
from rostra_kit.testing.redis_server import RedisServer, running_redis


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def clients(server: RedisServer, registry: CollectorRegistry) -> AsyncIterator[RedisClients]:
    settings = RedisSettings.model_validate({"url": server.url, "max_connections": 4, "timeout_seconds": 0.5})
    async with open_redis(settings, registry) as clients:
        yield clients


async def test_commands_and_pipelines_are_measured(clients: RedisClients, registry: CollectorRegistry) -> None:
    await clients.commands.set("key", "value")
    async with clients.commands.pipeline(transaction=True) as pipeline:
        pipeline.get("key")
        pipeline.delete("key")
        assert await pipeline.execute() == [b"value", 1]
    script = clients.commands.register_script("return redis.call('PING')")
    await script()
    count = registry.get_sample_value("rostra_redis_command_seconds_count", {"client": "commands"})
    assert count in (3, 5), "a script may have to be loaded first"


async def test_connections_are_counted(clients: RedisClients, registry: CollectorRegistry) -> None:
    def connections(state: str) -> float | None:
        return registry.get_sample_value("rostra_redis_connections", {"client": "streams", "state": state})

    reading = asyncio.create_task(clients.streams.xread({"events": "0"}, block=5_000))
    while connections("busy") != 1:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)
    await clients.commands.xadd("events", {"text": "now"})
    await reading
    assert (connections("busy"), connections("idle")) == (0, 1)
    assert registry.get_sample_value("rostra_redis_connections_limit", {"client": "streams"}) == 4


async def test_commands_that_are_not_answered_are_counted(
    clients: RedisClients, server: RedisServer, registry: CollectorRegistry
) -> None:
    server.kill()
    with pytest.raises(RedisError):
        await clients.limiter.ping()
    assert registry.get_sample_value("rostra_redis_errors_total", {"client": "limiter"}) == 1
