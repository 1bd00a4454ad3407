"""What can be claimed from a limit: a share of a rate, a slot, money of a budget.

Every claim names the Redis key that counts it. The keys of one reservation are touched by one script, and Redis Cluster
runs a script only where all its keys live, so **they share one hash tag**: `limit:{u_123}:rpm`, `limit:{u_123}:tpm`.
Two limits with different owners (a user's and an address') are two reservations.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class RateClaim:
    """An amount per period, regained steadily; a full limit may be used at once.

    Attributes:
        name: What it is called in outcomes, for example `requests` or `tokens`; unique in a reservation.
        key: The Redis key that counts it.
        limit: How much there is per period, and at most at once.
        cost: How much is claimed. More than `limit` can never be had; 0 is never refused.
        period_seconds: How long an emptied limit takes to be full again.
    """

    name: str
    key: str
    limit: int
    cost: int = 1
    period_seconds: float = 60.0

    def __post_init__(self) -> None:
        _require_natural(limit=self.limit, cost=self.cost)
        if self.period_seconds <= 0:
            raise ValueError("period_seconds must be positive")

    @property
    def period_us(self) -> int:
        """Return the period in microseconds."""
        return round(self.period_seconds * 1_000_000)


@dataclass(frozen=True, slots=True)
class SlotClaim:
    """One of a number of things that may go on at the same time.

    Attributes:
        name: What it is called in outcomes, for example `streams`; unique in a reservation.
        key: The Redis key that counts it.
        limit: How many may go on at once.
    """

    name: str
    key: str
    limit: int

    def __post_init__(self) -> None:
        _require_natural(limit=self.limit)


@dataclass(frozen=True, slots=True)
class BudgetClaim:
    """Money of a calendar period, held until it is settled.

    Attributes:
        name: What it is called in outcomes, for example `budget`; unique in a reservation.
        key: The Redis key that counts it, the period being part of it: `limit:{u_123}:budget:2026-11`.
        limit: The budget of the period, in millionths of its currency.
        cost: The most that the call can come to, in the same unit. 0 is never refused.
        load_spent: Answers what was spent in the period so far. Awaited when Redis does not know it: at the first
            call of a period and after Redis lost its data. Its errors reach the caller of `reserve`.
        period_left_seconds: When the period ends, for Retry-After; `None` when the caller does not care.
    """

    name: str
    key: str
    limit: int
    cost: int
    load_spent: Callable[[], Awaitable[int]] = field(compare=False, repr=False)
    period_left_seconds: float | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        _require_natural(limit=self.limit, cost=self.cost)

    @property
    def period_left_us(self) -> int:
        """Return the rest of the period in microseconds, at least one; -1 when it is unknown."""
        return -1 if self.period_left_seconds is None else max(1, round(self.period_left_seconds * 1_000_000))


Claim: TypeAlias = RateClaim | SlotClaim | BudgetClaim


def check_claims(claims: Sequence[Claim]) -> None:
    """Raise ValueError unless the claims can be one reservation: own names, own keys, one hash tag."""
    if not claims:
        raise ValueError("a reservation needs at least one claim")
    for unique in ({claim.name for claim in claims}, {claim.key for claim in claims}):
        if len(unique) != len(claims):
            raise ValueError("two claims of a reservation have the same name or key")
    if len({hash_tag(claim.key) for claim in claims}) != 1:
        raise ValueError("the keys of a reservation must share one hash tag")


def check_actual(claims: Sequence[Claim], actual_by_name: Mapping[str, int]) -> None:
    """Raise ValueError unless every actual cost is a natural number of a rate or budget among the claims."""
    payable = {claim.name for claim in claims if not isinstance(claim, SlotClaim)}
    if unknown := actual_by_name.keys() - payable:
        raise ValueError(f"no rate or budget of the reservation is called {sorted(unknown)}")
    _require_natural(**actual_by_name)


def hash_tag(key: str) -> str:
    """Return what Redis Cluster places a key by: the part in braces. Raise ValueError when there is none."""
    _, _, rest = key.partition("{")
    tag, closing, _ = rest.partition("}")
    if not (tag and closing):
        raise ValueError(f"the key {key!r} has no hash tag, such as limit:{{u_123}}:rpm")
    return tag


def _require_natural(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 0:
            raise ValueError(f"{name} must not be negative")
