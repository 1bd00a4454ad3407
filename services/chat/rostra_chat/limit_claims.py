"""What a call claims from its caller's limits, and how the limits' answers are said in OpenAI's words."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime

from google.protobuf.duration_pb2 import Duration

from rostra.common.v1 import limit_state_pb2
from rostra.common.v1.caller_pb2 import Caller
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.user.v1.usage_pb2 import UsageEvent
from rostra_kit.errors import ResourceExhaustedError
from rostra_kit.limits import BudgetClaim, Claim, Grant, LimitState, RateClaim, Refusal

TOKENS = "tokens"
KEY_TOKENS = "key_tokens"
BUDGET = "budget"
KEY_BUDGET = "key_budget"

_PERIOD_SECONDS = 60.0
# What a limit is called by clients: a key's own limit is told by the same headers as the plan's.
_PUBLIC_NAMES = {TOKENS: TOKENS, KEY_TOKENS: TOKENS, BUDGET: BUDGET, KEY_BUDGET: BUDGET}

LoadSpent = Callable[[str, str], Awaitable[int]]


def claims_of(
    caller: Caller, *, tokens: int, cost_micros: int, now: datetime, load_spent: LoadSpent
) -> Sequence[Claim]:
    """Return what a call claims; nothing where the caller is not limited.

    Args:
        caller: Who calls.
        tokens: The most tokens that the call can come to.
        cost_micros: The most money that the call can come to; of a free model no budget is asked.
        now: The time, in UTC: it says which month pays.
        load_spent: Answers what the caller spent in a month, `YYYY-MM`: with one API key, or, without its name, in all.
    """
    return tuple(_claims(caller, tokens, cost_micros, f"{now:%Y-%m}", load_spent))


def _claims(caller: Caller, tokens: int, cost_micros: int, month: str, load_spent: LoadSpent) -> Iterator[Claim]:
    # One hash tag: Redis Cluster runs a script only where all its keys live.
    prefix = _prefix(caller.user_id)
    if caller.user_limits.HasField("tokens_per_minute"):
        limit = caller.user_limits.tokens_per_minute
        yield RateClaim(TOKENS, f"{prefix}:tpm", limit=limit, cost=tokens, period_seconds=_PERIOD_SECONDS)
    if caller.api_key_id and caller.key_limits.HasField("tokens_per_minute"):
        key, limit = f"{prefix}:key:{caller.api_key_id}:tpm", caller.key_limits.tokens_per_minute
        yield RateClaim(KEY_TOKENS, key, limit=limit, cost=tokens, period_seconds=_PERIOD_SECONDS)
    if cost_micros and caller.user_limits.HasField("budget_micros_per_month"):
        limit = caller.user_limits.budget_micros_per_month
        yield BudgetClaim(
            BUDGET, _budget_key(prefix, month), limit=limit, cost=cost_micros, load_spent=lambda: load_spent(month, "")
        )
    if cost_micros and caller.api_key_id and caller.key_limits.HasField("budget_micros_per_month"):
        key_id, limit = caller.api_key_id, caller.key_limits.budget_micros_per_month
        key = _budget_key(f"{prefix}:key:{key_id}", month)
        yield BudgetClaim(KEY_BUDGET, key, limit=limit, cost=cost_micros, load_spent=lambda: load_spent(month, key_id))


def lapsed_grant(event: UsageEvent) -> Grant:
    """Return what a call has reserved whose process is gone, as far as it is settled: the money.

    The hold lapses by itself, as do the tokens; the reservation's id is the event's.
    """
    month = f"{event.end_time.ToDatetime():%Y-%m}"
    prefix = _prefix(event.user_id)
    keys = {BUDGET: _budget_key(prefix, month)}
    if event.api_key_id:
        keys[KEY_BUDGET] = _budget_key(f"{prefix}:key:{event.api_key_id}", month)
    claims = tuple(BudgetClaim(name, key, limit=0, cost=0, load_spent=_unknown) for name, key in keys.items())
    return Grant(event.id, claims, (), 0.0, "redis")


async def _unknown() -> int:
    raise NotImplementedError  # nothing is reserved under a lapsed grant


def _prefix(user_id: str) -> str:
    return f"limit:{{{user_id}}}"


def _budget_key(prefix: str, month: str) -> str:
    return f"{prefix}:budget:{month}"


def public_states(states: Sequence[LimitState]) -> tuple[limit_state_pb2.LimitState, ...]:
    """Return where the caller stands by the names that clients know; of two limits of a name the scarcer one."""
    scarcest: dict[str, LimitState] = {}
    for state in states:
        name = _PUBLIC_NAMES[state.name]
        if name not in scarcest or state.remaining < scarcest[name].remaining:
            scarcest[name] = state
    return tuple(_to_proto(name, state) for name, state in scarcest.items())


def refusal_error(refusal: Refusal, claims: Sequence[Claim], *, model: str) -> ResourceExhaustedError:
    """Return the error that tells the client what is short, and when to come back."""
    name = _PUBLIC_NAMES[refusal.refused]
    if name == BUDGET:
        whose = "this month's budget of the API key" if refusal.refused == KEY_BUDGET else "this month's budget"
        return ResourceExhaustedError(
            f"You exceeded your current quota: {whose} does not cover the request.",
            reason=ErrorReason.ERROR_REASON_INSUFFICIENT_QUOTA,
            metadata={"limit": name},
        )
    state = next(state for state in refusal.states if state.name == refusal.refused)
    requested = next(claim.cost for claim in claims if isinstance(claim, RateClaim) and claim.name == refusal.refused)
    subject = f"{model} on tokens per min (TPM): Limit {state.limit}"
    if refusal.retry_after_seconds is None:
        message = f"Request too large for {subject}, Requested {requested}. Reduce the input or the output tokens."
    else:
        wait = _spoken(refusal.retry_after_seconds)
        used = state.limit - state.remaining
        message = f"Rate limit reached for {subject}, Used {used}, Requested {requested}. Please try again in {wait}."
    # An error has no place of its own for where the caller stands, which the gateway tells in headers.
    standing = {
        "limit_tokens": str(state.limit),
        "remaining_tokens": str(state.remaining),
        "reset_seconds": f"{state.reset_seconds:.3f}",
    }
    return ResourceExhaustedError(
        message, retry_after_seconds=refusal.retry_after_seconds, metadata={"limit": name, **standing}
    )


def _to_proto(name: str, state: LimitState) -> limit_state_pb2.LimitState:
    reset = Duration()
    reset.FromNanoseconds(round(state.reset_seconds * 1_000_000_000))
    return limit_state_pb2.LimitState(name=name, limit=state.limit, remaining=state.remaining, reset_duration=reset)


def _spoken(seconds: float) -> str:
    """Return a time as OpenAI writes it: `320ms`, `1.2s`, `6m0s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 60:
        return f"{round(seconds, 3):g}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s"
