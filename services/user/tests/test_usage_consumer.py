import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from rostra.user.v1 import usage_pb2
from rostra_kit.errors import InternalError, UnavailableError
from rostra_kit.usage_queue import CONSUMER_GROUP, EVENT_FIELD, USAGE_STREAM
from rostra_user.domain import User
from rostra_user.metrics import UserMetrics
from rostra_user.settings import UsageQueueSettings
from rostra_user.sql.database import Database
from rostra_user.sql.usage import SqlUsageStore
from rostra_user.testing.records import NOW, a_stored_user
from rostra_user.times import to_timestamp
from rostra_user.usage_consumer import UsageConsumer

SETTINGS = UsageQueueSettings(block_seconds=0.05, gather_seconds=0, claim_after_seconds=0.1, batch_size=10)
YEAR = {"start": NOW.replace(month=1), "end": NOW.replace(year=2027)}


class Ledger(SqlUsageStore):
    """The ledger, which can be made to fail."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.errors: list[Exception] = []
        self.refused_id = ""

    async def record(self, events) -> int:
        if self.errors:
            raise self.errors.pop(0)
        if any(event.id == self.refused_id for event in events):
            raise InternalError("out of range")
        return await super().record(events)


@pytest.fixture
def ledger(sqlite_database: Database) -> Ledger:
    return Ledger(sqlite_database)


@pytest.fixture
async def user(sqlite_database: Database) -> User:
    return await a_stored_user(sqlite_database)


@pytest.fixture
def metrics(registry: CollectorRegistry) -> UserMetrics:
    return UserMetrics(registry)


async def queue(redis: Redis, user_id: str, event_id: str) -> bytes:
    event = usage_pb2.UsageEvent(
        id=event_id,
        user_id=user_id,
        model="echo",
        cost_micros=30,
        outcome=usage_pb2.UsageOutcome.USAGE_OUTCOME_FINISHED,
        end_time=to_timestamp(NOW),
    )
    return await redis.xadd(USAGE_STREAM, {EVENT_FIELD: event.SerializeToString()})


@asynccontextmanager
async def consuming(redis: Redis, ledger: Ledger, metrics: UserMetrics, name: str = "a") -> AsyncIterator[asyncio.Task]:
    consumer = UsageConsumer(redis=redis, usage=ledger, settings=SETTINGS, metrics=metrics, name=name)
    task = asyncio.create_task(consumer.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, UnavailableError, ResponseError):
            await task


async def until_empty(redis: Redis) -> None:
    async with asyncio.timeout(10):
        while await redis.xlen(USAGE_STREAM):  # noqa: ASYNC110 - Redis has no event for this
            await asyncio.sleep(0.01)


def counted(registry: CollectorRegistry, outcome: str) -> float | None:
    return registry.get_sample_value("rostra_user_usage_events_total", {"outcome": outcome})


async def test_queued_events_reach_the_ledger_and_leave_the_queue(
    redis: Redis, ledger: Ledger, user: User, metrics: UserMetrics, registry: CollectorRegistry
) -> None:
    for n in range(15):
        await queue(redis, user.id, f"before-{n}")
    async with consuming(redis, ledger, metrics):
        for n in range(15):
            await queue(redis, user.id, f"during-{n}")
        await until_empty(redis)
    assert await ledger.sum_cost(user.id, **YEAR) == 30 * 30
    assert counted(registry, "recorded") == 30
    assert (await redis.xpending(USAGE_STREAM, CONSUMER_GROUP))["pending"] == 0
    lag = registry.get_sample_value("rostra_user_usage_queue_lag_seconds")
    assert lag is not None
    assert 0 <= lag < 10


async def test_event_queued_twice_is_billed_once(
    redis: Redis, ledger: Ledger, user: User, metrics: UserMetrics, registry: CollectorRegistry
) -> None:
    async with consuming(redis, ledger, metrics), consuming(redis, ledger, metrics, "b"):
        for _ in range(5):
            await queue(redis, user.id, "same")
        await until_empty(redis)
    assert await ledger.sum_cost(user.id, **YEAR) == 30
    assert (counted(registry, "recorded"), counted(registry, "skipped")) == (1, 4)


async def test_bad_entry_is_dropped_and_the_others_are_written(
    redis: Redis, ledger: Ledger, user: User, metrics: UserMetrics, registry: CollectorRegistry
) -> None:
    await redis.xadd(USAGE_STREAM, {EVENT_FIELD: b"\xff\xff"})
    await redis.xadd(USAGE_STREAM, {"other": b"x"})
    await queue(redis, user.id, "good")
    async with consuming(redis, ledger, metrics):
        await until_empty(redis)
    assert await ledger.sum_cost(user.id, **YEAR) == 30
    assert counted(registry, "bad") == 2


async def test_event_of_a_deleted_user_is_dropped(
    redis: Redis, ledger: Ledger, metrics: UserMetrics, registry: CollectorRegistry
) -> None:
    await queue(redis, "user_gone", "late")
    async with consuming(redis, ledger, metrics):
        await until_empty(redis)
    assert counted(registry, "skipped") == 1


async def test_event_that_the_ledger_refuses_does_not_hold_up_the_others(
    redis: Redis, ledger: Ledger, user: User, metrics: UserMetrics, registry: CollectorRegistry
) -> None:
    ledger.refused_id = "poison"
    for event_id in ("one", "poison", "two"):
        await queue(redis, user.id, event_id)
    async with consuming(redis, ledger, metrics):
        await until_empty(redis)
    assert await ledger.sum_cost(user.id, **YEAR) == 60
    assert (counted(registry, "recorded"), counted(registry, "bad")) == (2, 1)


async def test_event_stays_queued_while_the_database_is_away(
    redis: Redis, ledger: Ledger, user: User, metrics: UserMetrics, registry: CollectorRegistry
) -> None:
    ledger.errors = [UnavailableError("down")]
    await queue(redis, user.id, "patient")
    async with consuming(redis, ledger, metrics) as task:
        with pytest.raises(UnavailableError):
            await task
    assert await redis.xlen(USAGE_STREAM) == 1
    assert registry.get_sample_value("rostra_user_usage_queue_entries") == 1
    async with consuming(redis, ledger, metrics):  # the same process, running again
        await until_empty(redis)
    assert await ledger.sum_cost(user.id, **YEAR) == 30


async def test_event_that_a_dead_replica_took_is_taken_over(
    redis: Redis, ledger: Ledger, user: User, metrics: UserMetrics
) -> None:
    await redis.xgroup_create(USAGE_STREAM, CONSUMER_GROUP, id="0", mkstream=True)
    await queue(redis, user.id, "orphan")
    assert await redis.xreadgroup(CONSUMER_GROUP, "dead", {USAGE_STREAM: ">"})
    async with consuming(redis, ledger, metrics):
        await until_empty(redis)
    assert await ledger.sum_cost(user.id, **YEAR) == 30


async def test_event_written_but_not_dropped_is_billed_once(
    redis: Redis, ledger: Ledger, user: User, metrics: UserMetrics, registry: CollectorRegistry
) -> None:
    entry = await queue(redis, user.id, "again")
    async with consuming(redis, ledger, metrics):
        await until_empty(redis)
    fields = usage_pb2.UsageEvent(
        id="again",
        user_id=user.id,
        cost_micros=30,
        outcome=usage_pb2.UsageOutcome.USAGE_OUTCOME_FINISHED,
        end_time=to_timestamp(NOW),
    )
    assert await redis.xadd(USAGE_STREAM, {EVENT_FIELD: fields.SerializeToString()}) > entry
    async with consuming(redis, ledger, metrics, "b"):
        await until_empty(redis)
    assert await ledger.sum_cost(user.id, **YEAR) == 30


async def test_lost_group_is_made_again(redis: Redis, ledger: Ledger, user: User, metrics: UserMetrics) -> None:
    async with consuming(redis, ledger, metrics) as task:
        await asyncio.sleep(0)
        await redis.flushall()
        with pytest.raises(ResponseError):
            await task
    await queue(redis, user.id, "after")
    async with consuming(redis, ledger, metrics):
        await until_empty(redis)
    assert await ledger.sum_cost(user.id, **YEAR) == 30
