"""Times in exports: seconds since 1970 as a number, with microseconds behind the point, exact both ways."""

from decimal import Decimal
from typing import Annotated

import orjson
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from rostra_gateway.schemas.fields import LAST_SECOND

_MICROSECONDS = 1_000_000


def seconds(timestamp: Timestamp) -> orjson.Fragment:
    """Return a time as JSON."""
    whole, micros = divmod(timestamp.ToMicroseconds(), _MICROSECONDS)
    return orjson.Fragment(f"{whole}.{micros:06d}".rstrip("0").rstrip(".").encode())


def microseconds(value: object) -> int | None:
    """Return the microseconds since 1970 of a time in JSON; `None` for what is no time between 1970 and 9999.

    Args:
        value: Parsed with `parse_float=Decimal`: a `float` has too few digits for late times.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    # The comparison comes first: a huge exponent makes a number that fills the memory.
    if not 0 <= value < LAST_SECOND + 1:
        return None
    return round(Decimal(value) * _MICROSECONDS)


def timestamp(time_us: int | None) -> Timestamp | None:
    """Return the message of a time."""
    if time_us is None:
        return None
    message = Timestamp()
    message.FromMicroseconds(time_us)
    return message


def _checked(value: object) -> int:
    time_us = microseconds(value)
    if time_us is None:
        raise PydanticCustomError("time", "Expected seconds since 1970, before the year 10000")
    return time_us


TimeUs = Annotated[
    int,
    BeforeValidator(_checked),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": LAST_SECOND, "title": "Seconds since 1970"}),
]
"""A time in microseconds; in JSON, seconds with a fraction."""
