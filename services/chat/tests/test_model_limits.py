"""What the catalogue lets all users together, and each of them, do with a model holds exactly over all replicas."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from rostra.common.v1.caller_pb2 import Limits
from rostra.user.v1.usage_pb2 import UsageOutcome
from rostra_chat.catalogue import Model, ModelLimits
from rostra_chat.metering import Charge, Meter
from rostra_chat.metrics import ChatMetrics
from rostra_chat.providers.provider import Usage
from rostra_chat.usage_log import UsageLog
from rostra_kit.errors import ResourceExhaustedError
from rostra_kit.limits import RedisLimiter
from rostra_kit.testing.grpc import call_as
from services.chat.tests.conftest import open_calls

FINISHED = UsageOutcome.USAGE_OUTCOME_FINISHED
HOLD_SECONDS = 0.3
MODEL = Model(id="gpt", provider="p", upstream_name="gpt", create_time=datetime(2026, 11, 20, tzinfo=UTC))
PLACES = "limit:{model:gpt}:calls"

OfEach = Callable[[ModelLimits], Model]


def for_all(limits: ModelLimits) -> Model:
    """Return the model, limited for all users together."""
    return replace(MODEL, limits=limits)


def for_each(limits: ModelLimits) -> Model:
    """Return the model, limited for each user."""
    return replace(MODEL, user_limits=limits)


@pytest.fixture
async def meters(redis: Redis) -> AsyncIterator[list[Meter]]:
    """Yield the meters of three replicas that nobody renews the calls of, as if they were dead."""

    async def nothing(_month: str, _api_key_id: str) -> int:
        return 0

    async with AsyncExitStack() as stack:
        meters = []
        for _ in range(3):
            metrics = ChatMetrics(CollectorRegistry())
            calls = open_calls(redis, metrics, hold_seconds=HOLD_SECONDS)
            log = await stack.enter_async_context(UsageLog(redis, calls=calls, metrics=metrics))
            limiter = RedisLimiter(redis)
            meters.append(Meter(limiter, log, load_spent=nothing, metrics=metrics))
        yield meters
        for meter in meters:
            await meter.drain()


async def reserve(meter: Meter, model: Model, *, tokens: int = 100) -> Charge:
    return await meter.reserve(model=model, input_tokens=tokens, max_output_tokens=0)


async def flood(meters: list[Meter], model: Model, *, times: int) -> tuple[list[Charge], list[ResourceExhaustedError]]:
    """Reserve so many times at once over all replicas."""
    calls = (reserve(meters[number % len(meters)], model) for number in range(times))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refusals = [each for each in outcomes if isinstance(each, ResourceExhaustedError)]
    charges = [each for each in outcomes if isinstance(each, Charge)]
    assert len(charges) + len(refusals) == times, outcomes
    return charges, refusals


@pytest.mark.parametrize("limited", [for_all, for_each])
@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        (ModelLimits(requests_per_minute=5), "on requests per min (RPM): Limit 5, Used 5, Requested 1."),
        (ModelLimits(tokens_per_minute=500), "on tokens per min (TPM): Limit 500, Used "),
        (ModelLimits(concurrent_calls=5), "are under way: Limit 5."),
    ],
)
async def test_exactly_the_limit_is_admitted_and_refusals_name_the_model(
    meters: list[Meter], limited: OfEach, limits: ModelLimits, refusal: str
) -> None:
    call_as("user_1")
    charges, refusals = await flood(meters, limited(limits), times=30)
    assert (len(charges), len(refusals)) == (5, 25)
    whose = "gpt, used by everybody, " if limited is for_all else "gpt "
    for error in refusals:
        assert whose + refusal in error.message
        assert error.retry_after_seconds is not None
        assert error.retry_after_seconds <= 12


async def test_users_share_what_is_for_all_and_not_what_is_for_each(meters: list[Meter]) -> None:
    model = replace(MODEL, limits=ModelLimits(requests_per_minute=8), user_limits=ModelLimits(requests_per_minute=5))
    call_as("user_1")
    assert len((await flood(meters, model, times=12))[0]) == 5
    call_as("user_2")
    charges, refusals = await flood(meters, model, times=12)
    assert len(charges) == 3
    assert any("used by everybody" in error.message for error in refusals)


async def test_call_that_the_model_refuses_costs_its_caller_nothing(meters: list[Meter]) -> None:
    call_as("user_1", limits=Limits(tokens_per_minute=1000))
    full = for_all(ModelLimits(requests_per_minute=0))
    with pytest.raises(ResourceExhaustedError, match="gpt, used by everybody"):
        await reserve(meters[0], full, tokens=1000)
    assert (await reserve(meters[1], MODEL, tokens=1000)).limits[0].remaining == 0


async def test_call_that_its_caller_may_not_make_takes_nothing_of_the_model(meters: list[Meter]) -> None:
    call_as("user_1", limits=Limits(tokens_per_minute=50))
    model = for_all(ModelLimits(requests_per_minute=1))
    with pytest.raises(ResourceExhaustedError, match="Request too large"):
        await reserve(meters[0], model)
    call_as("user_2")
    await reserve(meters[1], model)


async def test_scarcest_limit_of_a_name_is_told(meters: list[Meter]) -> None:
    call_as("user_1", limits=Limits(tokens_per_minute=1000))
    model = replace(
        MODEL,
        limits=ModelLimits(requests_per_minute=9, tokens_per_minute=5000, concurrent_calls=1),
        user_limits=ModelLimits(requests_per_minute=30, tokens_per_minute=400),
    )
    told = {state.name: (state.limit, state.remaining) for state in (await reserve(meters[0], model)).limits}
    assert told == {"tokens": (400, 300), "requests": (9, 8)}


async def test_settled_call_gives_back_its_place_and_what_it_did_not_use(meters: list[Meter]) -> None:
    call_as("user_1")
    limits = ModelLimits(requests_per_minute=2, tokens_per_minute=1000, concurrent_calls=1)
    model = replace(MODEL, limits=limits, user_limits=limits)
    charge = await reserve(meters[0], model, tokens=1000)
    await charge.settle(Usage(input_tokens=100), outcome=FINISHED, estimated=False)
    again = await reserve(meters[1], model, tokens=900)
    assert {state.name: state.remaining for state in again.limits}["requests"] == 0
    await again.cancel()
    await reserve(meters[2], model, tokens=900)


async def test_place_is_held_while_a_call_runs(meters: list[Meter], redis: Redis) -> None:
    call_as("user_1")
    meter = Meter(
        meters[0].limiter,
        meters[0].usage_log,
        load_spent=meters[0].load_spent,
        metrics=meters[0].metrics,
        hold_seconds=3.0,
    )
    charge = await reserve(meter, for_all(ModelLimits(concurrent_calls=1)))
    first = (await redis.zrange(PLACES, 0, -1, withscores=True))[0][1]
    async with asyncio.timeout(30):
        while (await redis.zrange(PLACES, 0, -1, withscores=True))[0][1] == first:  # noqa: ASYNC110 - Redis has no event
            await asyncio.sleep(0.05)
    await charge.cancel()
    assert await redis.zcard(PLACES) == 0


async def test_place_is_free_soon_when_its_chat_is_dead(meters: list[Meter], redis: Redis) -> None:
    call_as("user_1")
    limits = ModelLimits(concurrent_calls=1)
    model = replace(MODEL, limits=limits, user_limits=limits)
    await reserve(meters[0], model)  # its places would be held for two minutes
    with pytest.raises(ResourceExhaustedError, match="Too many calls of gpt are under way"):
        await reserve(meters[1], model)
    async with open_calls(redis, ChatMetrics(CollectorRegistry()), hold_seconds=HOLD_SECONDS), asyncio.timeout(30):
        while await redis.exists(PLACES, "limit:{user_1}:model:gpt:calls"):  # noqa: ASYNC110 - Redis has no event
            await asyncio.sleep(0.02)
    await reserve(meters[1], model)
