"""What only the limiter in Redis promises: exactness over processes, and nothing of Redis leaking out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from rostra_kit.limits import BudgetClaim, Claim, Grant, LimitsUnavailable, RateClaim, RedisLimiter, Refusal, SlotClaim
from rostra_kit.limits.scripts import script_call, script_text
from rostra_kit.redis_batch import RedisBatch
from rostra_kit.testing.manual_clock import ManualClock
from rostra_kit.testing.redis_server import redis_client

Key = Callable[[str], str]

CALLERS = 64


@pytest.fixture
async def replicas(redis_url: str) -> AsyncIterator[list[RedisLimiter]]:
    """Three limiters with a client each, as three pods have; they read the clock of Redis."""
    async with AsyncExitStack() as stack:
        yield [RedisLimiter(await stack.enter_async_context(redis_client(redis_url))) for _ in range(3)]


async def grants_of_a_burst(replicas: list[RedisLimiter], *claims: Claim, calls_each: int = 2) -> list[Grant]:
    """Have 64 callers, spread over the replicas, reserve at once."""

    async def call(caller: int) -> list[Grant]:
        limiter = replicas[caller % len(replicas)]
        ids = [f"call-{caller}-{number}" for number in range(calls_each)]
        outcomes = [await limiter.reserve(claims, reservation_id=reservation_id) for reservation_id in ids]
        return [outcome for outcome in outcomes if isinstance(outcome, Grant)]

    return [grant for grants in await asyncio.gather(*map(call, range(CALLERS))) for grant in grants]


async def nothing_spent() -> int:
    return 0


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_burst_over_replicas_gets_exactly_the_rate(replicas: list[RedisLimiter], key: Key, limit: int) -> None:
    claim = RateClaim("requests", key("rpm"), limit, period_seconds=86_400)
    assert len(await grants_of_a_burst(replicas, claim)) == limit


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_burst_over_replicas_gets_exactly_the_slots(replicas: list[RedisLimiter], key: Key, limit: int) -> None:
    assert len(await grants_of_a_burst(replicas, SlotClaim("streams", key("streams"), limit))) == limit


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_burst_over_replicas_gets_exactly_the_budget(replicas: list[RedisLimiter], key: Key, limit: int) -> None:
    async def spent() -> int:
        await asyncio.sleep(0)
        return 13

    claim = BudgetClaim("budget", key("budget"), limit * 10 + 13, 10, spent)
    assert len(await grants_of_a_burst(replicas, claim)) == limit


async def test_burst_over_several_limits_takes_all_or_nothing(
    replicas: list[RedisLimiter], key: Key, redis: Redis
) -> None:
    claims = (
        RateClaim("requests", key("rpm"), 100, period_seconds=86_400),
        SlotClaim("streams", key("streams"), 7),
        BudgetClaim("budget", key("budget"), 1000, 10, nothing_spent),
    )
    grants = await grants_of_a_burst(replicas, *claims)
    assert len(grants) == 7
    assert await redis.zcard(key("streams")) == 7
    assert await redis.zcard(key("budget:holds")) == 7
    rate = await replicas[0].reserve([RateClaim("requests", key("rpm"), 100, 0, 86_400)], reservation_id="look")
    assert rate.states[0].remaining == 93


async def test_concurrent_settlements_charge_each_call_once(
    replicas: list[RedisLimiter], key: Key, redis: Redis
) -> None:
    claims = (
        RateClaim("tokens", key("tpm"), 10_000, 100, 86_400),
        BudgetClaim("budget", key("budget"), 10_000, 100, nothing_spent),
    )
    grants = await grants_of_a_burst(replicas, *claims, calls_each=1)
    actual = {"tokens": 40, "budget": 30}
    await asyncio.gather(*(limiter.settle(grant, actual) for grant in grants for limiter in replicas))
    assert await redis.get(key("budget")) == b"%d" % (64 * 30)
    look = await replicas[0].reserve([RateClaim("tokens", key("tpm"), 10_000, 0, 86_400)], reservation_id="look")
    assert look.states[0].remaining == 10_000 - 64 * 40


async def test_rate_of_redis_own_clock_is_regained(replicas: list[RedisLimiter], key: Key) -> None:
    claim = RateClaim("requests", key("rpm"), limit=2, period_seconds=2)
    for reservation_id in ("a", "b"):
        assert isinstance(await replicas[0].reserve([claim], reservation_id=reservation_id), Grant)
    refusal = await replicas[1].reserve([claim], reservation_id="c")
    assert isinstance(refusal, Refusal)
    assert refusal.retry_after_seconds is not None
    assert 0 < refusal.retry_after_seconds <= 1.0
    await asyncio.sleep(refusal.retry_after_seconds)
    assert isinstance(await replicas[2].reserve([claim], reservation_id="d"), Grant)


async def test_forgotten_scripts_are_loaded_again(replicas: list[RedisLimiter], key: Key, redis: Redis) -> None:
    claim = SlotClaim("streams", key("streams"), 1)
    await redis.script_flush()
    grant = await replicas[0].reserve([claim], reservation_id="a")
    assert isinstance(grant, Grant)
    await redis.script_flush()
    assert await replicas[0].renew(grant)
    await redis.script_flush()
    await replicas[0].settle(grant, {})
    assert await redis.zcard(key("streams")) == 0


async def test_script_runs_in_a_pipeline_with_its_neighbours(redis: Redis, key: Key) -> None:
    await redis.script_flush()
    call = script_call([RateClaim("requests", key("rpm"), 10)], reservation_id="a", hold_seconds=1)
    script = redis.register_script(script_text("reserve", call.kinds))
    async with redis.pipeline(transaction=False) as pipeline:
        pipeline.set(key("before"), "1")
        await script(keys=call.keys, args=call.arguments, client=pipeline)
        pipeline.get(key("before"))
        _, reply, before = await pipeline.execute()
    assert (reply[:2], before) == ([b"granted", b"9"], b"1")


async def test_client_that_decodes_replies_serves_as_well(redis_url: str, key: Key) -> None:
    async with redis_client(redis_url, decode_responses=True) as redis:
        outcome = await RedisLimiter(redis).reserve([RateClaim("requests", key("rpm"), 10)], reservation_id="a")
    assert outcome.states[0].remaining == 9


async def test_emptied_redis_loads_the_budget_again(redis: Redis, key: Key) -> None:
    ledger = iter([100, 350])

    async def spent() -> int:
        return next(ledger)

    limiter = RedisLimiter(redis)
    claim = BudgetClaim("budget", key("budget"), 1000, 200, spent)
    first = await limiter.reserve([claim], reservation_id="a")
    assert isinstance(first, Grant)
    assert first.states[0].remaining == 700
    await redis.delete(key("budget"), key("budget:holds"), key("reservation:a"))
    await limiter.settle(first, {"budget": 150})
    assert await redis.exists(key("budget")) == 0, "a counter of one call would stand for the whole period"
    again = await limiter.reserve([claim], reservation_id="b")
    assert again.states[0].remaining == 450


async def test_redis_that_keeps_losing_the_budget_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, redis: Redis, key: Key
) -> None:
    execute = RedisBatch.execute

    async def forget(self: RedisBatch, *command: str | bytes | int) -> object:
        return b"OK" if command[0] == "SET" else await execute(self, *command)

    monkeypatch.setattr(RedisBatch, "execute", forget)
    with pytest.raises(LimitsUnavailable):
        await RedisLimiter(redis).reserve(
            [BudgetClaim("budget", key("budget"), 10, 1, nothing_spent)], reservation_id="a"
        )


async def test_every_key_ends_by_itself(redis: Redis, key: Key) -> None:
    claims = (
        RateClaim("requests", key("rpm"), 10),
        SlotClaim("streams", key("streams"), 5),
        BudgetClaim("budget", key("budget"), 1000, 10, nothing_spent),
    )
    grant = await RedisLimiter(redis).reserve(claims, reservation_id="a", hold_seconds=30)
    assert isinstance(grant, Grant)
    seconds = {name: await redis.pttl(key(name)) / 1000 for name in ("rpm", "streams", "budget:holds", "reservation:a")}
    assert seconds == pytest.approx({"rpm": 6, "streams": 30, "budget:holds": 30, "reservation:a": 150}, abs=1)
    assert await redis.ttl(key("budget")) > 31 * 86_400
    await RedisLimiter(redis).settle(grant, {})
    assert await redis.exists(key("streams"), key("budget:holds")) == 0
    assert await redis.ttl(key("reservation:a")) == pytest.approx(120, abs=1)


async def test_large_limits_are_counted_to_the_last_token(redis: Redis, key: Key) -> None:
    limiter = RedisLimiter(redis, now_us=ManualClock())
    for number, cost in enumerate([99_999_999 - 33_333_333, 33_333_332, 1, 1]):
        claim = RateClaim("tokens", key("tpm"), 100_000_000, cost)
        outcome = await limiter.reserve([claim], reservation_id=str(number))
        assert isinstance(outcome, Grant)
    assert outcome.states[0].remaining == 0
    last = await limiter.reserve([RateClaim("tokens", key("tpm"), 100_000_000, 1)], reservation_id="last")
    assert isinstance(last, Refusal)


async def test_key_of_another_type_is_unavailable_and_harms_nobody(redis: Redis, key: Key) -> None:
    await redis.lpush(key("rpm"), "not ours")
    limiter = RedisLimiter(redis)
    with pytest.raises(LimitsUnavailable):
        await limiter.reserve([RateClaim("requests", key("rpm"), 10)], reservation_id="a")
    assert isinstance(await limiter.reserve([RateClaim("requests", key("rps"), 10)], reservation_id="a"), Grant)


async def test_cancelled_callers_never_shift_replies(redis_url: str, key: Key) -> None:
    async with redis_client(redis_url, max_connections=8) as redis:
        limiter = RedisLimiter(redis)

        async def call(number: int) -> None:
            limit = 1000 + number
            claim = RateClaim("requests", key(f"rpm-{number}"), limit)
            outcome = await limiter.reserve([claim], reservation_id=f"r{number}")
            assert outcome.states[0].remaining == limit - 1, "this is somebody else's reply"

        served = cancelled = 0
        for wave in range(20):
            tasks = [asyncio.create_task(call(wave * 8 + number)) for number in range(8)]
            for turns, task in enumerate(tasks[::2]):
                for _ in range(turns * 2):
                    await asyncio.sleep(0)
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                assert result is None or isinstance(result, asyncio.CancelledError), result
                served, cancelled = served + (result is None), cancelled + (result is not None)
    assert served >= 80
    assert cancelled > 0
