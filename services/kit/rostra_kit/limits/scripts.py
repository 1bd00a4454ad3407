"""The Lua scripts, and how a reservation is written on their wire (described in prelude.lua)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from typing import Literal, NamedTuple, TypeAlias

from rostra_kit.limits.claims import BudgetClaim, Claim, RateClaim, SlotClaim, hash_tag
from rostra_kit.limits.outcomes import Measure

ScriptName: TypeAlias = Literal["reserve", "renew", "settle"]

_MEASURE_SIZE = 3
_FIRST_KIND_AT, _FIELDS = 3, 5


class ScriptCall(NamedTuple):
    """The keys and arguments of one call, and the kinds of its claims."""

    keys: tuple[str, ...]
    arguments: tuple[str, ...]
    kinds: frozenset[str]


class ReserveReply(NamedTuple):
    """What reserve.lua answered: how it found each claim, or which claim's budget has no counter."""

    status: str
    measures: tuple[Measure, ...] = ()
    unseeded_index: int = -1


def script_text(name: ScriptName, kinds: Iterable[str]) -> str:
    """Return a script for claims of these kinds, whole: Lua in Redis cannot require a module.

    What a script defines it defines anew in every call: with all three kinds that takes half of the time of most.
    """
    folder = resources.files(__package__)
    parts = ("prelude", *sorted(kinds), name)
    return "\n".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in parts)


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
    return ScriptCall(tuple(keys), tuple(arguments), frozenset(arguments[_FIRST_KIND_AT::_FIELDS]))


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
