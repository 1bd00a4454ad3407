"""The limiter that counts in one process, for the time that Redis cannot be reached, and for tests."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from rostra_kit.limits.claims import BudgetClaim, Claim, RateClaim, check_actual, check_claims
from rostra_kit.limits.limiter import DEFAULT_HOLD_SECONDS
from rostra_kit.limits.local_claims import Call, KeyState, LocalClaim, local_claim
from rostra_kit.limits.outcomes import Grant, Measure, Outcome, limit_states, refusal

_MAX_REMEMBERED = 50_000


class LocalLimiter:
    """A `Limiter` that is exact within one process; every process allows the whole limit.

    Its memory is bounded: of more than `max_remembered` keys or reservations the one unused for longest is forgotten.

    Args:
        now_us: A clock that does not go back, in microseconds.
        max_remembered: How many keys, and how many reservations, are remembered.
    """

    def __init__(self, *, now_us: Callable[[], int] | None = None, max_remembered: int = _MAX_REMEMBERED) -> None:
        self._now_us = now_us or _monotonic_us
        self._max_remembered = max_remembered
        self._states: OrderedDict[str, KeyState] = OrderedDict()
        self._records: OrderedDict[str, Literal["open", "closed"]] = OrderedDict()

    async def reserve(
        self, claims: Sequence[Claim], *, reservation_id: str, hold_seconds: float = DEFAULT_HOLD_SECONDS
    ) -> Outcome:
        """Take all the claims, or none of them: see `Limiter`."""
        check_claims(claims)
        await self._seed(claims)
        record = self._records.get(reservation_id)
        if record == "closed":
            raise ValueError(f"the reservation {reservation_id} is closed")
        call = Call(reservation_id, self._now_us(), hold_seconds, is_open=record == "open")
        measures = self._measure(claims, call)
        if record is None:
            if any(measure.wait_us for measure in measures):
                return refusal(claims, measures)
            for claim in claims:
                self._bind(claim, call).take()
            self._record(reservation_id, "open")
            measures = self._measure(claims, call)
        return Grant(reservation_id, tuple(claims), limit_states(claims, measures), hold_seconds, "local")

    async def renew(self, grant: Grant) -> bool:
        """Hold the grant's slots and money for longer: see `Limiter`."""
        call = self._call(grant)
        if not call.is_open:
            return False
        renewed = [self._bind(claim, call).renew() for claim in grant.claims]
        return all(renewed)

    async def settle(self, grant: Grant, actual: Mapping[str, int]) -> None:
        """Replace the reserved costs by the actual ones: see `Limiter`."""
        check_actual(grant.claims, actual)
        if self._records.get(grant.reservation_id) == "closed":
            return
        call = self._call(grant)
        self._record(grant.reservation_id, "closed")
        for claim in grant.claims:
            self._bind(claim, call).settle(actual.get(claim.name))

    async def cancel(self, grant: Grant) -> None:
        """Give everything back: see `Limiter`."""
        await self.settle(grant, {claim.name: 0 for claim in grant.claims if isinstance(claim, RateClaim)})

    async def _seed(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            if isinstance(claim, BudgetClaim) and self._state(claim.key).spent is None:
                spent = await claim.load_spent()
                state = self._state(claim.key)
                if state.spent is None:
                    state.spent = spent

    def _measure(self, claims: Sequence[Claim], call: Call) -> list[Measure]:
        measures = [self._bind(claim, call).measure() for claim in claims]
        return [measure for measure in measures if measure is not None]

    def _bind(self, claim: Claim, call: Call) -> LocalClaim:
        return local_claim(claim, self._state(claim.key), call)

    def _call(self, grant: Grant) -> Call:
        is_open = self._records.get(grant.reservation_id) == "open"
        return Call(grant.reservation_id, self._now_us(), grant.hold_seconds, is_open)

    def _state(self, key: str) -> KeyState:
        state = self._states.setdefault(key, KeyState())
        self._states.move_to_end(key)
        if len(self._states) > self._max_remembered:
            self._states.popitem(last=False)
        return state

    def _record(self, reservation_id: str, record: Literal["open", "closed"]) -> None:
        self._records[reservation_id] = record
        self._records.move_to_end(reservation_id)
        if len(self._records) > self._max_remembered:
            self._records.popitem(last=False)


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000
