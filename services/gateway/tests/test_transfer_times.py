"""Times in exports are exact to the microsecond, until the last that can be told."""

import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra_gateway.transfer.times import microseconds, seconds, timestamp

LAST_US = 253_402_300_799_999_999


@given(st.integers(0, LAST_US) | st.sampled_from([0, 1, 999_999, 1_000_000, LAST_US]))
def test_time_written_and_read_is_the_same(time_us: int) -> None:
    message = timestamp(time_us)
    assert message is not None
    [read] = json.loads(orjson.dumps([seconds(message)]), parse_float=Decimal)
    assert microseconds(read) == time_us


@pytest.mark.parametrize(
    "value", [None, True, "1", [], -1, Decimal("-0.0000001"), Decimal("1e999999999"), 10**20, LAST_US // 10**6 + 1]
)
def test_what_is_no_time_is_none(value: Any) -> None:
    assert microseconds(value) is None
