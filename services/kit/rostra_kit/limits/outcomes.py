"""What comes of a reservation: a grant, to be settled, or a refusal that says what was short and for how long."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from rostra_kit.limits.claims import Claim


class LimitState(NamedTuple):
    """How a limit stands after a reservation was granted or refused.

    Attributes:
        name: The claim's name.
        limit: The claim's limit.
        remaining: What could be claimed right now.
        reset_seconds: When all of it can be claimed again, if nothing more is.
    """

    name: str
    limit: int
    remaining: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class Grant:
    """Everything claimed is taken. Give it to `settle` or `cancel` of the limiter that granted it.

    Attributes:
        reservation_id: The id it was reserved under.
        claims: What was claimed.
        states: How each limit stands, in the order of the claims.
        hold_seconds: How long slots and money stay held without `renew`.
        origin: Who counts it: Redis, for all replicas, or this process for itself.
    """

    reservation_id: str
    claims: tuple[Claim, ...]
    states: tuple[LimitState, ...]
    hold_seconds: float
    origin: Literal["redis", "local"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing is taken.

    Attributes:
        refused: The name of the claim that was short; the one to wait for longest when several were.
        retry_after_seconds: When it makes sense to ask again; `None` when asking for as much never will.
        states: How each limit stands, in the order of the claims.
    """

    refused: str
    retry_after_seconds: float | None
    states: tuple[LimitState, ...]


Outcome: TypeAlias = Grant | Refusal


class Measure(NamedTuple):
    """How a limiter found one claim, in whole microseconds; `wait_us` is 0 when it passes and -1 when it never will."""

    remaining: int
    reset_us: int
    wait_us: int


def limit_states(claims: Sequence[Claim], measures: Sequence[Measure]) -> tuple[LimitState, ...]:
    """Say how each limit stands."""
    return tuple(
        LimitState(claim.name, claim.limit, measure.remaining, measure.reset_us / 1_000_000)
        for claim, measure in zip(claims, measures, strict=True)
    )


def refusal(claims: Sequence[Claim], measures: Sequence[Measure]) -> Refusal:
    """Refuse for the claim that must wait longest, so that whoever waits that long is not refused for the next one."""
    refused, measure = max(
        zip(claims, measures, strict=True),
        key=lambda pair: float("inf") if pair[1].wait_us < 0 else pair[1].wait_us,
    )
    return Refusal(
        refused=refused.name,
        retry_after_seconds=None if measure.wait_us < 0 else measure.wait_us / 1_000_000,
        states=limit_states(claims, measures),
    )
