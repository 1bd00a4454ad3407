"""What services see of the limits while Redis dies, hangs and comes back."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from rostra_kit.limits import (
    BudgetClaim,
    CircuitBreaker,
    FallbackLimiter,
    Grant,
    LimitsUnavailable,
    LocalLimiter,
    RateClaim,
    RedisLimiter,
    Refusal,
    RetryQueue,
    SlotClaim,
)
from rostra_kit.redis import RedisSettings, open_redis
from rostra_kit.testing.redis_server import RedisServer, installed_redis, running_redis

REQUESTS = RateClaim("requests", "limit:{u_1}:rpm", 10)
STREAMS = SlotClaim("streams", "limit:{u_1}:streams", 2)


async def nothing_spent() -> int:
    return 0


BUDGET = BudgetClaim("budget", "limit:{u_1}:budget", 1000, 100, nothing_spent)


class Services:
    """A limiter as a service has it, and what the service counts."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.fallbacks = self.losses = 0
        self.retries = RetryQueue(on_lost=self._lose, delay_seconds=0.01, max_delay_seconds=0.02)
        self.limiter = FallbackLimiter(
            RedisLimiter(redis),
            LocalLimiter(),
            retries=self.retries,
            on_fallback=self._fall_back,
            breaker=CircuitBreaker(open_seconds=0.05),
        )

    async def take(self, *claims: RateClaim | SlotClaim | BudgetClaim, reservation_id: str = "r") -> Grant:
        outcome = await self.limiter.reserve(claims, reservation_id=reservation_id)
        assert isinstance(outcome, Grant), outcome
        return outcome

    async def settled(self) -> None:
        """Wait until nothing is left to repeat."""
        async with asyncio.timeout(10):
            while len(self.retries):  # noqa: ASYNC110 - what is awaited is another task's progress, which nobody signals
                await asyncio.sleep(0.01)

    async def recovered(self) -> None:
        """Wait until Redis is used again."""
        async with asyncio.timeout(10):
            for number in range(1000):
                grant = await self.take(RateClaim("probe", "limit:{probe}:rpm", 1000), reservation_id=f"p{number}")
                if grant.origin == "redis":
                    return
                await asyncio.sleep(0.01)

    def _fall_back(self) -> None:
        self.fallbacks += 1

    def _lose(self) -> None:
        self.losses += 1


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_redis(installed_redis()) as server:
        yield server


@asynccontextmanager
async def open_services(server: RedisServer) -> AsyncIterator[Services]:
    settings = RedisSettings(url=SecretStr(server.url), limiter_timeout_seconds=0.3)
    async with open_redis(settings) as clients:
        services = Services(clients.limiter)
        async with services.retries:
            yield services


@pytest.fixture
async def services(server: RedisServer) -> AsyncIterator[Services]:
    async with open_services(server) as services:
        yield services


async def test_living_redis_is_used(services: Services) -> None:
    grant = await services.take(REQUESTS, STREAMS, BUDGET)
    assert grant.origin == "redis"
    await services.limiter.settle(grant, {"budget": 70})
    assert services.fallbacks == 0
    assert await services.redis.get(BUDGET.key) == b"70"


async def test_dead_redis_leaves_rates_and_slots_to_the_process(services: Services, server: RedisServer) -> None:
    server.kill()
    grants = [await services.take(REQUESTS, STREAMS, reservation_id=str(number)) for number in range(2)]
    assert {grant.origin for grant in grants} == {"local"}
    refusal = await services.limiter.reserve([REQUESTS, STREAMS], reservation_id="third")
    assert isinstance(refusal, Refusal)
    assert refusal.refused == "streams"
    assert services.fallbacks == 3
    assert await services.limiter.renew(grants[0])
    await services.limiter.settle(grants[0], {})
    await services.limiter.cancel(grants[1])
    assert (await services.take(REQUESTS, STREAMS)).states[1].remaining == 1


async def test_dead_redis_refuses_money_with_retry_after(services: Services, server: RedisServer) -> None:
    server.kill()
    for _ in range(2):
        with pytest.raises(LimitsUnavailable) as caught:
            await services.limiter.reserve([REQUESTS, BUDGET], reservation_id="r")
        assert caught.value.retry_after_seconds == 0.05
    assert services.fallbacks == 0


async def test_recovered_redis_is_used_again_and_local_grants_stay_local(
    services: Services, server: RedisServer
) -> None:
    server.kill()
    local = await services.take(STREAMS, reservation_id="local")
    server.start()
    await services.recovered()
    await services.limiter.settle(local, {})
    assert (await services.take(STREAMS)).states[0].remaining == 1
    assert await services.redis.zcard(STREAMS.key) == 1


async def test_settlement_without_redis_raises_nothing_and_is_made_later(
    services: Services, server: RedisServer
) -> None:
    tokens = RateClaim("tokens", "limit:{u_1}:tpm", 1000, 400, period_seconds=86_400)
    settled = await services.take(tokens, STREAMS, BUDGET, reservation_id="a")
    cancelled = await services.take(tokens, STREAMS, BUDGET, reservation_id="b")
    with server.frozen():
        await services.limiter.settle(settled, {"tokens": 100, "budget": 30})
        assert not await services.limiter.renew(cancelled)
        await services.limiter.cancel(cancelled)
        assert len(services.retries) == 2
    await services.settled()
    await services.recovered()
    assert services.losses == 0
    assert [state.remaining for state in (await services.take(tokens, STREAMS, BUDGET)).states] == [500, 1, 870]


async def test_frozen_redis_costs_one_timeout_and_not_one_per_request(services: Services, server: RedisServer) -> None:
    await services.take(REQUESTS)
    with server.frozen():
        started = time.monotonic()
        outcomes = [
            await services.limiter.reserve(
                [SlotClaim("streams", "limit:{u_2}:streams", 100)], reservation_id=str(number)
            )
            for number in range(50)
        ]
        elapsed_seconds = time.monotonic() - started
    assert all(isinstance(outcome, Grant) for outcome in outcomes)
    assert elapsed_seconds < 1.5, "a timeout is 0.3 s, twice that while it connects"


async def test_reservation_of_unknown_fate_is_given_back(services: Services, server: RedisServer) -> None:
    await services.take(STREAMS, reservation_id="known")
    with server.frozen():
        grant = await services.take(STREAMS, reservation_id="unknown")
        assert grant.origin == "local"
    await services.settled()
    members = await services.redis.zrange(STREAMS.key, 0, -1)
    assert members == [b"known"]


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 10])
async def test_caller_cancelled_while_reserving_is_cancelled_and_holds_nothing(
    services: Services, server: RedisServer, turns: int
) -> None:
    await services.take(STREAMS, reservation_id="warm")
    with server.frozen():
        task = asyncio.create_task(services.limiter.reserve([STREAMS], reservation_id="gone"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await services.settled()
    assert await services.redis.zrange(STREAMS.key, 0, -1) == [b"warm"]


async def test_caller_cancelled_while_settling_settles(services: Services, server: RedisServer) -> None:
    grant = await services.take(STREAMS, BUDGET)
    with server.frozen():
        task = asyncio.create_task(services.limiter.settle(grant, {"budget": 70}))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await services.settled()
    assert await services.redis.get(BUDGET.key) == b"70"
    assert await services.redis.zcard(STREAMS.key) == 0


async def test_settlements_that_redis_never_takes_are_counted_at_the_end(server: RedisServer) -> None:
    async with open_services(server) as services:
        grant = await services.take(STREAMS, BUDGET)
        server.kill()
        await services.limiter.settle(grant, {"budget": 70})
        assert services.losses == 0
    assert services.losses == 1
