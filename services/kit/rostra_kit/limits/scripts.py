"""The Lua scripts, and how a reservation is written on their wire (described in prelude.lua)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal, TypeAlias

from rostra_kit.limits.claims import BudgetClaim, Claim, RateClaim, SlotClaim, hash_tag
from rostra_kit.limits.outcomes import Measure

ScriptName: TypeAlias = Literal["reserve", "renew", "settle"]
SCRIPT_NAMES: tuple[ScriptName, ...] = ("reserve", "renew", "settle")

_SHARED_PARTS = ("prelude", "rate", "slot", "budget")
_MEASURE_SIZE = 3


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """The keys and arguments of one call."""

    keys: tuple[str, ...]
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReserveReply:
    """What reserve.lua answered: how it found each claim, or which claim's budget has no counter."""

    status: str
    measures: tuple[Measure, ...] = ()
    unseeded_index: int = -1


def script_text(name: ScriptName) -> str:
    """Return a script, whole: Lua in Redis cannot require a module, so the shared parts stand in front of it."""
    folder = resources.files(__package__)
    return "\n".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in (*_SHARED_PARTS, name))


def script_call(
    claims: Sequence[Claim],
    *,
    reservation_id: str,
    hold_seconds: float = 0.0,
    actual: Mapping[str, int] | None = None,
    now_us: Callable[[], int] | None = None,
) -> ScriptCall:
    """Write a reservation on the wire of the scripts."""
    keys = [f"limit:{{{hash_tag(claims[0].key)}}}:reservation:{reservation_id}"]
    arguments = [str(now_us()) if now_us else "", reservation_id, str(round(hold_seconds * 1000))]
    for claim in claims:
        keys += [claim.key, f"{claim.key}:holds"] if isinstance(claim, BudgetClaim) else [claim.key]
        arguments += [*_claim_fields(claim), str((actual or {}).get(claim.name, ""))]
    return ScriptCall(tuple(keys), tuple(arguments))


def read_reserve_reply(reply: Sequence[bytes | str]) -> ReserveReply:
    """Read what reserve.lua answered, from a client that decodes replies or one that does not."""
    status = read_status(reply)
    if status == "unseeded":
        return ReserveReply(status, unseeded_index=int(reply[1]) - 1)
    numbers = [int(text) for text in reply[1:]]
    measures = tuple(Measure(*numbers[at : at + _MEASURE_SIZE]) for at in range(0, len(numbers), _MEASURE_SIZE))
    return ReserveReply(status, measures)


def read_status(reply: Sequence[bytes | str]) -> str:
    """Return the word that every reply begins with."""
    status = reply[0]
    return status.decode() if isinstance(status, bytes) else status


def _claim_fields(claim: Claim) -> tuple[str, str, str, str]:
    """Return kind, limit, cost, and the period or what is left of it in microseconds."""
    match claim:
        case RateClaim():
            return "rate", str(claim.limit), str(claim.cost), str(claim.period_us)
        case SlotClaim():
            return "slot", str(claim.limit), "1", "0"
        case BudgetClaim():
            return "budget", str(claim.limit), str(claim.cost), str(claim.period_left_us)
