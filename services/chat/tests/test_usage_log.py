"""Usage events reach Redis, also when it was away, and none is lost in silence."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from rostra.user.v1.usage_pb2 import UsageEvent
from rostra_chat.metrics import ChatMetrics
from rostra_chat.usage_log import UsageLog
from rostra_kit.ports import free_port
from rostra_kit.testing.redis_server import RedisServer, fakeredis_command, redis_client
from rostra_kit.usage_queue import USAGE_STREAM
from services.chat.tests.conftest import open_calls

Read = Callable[[], Awaitable[list[UsageEvent]]]


@pytest.fixture
def metrics(registry: CollectorRegistry) -> ChatMetrics:
    return ChatMetrics(registry)


@pytest.fixture
async def away() -> AsyncIterator[RedisServer]:
    """Return a server that is not running yet."""
    port = free_port()
    server = RedisServer(fakeredis_command(port), port=port)
    yield server
    server.kill()


def event(number: int) -> UsageEvent:
    return UsageEvent(id=f"use_{number}", user_id="user_1")


async def test_appended_event_is_in_the_stream_at_once(
    redis: Redis, metrics: ChatMetrics, read_usage_events: Read
) -> None:
    async with UsageLog(redis, calls=open_calls(redis, metrics), metrics=metrics) as log:
        await log.append(event(1))
        assert await read_usage_events() == [event(1)]
        assert len(log) == 0


async def test_events_keep_their_order_and_come_once(
    redis: Redis, metrics: ChatMetrics, read_usage_events: Read
) -> None:
    async with UsageLog(redis, calls=open_calls(redis, metrics), metrics=metrics) as log:
        await asyncio.gather(*(log.append(event(number)) for number in range(1200)))
    assert [each.id for each in await read_usage_events()] == [f"use_{number}" for number in range(1200)]


async def test_events_wait_while_redis_is_away(
    away: RedisServer, metrics: ChatMetrics, registry: CollectorRegistry
) -> None:
    async with (
        redis_client(away.url, socket_connect_timeout=0.2, retry=None) as redis,
        UsageLog(redis, calls=open_calls(redis, metrics), metrics=metrics, retry_seconds=0.05) as log,
    ):
        await log.append(event(1))
        await log.append(event(2))
        assert len(log) == 2
        assert registry.get_sample_value("rostra_chat_usage_events_waiting") == 2
        await asyncio.to_thread(away.start)
        async with asyncio.timeout(10):
            while len(log):  # noqa: ASYNC110 - a queue that is only watched offers no event
                await asyncio.sleep(0.01)
        assert await redis.xlen("rostra:usage") == 2
    assert registry.get_sample_value("rostra_chat_usage_events_lost_total") == 0


async def test_end_writes_what_waits(redis: Redis, metrics: ChatMetrics, read_usage_events: Read) -> None:
    log = UsageLog(redis, calls=open_calls(redis, metrics), metrics=metrics)
    async with log:
        appending = asyncio.create_task(log.append(event(1)))
        await asyncio.sleep(0)
    await appending
    assert await read_usage_events() == [event(1)]


async def test_loss_at_the_end_is_said(
    away: RedisServer, metrics: ChatMetrics, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with (
        redis_client(away.url, socket_connect_timeout=0.2, retry=None) as redis,
        UsageLog(redis, calls=open_calls(redis, metrics), metrics=metrics, exit_seconds=0.5) as log,
    ):
        await log.append(event(1))
    assert registry.get_sample_value("rostra_chat_usage_events_lost_total") == 1
    lost = bytes.fromhex(caplog.records[-1].usage_event)  # type: ignore[attr-defined]
    assert UsageEvent.FromString(lost) == event(1)


async def test_full_queue_loses_the_newest_and_says_so(
    away: RedisServer, metrics: ChatMetrics, registry: CollectorRegistry
) -> None:
    async with (
        redis_client(away.url, socket_connect_timeout=0.2, retry=None) as redis,
        UsageLog(redis, calls=open_calls(redis, metrics), metrics=metrics, max_waiting=2, exit_seconds=0.1) as log,
    ):
        for number in range(3):
            await log.append(event(number))
        assert len(log) == 2
        assert registry.get_sample_value("rostra_chat_usage_events_lost_total") == 1


async def test_event_that_the_stream_had_no_room_for_is_said_to_be_lost(
    redis: Redis, metrics: ChatMetrics, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rostra_chat.usage_log.MAX_STREAM_LENGTH", 100)
    async with UsageLog(redis, calls=open_calls(redis, metrics), metrics=metrics) as log:
        await asyncio.gather(*(log.append(event(number)) for number in range(1000)))
    kept = await redis.xlen(USAGE_STREAM)
    assert kept < 1000
    assert registry.get_sample_value("rostra_chat_usage_events_lost_total") == 1000 - kept


async def test_unforeseen_error_does_not_end_the_writing(
    redis: Redis, metrics: ChatMetrics, read_usage_events: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with UsageLog(redis, calls=open_calls(redis, metrics), metrics=metrics, retry_seconds=0.01) as log:
        append = log._append

        async def break_once(*_args: object) -> int:
            monkeypatch.setattr(log, "_append", append)
            raise RuntimeError("Nobody foresaw this.")

        monkeypatch.setattr(log, "_append", break_once)
        async with asyncio.timeout(5):
            await log.append(event(1))
            await log.append(event(2))
            while log:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)
    assert await read_usage_events() == [event(1), event(2)]
