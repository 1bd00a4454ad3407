"""What is reserved before a call and settled after it, on the limiter that all replicas share."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from rostra.common.v1.caller_pb2 import Caller, Limits
from rostra.common.v1.limit_state_pb2 import LimitState
from rostra.user.v1.usage_pb2 import UsageEvent, UsageOutcome
from rostra_chat.catalogue import Model
from rostra_chat.metering import Charge, Meter
from rostra_chat.metrics import ChatMetrics
from rostra_chat.providers.provider import Usage
from rostra_chat.usage_log import UsageLog
from rostra_kit.context import RequestContext, set_current_request
from rostra_kit.errors import ResourceExhaustedError, UnauthenticatedError, UnavailableError
from rostra_kit.limits import FallbackLimiter, LocalLimiter, RedisLimiter, RetryQueue
from rostra_kit.ports import free_port
from rostra_kit.status import reason_name
from rostra_kit.testing.grpc import call_as, call_as_nobody
from rostra_kit.testing.redis_server import redis_client
from services.chat.tests.conftest import open_calls

Read = Callable[[], Awaitable[list[UsageEvent]]]

FINISHED = UsageOutcome.USAGE_OUTCOME_FINISHED
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FREE = Model(id="free", provider="openai", upstream_name="free", create_time=NOW)
# 2 per million input tokens, 1 when cached, 10 per million output tokens.
PAID = Model(
    id="paid",
    provider="openai",
    upstream_name="paid",
    input_price_micros=2_000_000,
    cached_input_price_micros=1_000_000,
    output_price_micros=10_000_000,
    create_time=NOW,
)


class Ledger:
    """Answers what was spent, and remembers for which months it was asked."""

    def __init__(self) -> None:
        self.spent = 0
        self.spent_by_key = 0
        self.asked: list[str] = []

    async def spent_in(self, month: str, api_key_id: str) -> int:
        if api_key_id:
            assert api_key_id == "key_1"
            return self.spent_by_key
        self.asked.append(month)
        return self.spent


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def meter(redis: Redis, registry: CollectorRegistry, ledger: Ledger) -> AsyncIterator[Meter]:
    metrics = ChatMetrics(registry)
    async with UsageLog(redis, calls=open_calls(redis, metrics), metrics=metrics) as log:
        yield Meter(RedisLimiter(redis), log, load_spent=ledger.spent_in, metrics=metrics, now=lambda: NOW)


@pytest.fixture
async def meter_without_redis(registry: CollectorRegistry, ledger: Ledger) -> AsyncIterator[Meter]:
    metrics = ChatMetrics(registry)
    async with (
        redis_client(f"redis://127.0.0.1:{free_port()}", socket_connect_timeout=0.2, retry=None) as redis,
        RetryQueue(on_lost=metrics.settlements_lost.inc, exit_seconds=0.1) as retries,
        UsageLog(redis, calls=open_calls(redis, metrics), metrics=metrics, exit_seconds=0.1) as log,
    ):
        limiter = FallbackLimiter(
            RedisLimiter(redis), LocalLimiter(), retries=retries, on_fallback=metrics.limiter_fallbacks.inc
        )
        yield Meter(limiter, log, load_spent=ledger.spent_in, metrics=metrics, now=lambda: NOW)


def call_with_key(*, user_limits: Limits | None = None, key_limits: Limits | None = None) -> None:
    caller = Caller(user_id="user_1", api_key_id="key_1", user_limits=user_limits, key_limits=key_limits)
    set_current_request(RequestContext(caller=caller.SerializeToString()))


async def reserve(meter: Meter, model: Model = FREE, *, tokens: int = 100) -> Charge:
    return await meter.reserve(model=model, input_tokens=tokens // 2, max_output_tokens=tokens - tokens // 2)


def remaining(charge: Charge) -> dict[str, int]:
    return {state.name: state.remaining for state in charge.limits}


async def test_nobody_is_refused(meter: Meter) -> None:
    call_as_nobody()
    with pytest.raises(UnauthenticatedError):
        await reserve(meter)


async def test_unlimited_caller_has_no_limits_but_a_record(meter: Meter, read_usage_events: Read) -> None:
    call_as("user_1", api_key_id="key_9")
    charge = await reserve(meter, PAID)
    assert charge.limits == ()
    usage = Usage(input_tokens=1000, cached_input_tokens=400, output_tokens=50, reasoning_tokens=20)
    await charge.settle(usage, outcome=FINISHED, estimated=True)
    (event,) = await read_usage_events()
    assert event.id.startswith("use_")
    event.ClearField("id")
    assert event == UsageEvent(
        user_id="user_1",
        api_key_id="key_9",
        model="paid",
        provider="openai",
        input_tokens=1000,
        cached_input_tokens=400,
        output_tokens=50,
        reasoning_tokens=20,
        cost_micros=600 * 2 + 400 * 1 + 50 * 10,
        estimated=True,
        outcome=FINISHED,
        end_time=NOW,
    )


async def test_part_of_a_micro_is_a_whole_one(meter: Meter, read_usage_events: Read) -> None:
    call_as("user_1")
    cheap = Model(id="cheap", provider="p", upstream_name="c", input_price_micros=50_000, create_time=NOW)
    await (await reserve(meter, cheap)).settle(Usage(input_tokens=1), outcome=FINISHED, estimated=False)
    assert [event.cost_micros for event in await read_usage_events()] == [1]


async def test_reservation_is_told_and_settled_to_what_was_used(meter: Meter) -> None:
    call_as("user_1", limits=Limits(tokens_per_minute=1000))
    charge = await reserve(meter, tokens=600)
    (state,) = charge.limits
    assert isinstance(state, LimitState)
    assert (state.name, state.limit, state.remaining) == ("tokens", 1000, 400)
    assert 35 < state.reset_duration.ToTimedelta().total_seconds() <= 36
    await charge.settle(Usage(input_tokens=90, output_tokens=10), outcome=FINISHED, estimated=False)
    assert 800 <= remaining(await reserve(meter, tokens=100))["tokens"] < 820


async def test_refusal_says_when_to_come_back(meter: Meter) -> None:
    call_as("user_1", limits=Limits(tokens_per_minute=1000))
    await reserve(meter, tokens=600)
    with pytest.raises(ResourceExhaustedError) as caught:
        await reserve(meter, tokens=500)
    error = caught.value
    assert reason_name(error.reason) == "RATE_LIMIT_EXCEEDED"
    assert {"limit": "tokens", "limit_amount": "1000"}.items() <= error.metadata.items()
    # A slow machine regains a token every 60 ms meanwhile.
    assert 400 <= int(error.metadata["limit_remaining"]) < 500
    assert 30 < float(error.metadata["reset_seconds"]) <= 36
    assert error.retry_after_seconds is not None
    assert 0 < error.retry_after_seconds <= 6
    assert error.message.startswith("Rate limit reached for free on tokens per min (TPM): Limit 1000, Used ")
    assert re.search(r"Requested 500\. Please try again in [\d.]+m?s\.", error.message)


async def test_request_beyond_the_limit_itself_is_too_large(meter: Meter) -> None:
    call_as("user_1", limits=Limits(tokens_per_minute=1000))
    with pytest.raises(ResourceExhaustedError) as caught:
        await reserve(meter, tokens=1001)
    assert caught.value.retry_after_seconds is None
    assert caught.value.message.startswith(
        "Request too large for free on tokens per min (TPM): Limit 1000, Requested 1001."
    )


async def test_keys_own_limit_holds_beside_the_plans(meter: Meter) -> None:
    plan, own = Limits(tokens_per_minute=1000), Limits(tokens_per_minute=300)
    call_with_key(user_limits=plan, key_limits=own)
    assert remaining(await reserve(meter, tokens=200)) == {"tokens": 100}
    with pytest.raises(ResourceExhaustedError, match="Limit 300") as caught:
        await reserve(meter, tokens=200)
    standing = {"limit": "tokens", "limit_amount": "300", "limit_remaining": "100"}
    assert standing.items() <= caught.value.metadata.items()
    call_as("user_1", limits=plan)
    assert 599 <= remaining(await reserve(meter, tokens=200))["tokens"] <= 610


async def test_many_at_once_get_exactly_what_there_is(meter: Meter) -> None:
    call_as("user_1", limits=Limits(tokens_per_minute=2000))
    outcomes = await asyncio.gather(*(reserve(meter, tokens=100) for _ in range(50)), return_exceptions=True)
    assert sum(isinstance(outcome, Charge) for outcome in outcomes) == 20
    assert sum(isinstance(outcome, ResourceExhaustedError) for outcome in outcomes) == 30


async def test_budget_counts_what_the_ledger_knows_and_what_is_held(meter: Meter, ledger: Ledger) -> None:
    call_as("user_1", limits=Limits(budget_micros_per_month=10_000))
    ledger.spent = 8_000
    charge = await reserve(meter, PAID, tokens=200)  # 100 x 2 + 100 x 10
    assert remaining(charge) == {"budget": 800}
    with pytest.raises(ResourceExhaustedError) as caught:
        await reserve(meter, PAID, tokens=200)
    assert reason_name(caught.value.reason) == "INSUFFICIENT_QUOTA"
    assert caught.value.retry_after_seconds is None
    await charge.settle(Usage(input_tokens=100, output_tokens=10), outcome=FINISHED, estimated=False)
    assert remaining(await reserve(meter, PAID, tokens=20)) == {"budget": 1_700 - 120}
    assert ledger.asked == ["2026-11"]


async def test_budget_of_a_key_is_its_own_and_settled_with_the_users(meter: Meter, ledger: Ledger) -> None:
    ledger.spent_by_key = 400
    budgets = {
        "user_limits": Limits(budget_micros_per_month=10_000),
        "key_limits": Limits(budget_micros_per_month=1_000),
    }
    call_with_key(**budgets)
    charge = await reserve(meter, PAID)
    assert remaining(charge) == {"budget": 0}  # 600 are held, of 10,000 and of 1,000
    with pytest.raises(ResourceExhaustedError, match="of the API key") as refused:
        await reserve(meter, PAID, tokens=2)
    assert reason_name(refused.value.reason) == "INSUFFICIENT_QUOTA"
    await charge.settle(Usage(input_tokens=50), outcome=FINISHED, estimated=False)
    again = await reserve(meter, PAID, tokens=2)
    assert remaining(again) == {"budget": 1_000 - 400 - 100 - 12}
    call_with_key(user_limits=budgets["user_limits"])
    assert remaining(await reserve(meter, PAID, tokens=2)) == {"budget": 10_000 - 100 - 12 - 12}


async def test_spent_budget_still_has_free_models(meter: Meter, ledger: Ledger) -> None:
    call_as("user_1", limits=Limits(budget_micros_per_month=10))
    ledger.spent = 10
    assert remaining(await reserve(meter, FREE)) == {}


async def test_cancelled_charge_gives_everything_back_and_leaves_no_record(
    meter: Meter, read_usage_events: Read
) -> None:
    call_as("user_1", limits=Limits(tokens_per_minute=1000, budget_micros_per_month=10_000))
    charge = await reserve(meter, PAID, tokens=1000)
    await charge.cancel()
    assert remaining(await reserve(meter, PAID, tokens=100)) == {"tokens": 900, "budget": 9_400}
    assert await read_usage_events() == []


async def test_only_the_first_end_counts(meter: Meter, read_usage_events: Read) -> None:
    call_as("user_1", limits=Limits(tokens_per_minute=1000))
    charge = await reserve(meter, tokens=500)
    await asyncio.gather(
        charge.settle(Usage(input_tokens=100), outcome=FINISHED, estimated=False),
        charge.settle(Usage(input_tokens=400), outcome=FINISHED, estimated=False),
        charge.cancel(),
    )
    assert 790 <= remaining(await reserve(meter, tokens=100))["tokens"] <= 810
    assert [event.input_tokens for event in await read_usage_events()] == [100]


async def test_cancelled_caller_does_not_stop_the_settlement(meter: Meter, read_usage_events: Read) -> None:
    call_as("user_1", limits=Limits(tokens_per_minute=1000))
    charge = await reserve(meter, tokens=500)
    task = asyncio.create_task(charge.settle(Usage(input_tokens=100), outcome=FINISHED, estimated=False))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await meter.drain()
    assert [event.input_tokens for event in await read_usage_events()] == [100]
    assert 790 <= remaining(await reserve(meter, tokens=100))["tokens"] <= 810


async def test_money_stays_held_while_a_call_runs(meter: Meter, redis: Redis, ledger: Ledger) -> None:
    meter = Meter(
        meter.limiter,
        meter.usage_log,
        load_spent=ledger.spent_in,
        metrics=meter.metrics,
        hold_seconds=0.3,
        now=lambda: NOW,
    )
    call_as("user_1", limits=Limits(budget_micros_per_month=10_000))
    charge = await reserve(meter, PAID, tokens=200)
    holds = "limit:{user_1}:budget:2026-11:holds"
    first = (await redis.zrange(holds, 0, -1, withscores=True))[0][1]
    async with asyncio.timeout(5):
        while (await redis.zrange(holds, 0, -1, withscores=True))[0][1] == first:  # noqa: ASYNC110 - Redis has no event
            await asyncio.sleep(0.02)
    await charge.cancel()
    assert await redis.zcard(holds) == 0


async def test_tokens_are_counted_by_the_process_while_redis_is_away(
    meter_without_redis: Meter, registry: CollectorRegistry
) -> None:
    call_as("user_1", limits=Limits(tokens_per_minute=1000))
    charge = await reserve(meter_without_redis, tokens=600)
    assert remaining(charge) == {"tokens": 400}
    with pytest.raises(ResourceExhaustedError):
        await reserve(meter_without_redis, tokens=600)
    await charge.settle(Usage(input_tokens=1), outcome=FINISHED, estimated=False)
    await reserve(meter_without_redis, tokens=600)
    assert registry.get_sample_value("rostra_chat_limiter_fallbacks_total") == 3


async def test_budget_is_not_spent_unchecked(meter_without_redis: Meter) -> None:
    call_as("user_1", limits=Limits(budget_micros_per_month=10_000))
    with pytest.raises(UnavailableError) as caught:
        await reserve(meter_without_redis, PAID)
    assert reason_name(caught.value.reason) == "LIMITS_UNAVAILABLE"
    assert caught.value.retry_after_seconds is not None


async def test_tokens_and_money_are_measured(meter: Meter, registry: CollectorRegistry) -> None:
    call_as("user_1")
    usage = Usage(input_tokens=100, output_tokens=10)
    await (await reserve(meter, PAID)).settle(usage, outcome=FINISHED, estimated=False)
    labels = {"provider": PAID.provider, "model": "paid"}
    assert registry.get_sample_value("rostra_chat_tokens_total", {"direction": "input", **labels}) == 100
    assert registry.get_sample_value("rostra_chat_tokens_total", {"direction": "output", **labels}) == 10
    assert registry.get_sample_value("rostra_chat_cost_micros_total", labels) == 300
