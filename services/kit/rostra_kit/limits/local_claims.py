"""What rate.lua, slot.lua and budget.lua do, in the memory of one process.

Times are microseconds of any clock that does not go back.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor
from typing import Protocol

from rostra_kit.limits.claims import BudgetClaim, Claim, RateClaim, SlotClaim
from rostra_kit.limits.outcomes import Measure

_NEVER_US = -1
_ASK_AGAIN_US = 1_000_000


@dataclass(slots=True)
class KeyState:
    """What stands under one key; each kind of claim uses its part."""

    full_at_us: Fraction = Fraction(0)
    spent: int | None = None
    cost_by_holder: dict[str, int] = field(default_factory=dict)
    lapse_us_by_holder: dict[str, int] = field(default_factory=dict)

    def drop_lapsed(self, now_us: int) -> None:
        """Forget the holders whose time is over."""
        for holder in [holder for holder, lapse_us in self.lapse_us_by_holder.items() if lapse_us <= now_us]:
            self.drop(holder)

    def hold(self, holder: str, *, cost: int, until_us: int) -> None:
        """Let somebody hold a cost until a time."""
        self.cost_by_holder[holder] = cost
        self.lapse_us_by_holder[holder] = until_us

    def drop(self, holder: str) -> None:
        """Forget a holder."""
        self.cost_by_holder.pop(holder, None)
        self.lapse_us_by_holder.pop(holder, None)


@dataclass(frozen=True, slots=True)
class Call:
    """What one call of a limiter is about: whose reservation, when, and whether it is known to be open."""

    reservation_id: str
    now_us: int
    hold_seconds: float
    is_open: bool

    @property
    def until_us(self) -> int:
        """Return when a hold that is taken now lapses."""
        return self.now_us + round(self.hold_seconds * 1_000_000)


class LocalClaim(Protocol):
    """A claim, together with the state of its key, in one call."""

    def measure(self) -> Measure | None:
        """Say how the limit stands; `None` when nobody has said yet what was spent."""
        ...

    def take(self) -> None:
        """Count the claimed cost."""
        ...

    def settle(self, actual: int | None, /) -> None:
        """Count the actual cost in place of the claimed one."""
        ...

    def renew(self) -> bool:
        """Hold for longer, and say whether it had not lapsed."""
        ...


def local_claim(claim: Claim, state: KeyState, call: Call) -> LocalClaim:
    """Put a claim and the state of its key together."""
    match claim:
        case RateClaim():
            return _LocalRate(claim, state, call)
        case SlotClaim():
            return _LocalSlot(claim, state, call)
        case BudgetClaim():
            return _LocalBudget(claim, state, call)


@dataclass(frozen=True, slots=True)
class _LocalRate:
    claim: RateClaim
    state: KeyState
    call: Call

    def measure(self) -> Measure:
        claim, backlog_us = self.claim, self._backlog_us()
        free = (claim.period_us - backlog_us) * claim.limit / claim.period_us
        return Measure(remaining=max(0, floor(free)), reset_us=ceil(backlog_us), wait_us=self._wait_us())

    def take(self) -> None:
        self._add(self.claim.cost)

    def settle(self, actual: int | None, /) -> None:
        if self.call.is_open and actual is not None:
            self._add(actual - self.claim.cost)

    def renew(self) -> bool:
        return True

    def _backlog_us(self) -> Fraction:
        return max(Fraction(0), self.state.full_at_us - self.call.now_us)

    def _add(self, cost: int) -> None:
        if self.claim.limit > 0:
            added_us = Fraction(cost * self.claim.period_us, self.claim.limit)
            self.state.full_at_us = self.call.now_us + self._backlog_us() + added_us

    def _wait_us(self) -> int:
        claim = self.claim
        if claim.cost == 0:
            return 0
        if claim.cost > claim.limit:
            return _NEVER_US
        room_us = Fraction((claim.limit - claim.cost) * claim.period_us, claim.limit)
        return max(0, ceil(self._backlog_us() - room_us))


@dataclass(frozen=True, slots=True)
class _LocalSlot:
    claim: SlotClaim
    state: KeyState
    call: Call

    def measure(self) -> Measure:
        now_us = self.call.now_us
        self.state.drop_lapsed(now_us)
        lapses_us = self.state.lapse_us_by_holder.values()
        return Measure(
            remaining=max(0, self.claim.limit - len(lapses_us)),
            reset_us=max(lapses_us, default=now_us) - now_us,
            wait_us=self._wait_us(),
        )

    def take(self) -> None:
        self.state.hold(self.call.reservation_id, cost=1, until_us=self.call.until_us)

    def settle(self, _actual: int | None, /) -> None:
        self.state.drop(self.call.reservation_id)

    def renew(self) -> bool:
        self.state.drop_lapsed(self.call.now_us)
        if self.call.reservation_id not in self.state.lapse_us_by_holder:
            return False
        self.take()
        return True

    def _wait_us(self) -> int:
        if self.claim.limit < 1:
            return _NEVER_US
        lapses_us = self.state.lapse_us_by_holder.values()
        if len(lapses_us) < self.claim.limit:
            return 0
        return min(min(lapses_us) - self.call.now_us, _ASK_AGAIN_US)


@dataclass(frozen=True, slots=True)
class _LocalBudget:
    claim: BudgetClaim
    state: KeyState
    call: Call

    def measure(self) -> Measure | None:
        self.state.drop_lapsed(self.call.now_us)
        if self.state.spent is None:
            return None
        held = sum(self.state.cost_by_holder.values())
        return Measure(
            remaining=max(0, self.claim.limit - self.state.spent - held),
            reset_us=max(0, self.claim.period_left_us),
            wait_us=self._wait_us(self.state.spent, held=held),
        )

    def take(self) -> None:
        self.state.hold(self.call.reservation_id, cost=self.claim.cost, until_us=self.call.until_us)

    def settle(self, actual: int | None, /) -> None:
        self.state.drop(self.call.reservation_id)
        if actual is not None and self.state.spent is not None:
            self.state.spent += actual

    def renew(self) -> bool:
        self.take()
        return True

    def _wait_us(self, spent: int, *, held: int) -> int:
        claim = self.claim
        if claim.cost == 0 or spent + held + claim.cost <= claim.limit:
            return 0
        if claim.cost > claim.limit:
            return _NEVER_US
        return claim.period_left_us if spent + claim.cost > claim.limit else _ASK_AGAIN_US
