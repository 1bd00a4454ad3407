"""The limiter that is exact over all replicas: every reservation is one Lua script, one round trip to Redis."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError

from rostra_kit.limits.claims import BudgetClaim, Claim, RateClaim, check_actual, check_claims
from rostra_kit.limits.errors import LimitsUnavailable
from rostra_kit.limits.limiter import DEFAULT_HOLD_SECONDS
from rostra_kit.limits.outcomes import Grant, Outcome, limit_states, refusal
from rostra_kit.limits.scripts import (
    ReserveReply,
    ScriptCall,
    ScriptName,
    read_reserve_reply,
    read_status,
    script_call,
    script_text,
)
from rostra_kit.redis_batch import RedisBatch, Script

# Longer than any calendar month, so a budget's counter outlives its period; the next period has another key.
_BUDGET_TTL_SECONDS = round(timedelta(days=40).total_seconds())


class RedisLimiter:
    """A `Limiter` that counts in Redis, for every process that uses the same Redis.

    Whatever goes wrong with Redis is raised as LimitsUnavailable. Redis must not evict the counters: give it memory to
    spare, or `noeviction`.

    Args:
        redis: A client with short timeouts. It may repeat a call: a reservation is taken once whatever is lost.
        now_us: The time in microseconds, for tests. Without it the scripts read the clock of Redis, which is the only
            one that all replicas share.
    """

    def __init__(self, redis: Redis, *, now_us: Callable[[], int] | None = None) -> None:
        self._batch = RedisBatch.of(redis)
        self._now_us = now_us
        self._scripts: dict[tuple[ScriptName, frozenset[str]], Script] = {}

    async def reserve(
        self, claims: Sequence[Claim], *, reservation_id: str, hold_seconds: float = DEFAULT_HOLD_SECONDS
    ) -> Outcome:
        """Take all the claims, or none of them: see `Limiter`."""
        check_claims(claims)
        reply = await self._reserve(claims, reservation_id, hold_seconds)
        if reply.status == "closed":
            raise ValueError(f"the reservation {reservation_id} is closed")
        if reply.status == "refused":
            return refusal(claims, reply.measures)
        return Grant(reservation_id, tuple(claims), limit_states(claims, reply.measures), hold_seconds, "redis")

    async def renew(self, grant: Grant) -> bool:
        """Hold the grant's slots and money for longer: see `Limiter`."""
        call = script_call(
            grant.claims,
            reservation_id=grant.reservation_id,
            hold_seconds=grant.hold_seconds,
            now_us=self._now_us,
        )
        return read_status(await self._run("renew", call)) == "renewed"

    async def settle(self, grant: Grant, actual: Mapping[str, int]) -> None:
        """Replace the reserved costs by the actual ones: see `Limiter`."""
        check_actual(grant.claims, actual)
        call = script_call(grant.claims, reservation_id=grant.reservation_id, actual=actual, now_us=self._now_us)
        await self._run("settle", call)

    async def cancel(self, grant: Grant) -> None:
        """Give everything back: see `Limiter`."""
        await self.settle(grant, {claim.name: 0 for claim in grant.claims if isinstance(claim, RateClaim)})

    async def _reserve(self, claims: Sequence[Claim], reservation_id: str, hold_seconds: float) -> ReserveReply:
        """Run the script until every budget is seeded, which is at once but for the first call of a period."""
        for _ in range(len(claims) + 1):
            call = script_call(claims, reservation_id=reservation_id, hold_seconds=hold_seconds, now_us=self._now_us)
            reply = read_reserve_reply(await self._run("reserve", call))
            if reply.status != "unseeded":
                return reply
            claim = claims[reply.unseeded_index]
            if isinstance(claim, BudgetClaim):
                await self._seed(claim)
        raise LimitsUnavailable("Redis loses budgets as fast as they are loaded.", retry_after_seconds=1)

    async def _seed(self, claim: BudgetClaim) -> None:
        """Tell Redis what was spent, unless another caller was faster: costs may have been settled since."""
        spent = await claim.load_spent()
        try:
            await self._batch.execute("SET", claim.key, spent, "NX", "EX", _BUDGET_TTL_SECONDS)
        except (RedisError, OSError) as error:
            raise _unavailable() from error

    async def _run(self, name: ScriptName, call: ScriptCall) -> Sequence[bytes | str]:
        try:
            reply: Sequence[bytes | str] = await self._script(name, call.kinds)(call.keys, call.arguments)
        except (RedisError, OSError) as error:
            raise _unavailable() from error
        return reply

    def _script(self, name: ScriptName, kinds: frozenset[str]) -> Script:
        if (name, kinds) not in self._scripts:
            self._scripts[name, kinds] = Script(self._batch, script_text(name, kinds))
        return self._scripts[name, kinds]


def _unavailable() -> LimitsUnavailable:
    return LimitsUnavailable("Limits cannot be checked right now.", retry_after_seconds=1)
