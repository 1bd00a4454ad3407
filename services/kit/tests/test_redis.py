"""How the clients of Redis behave when it is slow, busy or gone."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import uvloop
from pydantic import ValidationError
from redis.exceptions import RedisError

from rostra_kit.redis import RedisClients, RedisSettings, open_redis
from rostra_kit.testing.redis_server import RedisServer, installed_redis, running_redis


@pytest.fixture(params=["fakeredis", "installed"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    executable = installed_redis() if request.param == "installed" else None
    if request.param == "installed" and executable is None:
        pytest.skip("neither redis-server nor valkey-server is on PATH")
    with running_redis(executable) as server:
        yield server


@pytest.fixture
async def clients(server: RedisServer) -> AsyncIterator[RedisClients]:
    settings = RedisSettings.model_validate(
        {"url": server.url, "max_connections": 4, "timeout_seconds": 0.5, "limiter_timeout_seconds": 0.5}
    )
    async with open_redis(settings) as clients:
        yield clients


async def test_more_callers_than_connections_wait_their_turn(clients: RedisClients) -> None:
    for client in (clients.limiter, clients.commands, clients.streams):
        answers = await asyncio.gather(*(client.echo(f"call {number}") for number in range(64)))
        assert answers == [b"call %d" % number for number in range(64)]


async def test_blocking_read_outlasts_the_command_timeout(clients: RedisClients) -> None:
    async def write_late() -> None:
        await asyncio.sleep(0.8)
        await clients.commands.xadd("events", {"text": "late"})

    writing = asyncio.create_task(write_late())
    reply: Any = await clients.streams.xread({"events": "$"}, block=10_000)
    assert b"late" in repr(reply).encode()
    await writing


async def test_limiter_client_gives_up_on_a_frozen_server_at_once(clients: RedisClients, server: RedisServer) -> None:
    await clients.limiter.ping()
    with server.frozen():
        started = time.monotonic()
        with pytest.raises(RedisError):
            await clients.limiter.ping()
        assert time.monotonic() - started < 2.0


async def test_commands_client_survives_a_restart(clients: RedisClients, server: RedisServer) -> None:
    await clients.commands.set("key", "value")
    server.kill()
    server.start()
    assert await clients.commands.get("key") is None, "the server in tests keeps nothing"


def test_address_is_a_secret() -> None:
    settings = RedisSettings.model_validate({"url": "rediss://user:password@redis.internal:6379/0"})
    assert "password" not in repr(settings)


def test_address_of_something_else_is_refused_without_showing_it() -> None:
    with pytest.raises(ValidationError, match="redis://") as caught:
        RedisSettings.model_validate({"url": "http://user:password@redis.internal"})
    assert "password" not in str(caught.value)


def test_socket_that_died_under_uvloop_is_an_error_of_redis(server: RedisServer) -> None:
    async def scenario() -> None:
        settings = RedisSettings.model_validate({"url": server.url, "limiter_timeout_seconds": 2})
        async with open_redis(settings) as clients:
            await clients.limiter.ping()
            await clients.commands.ping()
            for client in (clients.limiter, clients.commands):
                for connection in client.connection_pool._available_connections:
                    connection._writer.transport.abort()
            with pytest.raises(RedisError):
                await clients.limiter.ping()
            assert await clients.limiter.ping()
            assert await clients.commands.ping()  # it tries again by itself

    uvloop.run(scenario())


async def test_reader_gives_up_on_a_server_that_fell_silent(
    monkeypatch: pytest.MonkeyPatch, server: RedisServer
) -> None:
    monkeypatch.setattr("rostra_kit.redis._LONGEST_READ_SECONDS", 0.2)
    async with open_redis(RedisSettings.model_validate({"url": server.url, "connect_timeout_seconds": 0.5})) as clients:
        await clients.streams.ping()
        with server.frozen(), pytest.raises(RedisError):
            async with asyncio.timeout(15):
                await clients.streams.xread({"events": "$"}, block=100)
        assert await clients.streams.ping()
