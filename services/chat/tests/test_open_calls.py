"""A call is billed once, whether its chat lives, dies or is only late."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from rostra.common.v1.caller_pb2 import Limits
from rostra.user.v1.usage_pb2 import UsageEvent, UsageOutcome
from rostra_chat.catalogue import Model
from rostra_chat.metering import Meter
from rostra_chat.metrics import ChatMetrics
from rostra_chat.open_calls import OpenCalls
from rostra_chat.providers.provider import Usage
from rostra_chat.usage_log import UsageLog
from rostra_kit.limits import RedisLimiter
from rostra_kit.testing.grpc import call_as
from rostra_kit.usage_queue import OPEN_CALL_EVENTS, OPEN_CALL_LAPSES
from services.chat.tests.conftest import open_calls

Read = Callable[[], Awaitable[list[UsageEvent]]]

HOLD_SECONDS = 0.3
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FINISHED = UsageOutcome.USAGE_OUTCOME_FINISHED
MODEL = Model(
    id="paid",
    provider="openai",
    upstream_name="paid",
    input_price_micros=2_000_000,
    output_price_micros=10_000_000,
    create_time=NOW,
)


@pytest.fixture
def metrics(registry: CollectorRegistry) -> ChatMetrics:
    return ChatMetrics(registry)


@pytest.fixture
async def dead(redis: Redis, metrics: ChatMetrics) -> AsyncIterator[Meter]:
    """A chat whose calls nobody renews, as if it had been killed or stopped."""
    async with UsageLog(redis, calls=open_calls(redis, metrics, hold_seconds=HOLD_SECONDS), metrics=metrics) as log:
        yield new_meter(redis, log, metrics)


def living(redis: Redis) -> OpenCalls:
    """Return the calls of another chat, which searches for those of the dead."""
    return open_calls(redis, ChatMetrics(CollectorRegistry()), hold_seconds=HOLD_SECONDS)


def new_meter(redis: Redis, log: UsageLog, metrics: ChatMetrics) -> Meter:
    async def nothing(_month: str, _api_key_id: str) -> int:
        return 0

    return Meter(RedisLimiter(redis), log, load_spent=nothing, metrics=metrics, now=lambda: NOW)


async def until_one_is_billed(read: Read) -> UsageEvent:
    async with asyncio.timeout(5):
        while not (events := await read()):  # noqa: ASYNC110 - Redis offers no event
            await asyncio.sleep(0.02)
    (event,) = events
    return event


async def test_call_of_a_dead_chat_is_billed_once_for_its_input(
    dead: Meter, redis: Redis, read_usage_events: Read
) -> None:
    call_as("user_1", api_key_id="key_1", limits=Limits(budget_micros_per_month=10_000))
    await dead.reserve(model=MODEL, input_tokens=100, max_output_tokens=50)
    async with living(redis), living(redis):
        event = await until_one_is_billed(read_usage_events)
        await asyncio.sleep(2 * HOLD_SECONDS)
        assert await read_usage_events() == [event]
    event.ClearField("id")
    assert event == UsageEvent(
        user_id="user_1",
        api_key_id="key_1",
        model="paid",
        provider="openai",
        input_tokens=100,
        cost_micros=200,
        estimated=True,
        outcome=UsageOutcome.USAGE_OUTCOME_FAILED,
        end_time=NOW,
    )
    assert await redis.get("limit:{user_1}:budget:2026-11") == b"200"
    assert await redis.exists(OPEN_CALL_EVENTS, OPEN_CALL_LAPSES) == 0


async def test_late_chat_writes_the_event_under_the_same_id_and_charges_nothing_more(
    dead: Meter, redis: Redis, read_usage_events: Read
) -> None:
    call_as("user_1", limits=Limits(budget_micros_per_month=10_000))
    charge = await dead.reserve(model=MODEL, input_tokens=100, max_output_tokens=50)
    async with living(redis):
        await until_one_is_billed(read_usage_events)
        async with asyncio.timeout(5):
            while await redis.get("limit:{user_1}:budget:2026-11") != b"200":  # noqa: ASYNC110 - Redis has no event
                await asyncio.sleep(0.02)
    await charge.settle(Usage(input_tokens=100, output_tokens=9), outcome=FINISHED, estimated=False)
    events = await read_usage_events()
    assert len(events) == 2
    assert len({event.id for event in events}) == 1
    assert await redis.get("limit:{user_1}:budget:2026-11") == b"200"


async def test_call_that_runs_long_in_a_living_chat_is_billed_at_its_end(
    redis: Redis, metrics: ChatMetrics, read_usage_events: Read
) -> None:
    call_as("user_1")
    async with (
        living(redis),
        open_calls(redis, metrics, hold_seconds=HOLD_SECONDS) as calls,
        UsageLog(redis, calls=calls, metrics=metrics) as log,
    ):
        charge = await new_meter(redis, log, metrics).reserve(model=MODEL, input_tokens=100, max_output_tokens=50)
        await asyncio.sleep(4 * HOLD_SECONDS)
        assert (await read_usage_events(), len(calls)) == ([], 1)
        await charge.settle(Usage(input_tokens=90, output_tokens=9), outcome=FINISHED, estimated=False)
        await asyncio.sleep(2 * HOLD_SECONDS)
        assert [event.output_tokens for event in await read_usage_events()] == [9]
        assert len(calls) == 0


async def test_call_that_costs_nothing_is_never_billed(dead: Meter, redis: Redis, read_usage_events: Read) -> None:
    call_as("user_1")
    charge = await dead.reserve(model=MODEL, input_tokens=100, max_output_tokens=50)
    await charge.cancel()
    async with living(redis):
        await asyncio.sleep(3 * HOLD_SECONDS)
    assert await read_usage_events() == []
    assert await redis.exists(OPEN_CALL_EVENTS, OPEN_CALL_LAPSES) == 0


async def test_call_that_is_taken_back_while_redis_is_away_is_never_billed(
    dead: Meter, redis: Redis, read_usage_events: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreachable(*_: object) -> None:
        raise RedisConnectionError

    call_as("user_1")
    calls = dead.usage_log.calls
    async with calls:
        charge = await dead.reserve(model=MODEL, input_tokens=100, max_output_tokens=50)
        with monkeypatch.context() as patched:
            patched.setattr(calls, "_take_back", unreachable)
            await charge.cancel()
            assert await redis.exists(OPEN_CALL_EVENTS, OPEN_CALL_LAPSES) == 2
        async with living(redis):
            await asyncio.sleep(3 * HOLD_SECONDS)
    assert await read_usage_events() == []
    assert await redis.exists(OPEN_CALL_EVENTS, OPEN_CALL_LAPSES) == 0


async def test_call_whose_client_leaves_as_it_is_written_down_is_taken_back(dead: Meter, redis: Redis) -> None:
    call_as("user_1")
    for turns in range(1, 12):
        reserving = asyncio.create_task(dead.reserve(model=MODEL, input_tokens=100, max_output_tokens=50))
        for _ in range(turns):
            await asyncio.sleep(0)
        reserving.cancel()
        with suppress(asyncio.CancelledError):
            await (await reserving).cancel()
    assert await redis.exists(OPEN_CALL_EVENTS, OPEN_CALL_LAPSES) == 0


async def test_calls_are_searched_for_only_by_those_that_could_renew_for_a_whole_hold(
    dead: Meter, redis: Redis, read_usage_events: Read
) -> None:
    call_as("user_1")
    await dead.reserve(model=MODEL, input_tokens=100, max_output_tokens=50)
    await asyncio.sleep(HOLD_SECONDS)
    async with living(redis):
        await asyncio.sleep(HOLD_SECONDS / 2)
        assert await read_usage_events() == []
        await until_one_is_billed(read_usage_events)
