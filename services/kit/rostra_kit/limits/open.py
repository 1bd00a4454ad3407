"""The limiter that a service starts with: Redis for all replicas, and what carries on while Redis is away."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from rostra_kit.limits.fallback_limiter import FallbackLimiter
from rostra_kit.limits.limiter import Limiter
from rostra_kit.limits.local_limiter import LocalLimiter
from rostra_kit.limits.redis_limiter import RedisLimiter
from rostra_kit.limits.retry_queue import RetryQueue


@asynccontextmanager
async def open_limiter(
    redis: Redis, *, on_fallback: Callable[[], None], on_lost: Callable[[], None] = lambda: None
) -> AsyncIterator[Limiter]:
    """Open the limiter, and at the end try once more what Redis has not confirmed.

    Args:
        redis: A client with short timeouts.
        on_fallback: Called for each reservation that this process counted alone.
        on_lost: Called for each settlement that Redis was never told; it matters where money is settled.
    """
    async with RetryQueue(on_lost=on_lost) as retries:
        yield FallbackLimiter(RedisLimiter(redis), LocalLimiter(), retries=retries, on_fallback=on_fallback)
