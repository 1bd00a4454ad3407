"""How the limits' answers to a call are said: in OpenAI's words, and by the names that clients know."""

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration

from rostra.common.v1 import limit_state_pb2
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_chat.limit_claims import BUDGET, KEY_BUDGET, KEY_TOKENS, MODEL, TOKENS, USER_MODEL
from rostra_kit.errors import ResourceExhaustedError
from rostra_kit.limits import Claim, LimitState, RateClaim, Refusal

REQUESTS = "requests"

_USER_MODEL_CALLS, _MODEL_CALLS = f"{USER_MODEL}_calls", f"{MODEL}_calls"
# What a limit is called by clients: a key's or a model's own limit is told by the same headers as the plan's.
_PUBLIC_NAMES = {
    TOKENS: TOKENS,
    KEY_TOKENS: TOKENS,
    BUDGET: BUDGET,
    KEY_BUDGET: BUDGET,
    f"{USER_MODEL}_requests": REQUESTS,
    f"{USER_MODEL}_tokens": TOKENS,
    f"{MODEL}_requests": REQUESTS,
    f"{MODEL}_tokens": TOKENS,
}
_OF_ALL_USERS = {f"{MODEL}_requests", f"{MODEL}_tokens", _MODEL_CALLS}
_UNITS = {REQUESTS: "requests per min (RPM)", TOKENS: "tokens per min (TPM)"}


def public_states(states: Sequence[LimitState]) -> tuple[limit_state_pb2.LimitState, ...]:
    """Return where the caller stands by the names that clients know; of several of a name the scarcest one."""
    scarcest: dict[str, LimitState] = {}
    for state in states:
        name = _PUBLIC_NAMES.get(state.name)
        if name and (name not in scarcest or state.remaining < scarcest[name].remaining):
            scarcest[name] = state
    return tuple(_to_proto(name, state) for name, state in scarcest.items())


def refusal_error(refusal: Refusal, claims: Sequence[Claim], *, model: str) -> ResourceExhaustedError:
    """Return the error that tells the client what is short, and when to come back."""
    if refusal.refused in (BUDGET, KEY_BUDGET):
        return _quota_error(refusal.refused)
    subject = f"{model}, used by everybody," if refusal.refused in _OF_ALL_USERS else model
    state = next(state for state in refusal.states if state.name == refusal.refused)
    if refusal.refused in (_USER_MODEL_CALLS, _MODEL_CALLS):
        return ResourceExhaustedError(
            f"Too many calls of {subject} are under way: Limit {state.limit}. Please try again in a moment.",
            retry_after_seconds=refusal.retry_after_seconds and 1.0,
            metadata={"limit": REQUESTS},
        )
    requested = next(claim.cost for claim in claims if isinstance(claim, RateClaim) and claim.name == refusal.refused)
    return _rate_error(state, subject, requested=requested, retry_after_seconds=refusal.retry_after_seconds)


def _quota_error(refused: str) -> ResourceExhaustedError:
    whose = "this month's budget of the API key" if refused == KEY_BUDGET else "this month's budget"
    return ResourceExhaustedError(
        f"You exceeded your current quota: {whose} does not cover the request.",
        reason=ErrorReason.ERROR_REASON_INSUFFICIENT_QUOTA,
        metadata={"limit": BUDGET},
    )


def _rate_error(
    state: LimitState, subject: str, *, requested: int, retry_after_seconds: float | None
) -> ResourceExhaustedError:
    name = _PUBLIC_NAMES[state.name]
    limit = f"{subject} on {_UNITS[name]}: Limit {state.limit}"
    if retry_after_seconds is None:
        message = f"Request too large for {limit}, Requested {requested}. Reduce the input or the output tokens."
    else:
        wait = _spoken(retry_after_seconds)
        used = state.limit - state.remaining
        message = f"Rate limit reached for {limit}, Used {used}, Requested {requested}. Please try again in {wait}."
    # An error has no place of its own for where the caller stands, which the gateway tells in headers.
    standing = {
        "limit_amount": str(state.limit),
        "limit_remaining": str(state.remaining),
        "reset_seconds": f"{state.reset_seconds:.3f}",
    }
    return ResourceExhaustedError(
        message, retry_after_seconds=retry_after_seconds, metadata={"limit": name, **standing}
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
