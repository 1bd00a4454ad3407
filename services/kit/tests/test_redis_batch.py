"""Commands that are sent together: each caller has their own answer, whatever becomes of the others."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from rostra_kit.redis import RedisSettings, open_redis
from rostra_kit.redis_batch import RedisBatch, Script
from rostra_kit.testing.redis_server import RedisServer, installed_redis, running_redis


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_redis(installed_redis()) as server:
        yield server


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    settings = RedisSettings.model_validate({"url": server.url, "limiter_timeout_seconds": 10})
    async with open_redis(settings) as clients:
        yield clients.limiter


async def test_each_caller_has_their_own_answer(redis: Redis) -> None:
    batch = RedisBatch(redis)
    answers = await asyncio.gather(*(batch.execute("ECHO", f"call {number}") for number in range(1200)))
    assert answers == [b"call %d" % number for number in range(1200)]


async def test_callers_that_come_together_share_one_connection(redis: Redis) -> None:
    batch = RedisBatch(redis)
    before = (await redis.info("stats"))["total_connections_received"]
    await asyncio.gather(*(batch.execute("ECHO", number) for number in range(64)))
    assert (await redis.info("stats"))["total_connections_received"] == before + 1


async def test_connection_that_redis_closed_is_replaced_before_anybody_notices(redis: Redis) -> None:
    batch = RedisBatch(redis)
    await batch.execute("ECHO", "a")
    await redis.client_kill_filter(skipme=True)
    while batch._link.is_open:  # noqa: ASYNC110 - nobody is told
        await asyncio.sleep(0.01)
    assert await batch.execute("ECHO", "b") == b"b"


async def test_late_answer_fails_those_who_wait_and_the_next_are_served_by_another_connection(
    server: RedisServer,
) -> None:
    settings = RedisSettings.model_validate({"url": server.url, "limiter_timeout_seconds": 0.2})
    async with open_redis(settings) as clients:
        batch = RedisBatch(clients.limiter)
        assert await batch.execute("ECHO", "a") == b"a"
        answers = await asyncio.gather(
            batch.execute("BLPOP", "nothing", 0), batch.execute("ECHO", "b"), return_exceptions=True
        )
        assert [str(answer) for answer in answers] == ["Redis did not answer in time."] * 2
        assert await batch.execute("ECHO", "c") == b"c"


async def test_nothing_connects_once_the_client_is_closed(server: RedisServer) -> None:
    settings = RedisSettings.model_validate({"url": server.url, "limiter_timeout_seconds": 10})
    async with open_redis(settings) as clients:
        batch = RedisBatch.of(clients.limiter)
        await batch.execute("ECHO", "a")
        waiting = asyncio.create_task(batch.execute("BLPOP", "nothing", 0))
        await asyncio.sleep(0.05)
        held_back = asyncio.create_task(batch.execute("ECHO", "b"))
        await asyncio.sleep(0.05)
    later = batch.execute("ECHO", "c")
    answers = await asyncio.gather(waiting, held_back, later, return_exceptions=True)
    assert [type(answer) for answer in answers] == [RedisConnectionError] * 3
    assert not [
        connection
        for connection in clients.limiter.connection_pool._get_in_use_connections()
        if connection.is_connected
    ]


async def test_error_reaches_the_caller_who_made_it_alone(redis: Redis) -> None:
    batch = RedisBatch(redis)
    first, wrong, last = await asyncio.gather(
        batch.execute("ECHO", "a"), batch.execute("INCR"), batch.execute("ECHO", "b"), return_exceptions=True
    )
    assert (first, last) == (b"a", b"b")
    assert isinstance(wrong, ResponseError)


async def test_command_that_cannot_be_sent_fails_its_caller_alone(redis: Redis) -> None:
    batch = RedisBatch(redis)
    first, wrong, last = await asyncio.gather(
        batch.execute("ECHO", "a"), batch.execute("ECHO", object()), batch.execute("ECHO", "b"), return_exceptions=True
    )
    assert (first, last) == (b"a", b"b")
    assert isinstance(wrong, Exception)


async def test_replica_is_left_for_the_address_of_the_primary(redis: Redis, server: RedisServer) -> None:
    batch = RedisBatch(redis)
    await redis.replicaof("127.0.0.1", "1")
    with pytest.raises(ResponseError):
        await batch.execute("SET", "a", "b")
    assert not batch._link.is_open


async def test_all_users_of_a_client_share_its_batch(redis: Redis) -> None:
    assert RedisBatch.of(redis) is RedisBatch.of(redis)


async def test_cancelled_caller_leaves_the_others_their_answers(redis: Redis) -> None:
    batch = RedisBatch(redis)
    calls = [asyncio.create_task(batch.execute("ECHO", number)) for number in range(30)]
    await asyncio.sleep(0)
    for call in calls[::3]:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for number, answer in enumerate(answers):
        assert isinstance(answer, asyncio.CancelledError) if number % 3 == 0 else answer == b"%d" % number


async def test_callers_of_a_dead_redis_all_learn_it_and_the_next_ones_are_served_again(
    redis: Redis, server: RedisServer
) -> None:
    batch = RedisBatch(redis)
    assert await batch.execute("ECHO", "a") == b"a"
    server.kill()
    answers = await asyncio.gather(*(batch.execute("ECHO", number) for number in range(600)), return_exceptions=True)
    assert all(isinstance(answer, RedisError) for answer in answers)
    server.start()
    assert await batch.execute("ECHO", "b") == b"b"


async def test_script_is_known_again_after_redis_forgot_it(redis: Redis) -> None:
    script = Script(RedisBatch(redis), "return {KEYS[1], ARGV[1]}")
    for _ in range(2):
        assert await script(["key"], ["argument"]) == [b"key", b"argument"]
        assert (await redis.info("memory"))["number_of_cached_scripts"] == 1
        await redis.script_flush()
