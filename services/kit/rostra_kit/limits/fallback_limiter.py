"""The limiter that services use: Redis while it answers, this process alone while it does not."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from rostra_kit.limits.circuit_breaker import CircuitBreaker
from rostra_kit.limits.claims import BudgetClaim, Claim
from rostra_kit.limits.errors import LimitsUnavailable
from rostra_kit.limits.limiter import DEFAULT_HOLD_SECONDS, Limiter
from rostra_kit.limits.outcomes import Grant, Outcome
from rostra_kit.limits.retry_queue import Job, RetryQueue

logger = logging.getLogger(__name__)


class FallbackLimiter:
    """A `Limiter` that never waits for a dead Redis and never lets money be spent uncounted.

    While `primary` is unavailable, rates and slots are counted by `local`, and a reservation with a budget raises
    LimitsUnavailable. Each grant is settled by the limiter that made it. Once granted, nothing here raises for lack of
    Redis: what cannot be settled now is repeated by `retries`, which the caller opens and closes.

    Args:
        primary: The limiter that counts for all replicas.
        local: The limiter that counts for this process.
        retries: Repeats what `primary` did not confirm.
        on_fallback: Called for each reservation that was left to `local`.
        breaker: Decides when `primary` is tried again.
    """

    def __init__(
        self,
        primary: Limiter,
        local: Limiter,
        *,
        retries: RetryQueue,
        on_fallback: Callable[[], None],
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self._primary = primary
        self._local = local
        self._retries = retries
        self._on_fallback = on_fallback
        self._breaker = breaker or CircuitBreaker()

    async def reserve(
        self, claims: Sequence[Claim], *, reservation_id: str, hold_seconds: float = DEFAULT_HOLD_SECONDS
    ) -> Outcome:
        """Take all the claims, or none of them: see `Limiter`."""
        if self._breaker.allows():
            undo = partial(self._primary.cancel, Grant(reservation_id, tuple(claims), (), hold_seconds, "redis"))
            try:
                outcome = await self._primary.reserve(claims, reservation_id=reservation_id, hold_seconds=hold_seconds)
            except LimitsUnavailable as error:
                self._note_failure(error)
                self._retries.put(undo, is_counted=False)  # it may have been taken without our hearing of it
            except asyncio.CancelledError:
                self._retries.put(undo, is_counted=False)
                raise
            else:
                self._breaker.record_success()
                return outcome
        return await self._reserve_locally(claims, reservation_id, hold_seconds)

    async def renew(self, grant: Grant) -> bool:
        """Hold the grant's slots and money for longer; also false when Redis could not be asked: see `Limiter`."""
        if grant.origin == "local":
            return await self._local.renew(grant)
        if not self._breaker.allows():
            return False
        try:
            renewed = await self._primary.renew(grant)
        except LimitsUnavailable as error:
            self._note_failure(error)
            return False
        self._breaker.record_success()
        return renewed

    async def settle(self, grant: Grant, actual: Mapping[str, int]) -> None:
        """Replace the reserved costs by the actual ones, later if need be: see `Limiter`."""
        if grant.origin == "local":
            await self._local.settle(grant, actual)
        else:
            await self._close(partial(self._primary.settle, grant, dict(actual)))

    async def cancel(self, grant: Grant) -> None:
        """Give everything back, later if need be: see `Limiter`."""
        if grant.origin == "local":
            await self._local.cancel(grant)
        else:
            await self._close(partial(self._primary.cancel, grant))

    async def _close(self, job: Job) -> None:
        """Run a job that may be run twice, and leave it to the background when it is not known to have succeeded."""
        if not self._breaker.allows():
            self._retries.put(job)
            return
        try:
            await job()
        except LimitsUnavailable as error:
            self._note_failure(error)
            self._retries.put(job)
        except asyncio.CancelledError:
            self._retries.put(job)
            raise
        else:
            self._breaker.record_success()

    async def _reserve_locally(self, claims: Sequence[Claim], reservation_id: str, hold_seconds: float) -> Outcome:
        if any(isinstance(claim, BudgetClaim) for claim in claims):
            raise LimitsUnavailable(
                "The budget cannot be checked right now.", retry_after_seconds=self._breaker.open_seconds
            )
        self._on_fallback()
        return await self._local.reserve(claims, reservation_id=reservation_id, hold_seconds=hold_seconds)

    def _note_failure(self, error: LimitsUnavailable) -> None:
        if self._breaker.record_failure():
            logger.warning("Redis does not answer: limits are counted by this process alone", exc_info=error)
