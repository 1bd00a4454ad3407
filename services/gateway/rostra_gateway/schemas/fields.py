"""Fields that several resources have."""

from typing import Annotated

from pydantic import BeforeValidator, Field, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

LARGEST_COUNT = 2**31 - 1
# The end of the year 9999, the last moment that a protobuf timestamp can hold.
LAST_SECOND = 253_402_300_799
_MOST_PAIRS = 16
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


def _check_pairs(pairs: object) -> object:
    """Refuse too many pairs before each of them is read: pydantic counts them afterwards."""
    if isinstance(pairs, dict) and len(pairs) > _MOST_PAIRS:
        raise PydanticCustomError("too_long", f"Expected at most {_MOST_PAIRS} pairs")
    return pairs


ModelName = Annotated[StrictStr, Field(min_length=1, max_length=256, description="Name of a model: see /v1/models.")]
Metadata = Annotated[
    dict[
        Annotated[StrictStr, Field(max_length=64, pattern=r"^[^\x00]*$")], Annotated[StrictStr, Field(max_length=512)]
    ],
    Field(max_length=_MOST_PAIRS, description="Up to 16 pairs of the client's own."),
    BeforeValidator(_check_pairs),
]
Name = Annotated[StrictStr, Field(max_length=256, pattern=_PRINTABLE, description="A name for people to read.")]
Email = Annotated[StrictStr, Field(max_length=320, pattern=_PRINTABLE, description="An e-mail address.")]
Count = Annotated[StrictInt, Field(ge=1, le=LARGEST_COUNT)]
Seconds = Annotated[int, Field(ge=0, le=LAST_SECOND, description="A time, in seconds since 1970.")]
