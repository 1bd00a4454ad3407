"""Fields that several resources have."""

from typing import Annotated

from pydantic import Field, StrictInt, StrictStr

LARGEST_COUNT = 2**31 - 1
# The end of the year 9999, the last moment that a protobuf timestamp can hold.
LAST_SECOND = 253_402_300_799
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"

ModelName = Annotated[StrictStr, Field(min_length=1, max_length=256, description="Name of a model: see /v1/models.")]
Metadata = Annotated[
    dict[
        Annotated[StrictStr, Field(max_length=64, pattern=r"^[^\x00]*$")], Annotated[StrictStr, Field(max_length=512)]
    ],
    Field(max_length=16, description="Up to 16 pairs of the client's own."),
]
Name = Annotated[StrictStr, Field(max_length=256, pattern=_PRINTABLE, description="A name for people to read.")]
Email = Annotated[StrictStr, Field(max_length=320, pattern=_PRINTABLE, description="An e-mail address.")]
Count = Annotated[StrictInt, Field(ge=1, le=LARGEST_COUNT)]
Seconds = Annotated[StrictInt, Field(ge=0, le=LAST_SECOND, description="A time, in seconds since 1970.")]
