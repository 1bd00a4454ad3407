"""Reading the usage events that chat has queued."""

from google.protobuf.message import DecodeError

from rostra.user.v1 import usage_pb2 as pb
from rostra_user.domain import UsageEvent, UsageOutcome
from rostra_user.times import to_datetime

ID_LENGTH = 64
EVENT_ID_LENGTH = 128
MODEL_LENGTH = 255
PROVIDER_LENGTH = 64

_OUTCOMES = {
    pb.UsageOutcome.USAGE_OUTCOME_FINISHED: UsageOutcome.FINISHED,
    pb.UsageOutcome.USAGE_OUTCOME_CANCELLED: UsageOutcome.CANCELLED,
    pb.UsageOutcome.USAGE_OUTCOME_FAILED: UsageOutcome.FAILED,
}


class BadUsageEventError(ValueError):
    """The entry is no usage event."""


def parse_usage_event(serialized: bytes) -> UsageEvent:
    """Return the event, or raise `BadUsageEventError` saying what is wrong with it."""
    try:
        event = pb.UsageEvent.FromString(serialized)
        end_time = to_datetime(event.end_time)
    except (DecodeError, ValueError) as error:
        raise BadUsageEventError(str(error)) from error
    _check(event)
    return UsageEvent(
        id=event.id,
        user_id=event.user_id,
        api_key_id=event.api_key_id,
        # Names are cut rather than refused: what was used must be paid.
        model=event.model[:MODEL_LENGTH],
        provider=event.provider[:PROVIDER_LENGTH],
        input_tokens=event.input_tokens,
        cached_input_tokens=event.cached_input_tokens,
        output_tokens=event.output_tokens,
        reasoning_tokens=event.reasoning_tokens,
        cost_micros=event.cost_micros,
        estimated=event.estimated,
        outcome=_OUTCOMES[event.outcome],
        end_time=end_time,
    )


def _check(event: pb.UsageEvent) -> None:
    counts = (
        event.input_tokens,
        event.cached_input_tokens,
        event.output_tokens,
        event.reasoning_tokens,
        event.cost_micros,
    )
    if not 0 < len(event.id) <= EVENT_ID_LENGTH:
        raise BadUsageEventError("its id is empty or too long")
    if not 0 < len(event.user_id) <= ID_LENGTH or len(event.api_key_id) > ID_LENGTH:
        raise BadUsageEventError("it names no user, or its names are too long")
    if min(counts) < 0:
        raise BadUsageEventError("a count is negative")
    if event.outcome not in _OUTCOMES or not event.HasField("end_time"):
        raise BadUsageEventError("it does not say how or when the call ended")
