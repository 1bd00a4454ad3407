import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from redis.asyncio import Redis

from rostra.user.v1 import usage_pb2
from rostra.user.v1 import user_service_pb2 as pb
from rostra_kit.errors import InvalidArgumentError, UnauthenticatedError
from rostra_kit.testing.grpc import call_as
from rostra_kit.usage_queue import EVENT_FIELD, USAGE_STREAM
from rostra_user.testing.journey import UserClient, register
from rostra_user.testing.records import NOW, SettableClock
from rostra_user.times import to_timestamp


@pytest.fixture
async def alice(client: UserClient) -> pb.CreateUserResponse:
    """Register Alice and call as her."""
    created = await register(client)
    call_as(created.user.id)
    return created


async def use(redis: Redis, user_id: str, end_time: datetime, cost_micros: int) -> None:
    """Queue a usage event as chat does, and wait until it is in the ledger."""
    event = usage_pb2.UsageEvent(
        id=f"usage-{end_time}",
        user_id=user_id,
        model="echo",
        input_tokens=7,
        cost_micros=cost_micros,
        outcome=usage_pb2.UsageOutcome.USAGE_OUTCOME_FINISHED,
        end_time=to_timestamp(end_time),
    )
    await redis.xadd(USAGE_STREAM, {EVENT_FIELD: event.SerializeToString()})
    async with asyncio.timeout(10):
        while await redis.xlen(USAGE_STREAM):  # noqa: ASYNC110 - Redis has no event for this
            await asyncio.sleep(0.01)


async def list_usage(client: UserClient, **fields) -> pb.ListUsageResponse:
    return await client.call(client.stub.ListUsage, pb.ListUsageRequest(**fields))


async def spend(client: UserClient, month: str, api_key_id: str = "") -> int:
    request = pb.GetSpendRequest(month=month, api_key_id=api_key_id)
    return (await client.call(client.stub.GetSpend, request)).cost_micros


async def test_use_is_told_by_day_with_what_the_month_has_cost(
    client: UserClient, alice: pb.CreateUserResponse, redis: Redis, clock: SettableClock
) -> None:
    await use(redis, alice.user.id, NOW - timedelta(days=20), 1)  # in October
    await use(redis, alice.user.id, NOW - timedelta(days=1), 10)
    await use(redis, alice.user.id, NOW - timedelta(seconds=1), 100)
    answer = await list_usage(client, start_time=to_timestamp(NOW - timedelta(days=7)))
    days = [(bucket.start_time.ToDatetime(UTC), bucket.requests, bucket.cost_micros) for bucket in answer.buckets]
    assert days == [(datetime(2026, 11, 19, tzinfo=UTC), 1, 10), (datetime(2026, 11, 20, tzinfo=UTC), 1, 100)]
    assert [bucket.input_tokens for bucket in answer.buckets] == [7, 7]
    assert answer.period_cost_micros == 110
    everything = await list_usage(client)
    assert [bucket.cost_micros for bucket in everything.buckets] == [1, 10, 100]
    before = await list_usage(client, end_time=to_timestamp(NOW - timedelta(seconds=1)))
    assert [bucket.cost_micros for bucket in before.buckets] == [1, 10]
    nothing = await list_usage(client, start_time=to_timestamp(NOW), end_time=to_timestamp(NOW))
    assert list(nothing.buckets) == []
    clock.advance(days=11)
    assert (await list_usage(client)).period_cost_micros == 0


async def test_month_holds_its_first_moment_and_not_the_next_ones(
    client: UserClient, alice: pb.CreateUserResponse, redis: Redis
) -> None:
    first, following = datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    for moment, cost_micros in (
        (first - timedelta(microseconds=1), 1),
        (first, 10),
        (following - timedelta(microseconds=1), 100),
        (following, 1000),
    ):
        await use(redis, alice.user.id, moment, cost_micros)
    assert [await spend(client, month) for month in ("2026-11", "2026-12", "2027-01")] == [1, 110, 1000]


async def test_other_users_use_is_unseen(client: UserClient, alice: pb.CreateUserResponse, redis: Redis) -> None:
    await use(redis, alice.user.id, NOW, 10)
    call_as((await register(client, email="bob@example.com")).user.id)
    assert list((await list_usage(client)).buckets) == []
    assert await spend(client, "2026-11") == 0


@pytest.mark.parametrize("month", ["", "2026", "2026-13", "2026-00", "2026-1", "2026-11-01", "9999-12", "\0"])
async def test_what_is_no_month_is_refused(client: UserClient, alice: pb.CreateUserResponse, month: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        await spend(client, month)
    assert refused.value.param == "month"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"start_time": Timestamp(seconds=2**61)}, "start_time"),
        ({"end_time": Timestamp(seconds=-(2**61))}, "end_time"),
        ({"start_time": to_timestamp(NOW), "end_time": to_timestamp(NOW - timedelta(seconds=1))}, "start_time"),
    ],
)
async def test_impossible_range_names_the_field(
    client: UserClient, alice: pb.CreateUserResponse, fields: dict, param: str
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        await list_usage(client, **fields)
    assert refused.value.param == param


async def test_use_needs_a_caller(client: UserClient) -> None:
    with pytest.raises(UnauthenticatedError):
        await list_usage(client)
