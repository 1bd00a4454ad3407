"""What a call claims: of its caller's limits, and of its model's.

Claims of one owner, a user or a model, are one reservation: Redis Cluster runs a script only where all its keys live.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rostra.common.v1.caller_pb2 import Caller
from rostra.user.v1.usage_pb2 import UsageEvent
from rostra_chat.catalogue import Model, ModelLimits
from rostra_kit.limits import BudgetClaim, Claim, Grant, RateClaim, SlotClaim

TOKENS = "tokens"
KEY_TOKENS = "key_tokens"
BUDGET = "budget"
KEY_BUDGET = "key_budget"
# Of one user with the model, and of all users with it.
USER_MODEL, MODEL = "user_model", "model"
_TOKEN_RATES = {TOKENS, KEY_TOKENS, f"{USER_MODEL}_tokens", f"{MODEL}_tokens"}

_PERIOD_SECONDS = 60.0

LoadSpent = Callable[[str, str], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Demand:
    """What a call can come to at most.

    Attributes:
        tokens: Input and output together.
        cost_micros: The money; of a free model no budget is asked.
    """

    tokens: int
    cost_micros: int


def caller_claims(
    caller: Caller, model: Model, demand: Demand, *, now: datetime, load_spent: LoadSpent
) -> Sequence[Claim]:
    """Return what a call claims of its caller's limits; nothing where the caller is not limited.

    Args:
        caller: Who calls.
        model: What is called.
        demand: The most that the call can come to.
        now: The time, in UTC: it says which month pays.
        load_spent: Answers what the caller spent in a month, `YYYY-MM`: with one API key, or, without its name, in all.
    """
    prefix, month = _prefix(caller.user_id), f"{now:%Y-%m}"
    return (
        *_token_claims(caller, prefix, demand.tokens),
        *_budget_claims(caller, prefix, demand.cost_micros, month, load_spent),
        *_model_claims(USER_MODEL, model.user_limits, _user_model_prefix(caller.user_id, model.id), demand.tokens),
    )


def model_claims(model: Model, demand: Demand) -> Sequence[Claim]:
    """Return what a call claims of what all users together may do with its model."""
    return tuple(_model_claims(MODEL, model.limits, _model_prefix(model.id), demand.tokens))


def actual_costs(claims: Sequence[Claim], *, tokens: int, cost_micros: int) -> dict[str, int]:
    """Return what each claim came to; a request that was made stays counted."""
    budgets = {claim.name: cost_micros for claim in claims if isinstance(claim, BudgetClaim)}
    return budgets | {claim.name: tokens for claim in claims if claim.name in _TOKEN_RATES}


def model_reservation_id(event_id: str) -> str:
    """Return the id under which a call claims from its model; from its caller it claims under its event's own."""
    return f"{event_id}:model"


def lapsed_grants(event: UsageEvent) -> tuple[Grant, Grant]:
    """Return what a call has reserved whose process is gone, as far as it is settled: the money, and its places.

    The holds lapse by themselves, as do the tokens; the first reservation's id is the event's.
    """
    month = f"{event.end_time.ToDatetime():%Y-%m}"
    prefix = _prefix(event.user_id)
    keys = {BUDGET: _budget_key(prefix, month)}
    if event.api_key_id:
        keys[KEY_BUDGET] = _budget_key(f"{prefix}:key:{event.api_key_id}", month)
    money = tuple(BudgetClaim(name, key, limit=0, cost=0, load_spent=_unknown) for name, key in keys.items())
    place = _calls_claim(USER_MODEL, _user_model_prefix(event.user_id, event.model), limit=0)
    place_of_all = _calls_claim(MODEL, _model_prefix(event.model), limit=0)
    return (
        Grant(event.id, (*money, place), (), 0.0, "redis"),
        Grant(model_reservation_id(event.id), (place_of_all,), (), 0.0, "redis"),
    )


def _token_claims(caller: Caller, prefix: str, tokens: int) -> Iterator[Claim]:
    if caller.user_limits.HasField("tokens_per_minute"):
        yield _rate_claim(TOKENS, f"{prefix}:tpm", caller.user_limits.tokens_per_minute, tokens)
    if caller.api_key_id and caller.key_limits.HasField("tokens_per_minute"):
        key = f"{prefix}:key:{caller.api_key_id}:tpm"
        yield _rate_claim(KEY_TOKENS, key, caller.key_limits.tokens_per_minute, tokens)


def _budget_claims(
    caller: Caller, prefix: str, cost_micros: int, month: str, load_spent: LoadSpent
) -> Iterator[BudgetClaim]:
    if cost_micros and caller.user_limits.HasField("budget_micros_per_month"):
        limit = caller.user_limits.budget_micros_per_month
        yield BudgetClaim(
            BUDGET, _budget_key(prefix, month), limit=limit, cost=cost_micros, load_spent=lambda: load_spent(month, "")
        )
    if cost_micros and caller.api_key_id and caller.key_limits.HasField("budget_micros_per_month"):
        key_id, limit = caller.api_key_id, caller.key_limits.budget_micros_per_month
        key = _budget_key(f"{prefix}:key:{key_id}", month)
        yield BudgetClaim(KEY_BUDGET, key, limit=limit, cost=cost_micros, load_spent=lambda: load_spent(month, key_id))


def _model_claims(whose: str, limits: ModelLimits, prefix: str, tokens: int) -> Iterator[Claim]:
    if limits.requests_per_minute is not None:
        yield _rate_claim(f"{whose}_requests", f"{prefix}:rpm", limits.requests_per_minute, 1)
    if limits.tokens_per_minute is not None:
        yield _rate_claim(f"{whose}_tokens", f"{prefix}:tpm", limits.tokens_per_minute, tokens)
    if limits.concurrent_calls is not None:
        yield _calls_claim(whose, prefix, limit=limits.concurrent_calls)


def _rate_claim(name: str, key: str, limit: int, cost: int) -> RateClaim:
    return RateClaim(name, key, limit=limit, cost=cost, period_seconds=_PERIOD_SECONDS)


def _calls_claim(whose: str, prefix: str, *, limit: int) -> SlotClaim:
    return SlotClaim(f"{whose}_calls", f"{prefix}:calls", limit=limit)


async def _unknown() -> int:
    raise NotImplementedError  # nothing is reserved under a lapsed grant


def _prefix(user_id: str) -> str:
    return f"limit:{{{user_id}}}"


def _user_model_prefix(user_id: str, model: str) -> str:
    return f"{_prefix(user_id)}:model:{model}"


def _model_prefix(model: str) -> str:
    return f"limit:{{model:{model}}}"


def _budget_key(prefix: str, month: str) -> str:
    return f"{prefix}:budget:{month}"
