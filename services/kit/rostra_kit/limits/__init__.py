"""Exact limits over all replicas: reserve rates, slots and money at once, settle them after the work.

    limiter = RedisLimiter(redis)
    claims = [
        RateClaim("tokens", "limit:{u_123}:tpm", limit=200_000, cost=1_500),
        SlotClaim("streams", "limit:{u_123}:streams", limit=5),
    ]
    outcome = await limiter.reserve(claims, reservation_id=request_id)
    match outcome:
        case Refusal(refused=name, retry_after_seconds=seconds): ...
        case Grant() as grant: ...  # do the work; `await limiter.renew(grant)` now and then
    await limiter.settle(grant, {"tokens": 957})

`claims` says what can be claimed, `outcomes` what comes of it, `limiter` what every limiter does. `RedisLimiter` runs
the Lua scripts beside it: prelude.lua describes their wire, rate.lua, slot.lua and budget.lua the state in Redis.
"""

from rostra_kit.limits.circuit_breaker import CircuitBreaker
from rostra_kit.limits.claims import BudgetClaim, Claim, RateClaim, SlotClaim
from rostra_kit.limits.errors import LimitsUnavailable
from rostra_kit.limits.fallback_limiter import FallbackLimiter
from rostra_kit.limits.limiter import Limiter
from rostra_kit.limits.local_limiter import LocalLimiter
from rostra_kit.limits.open import open_limiter
from rostra_kit.limits.outcomes import Grant, LimitState, Outcome, Refusal
from rostra_kit.limits.redis_limiter import RedisLimiter
from rostra_kit.limits.retry_queue import RetryQueue

__all__ = [
    "BudgetClaim",
    "CircuitBreaker",
    "Claim",
    "FallbackLimiter",
    "Grant",
    "LimitState",
    "Limiter",
    "LimitsUnavailable",
    "LocalLimiter",
    "Outcome",
    "RateClaim",
    "RedisLimiter",
    "Refusal",
    "RetryQueue",
    "SlotClaim",
    "open_limiter",
]
