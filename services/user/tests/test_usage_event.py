import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from rostra.user.v1.usage_pb2 import UsageEvent, UsageOutcome
from rostra_user.domain import UsageOutcome as Outcome
from rostra_user.testing.records import NOW
from rostra_user.times import to_timestamp
from rostra_user.usage_event import BadUsageEventError, parse_usage_event


def serialized(**changes) -> bytes:
    fields = {
        "id": "usage_1",
        "user_id": "user_1",
        "model": "echo",
        "provider": "echo",
        "input_tokens": 1,
        "output_tokens": 2,
        "cost_micros": 3,
        "outcome": UsageOutcome.USAGE_OUTCOME_CANCELLED,
        "end_time": to_timestamp(NOW),
    }
    return UsageEvent(**fields | changes).SerializeToString()


def test_event_is_read_whole() -> None:
    event = parse_usage_event(serialized(api_key_id="key_1", estimated=True, reasoning_tokens=4, cached_input_tokens=5))
    assert (event.id, event.user_id, event.api_key_id, event.model) == ("usage_1", "user_1", "key_1", "echo")
    assert (event.input_tokens, event.output_tokens, event.cost_micros) == (1, 2, 3)
    assert (event.reasoning_tokens, event.cached_input_tokens, event.estimated) == (4, 5, True)
    assert (event.outcome, event.end_time) == (Outcome.CANCELLED, NOW)


def test_names_that_are_too_long_are_cut() -> None:
    event = parse_usage_event(serialized(model="m" * 300, provider="p" * 300))
    assert (len(event.model), len(event.provider)) == (255, 64)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": "x" * 129},
        {"user_id": ""},
        {"user_id": "x" * 65},
        {"api_key_id": "x" * 65},
        {"input_tokens": -1},
        {"cost_micros": -1},
        {"outcome": UsageOutcome.USAGE_OUTCOME_UNSPECIFIED},
        {"outcome": 99},
        {"end_time": None},
        {"end_time": Timestamp(seconds=2**60)},
    ],
)
def test_event_that_cannot_be_is_refused(changes: dict) -> None:
    with pytest.raises(BadUsageEventError):
        parse_usage_event(serialized(**changes))


@given(st.binary())
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadUsageEventError):
        parse_usage_event(data)
