"""What was used and what it cost."""

from typing import Literal, Self

from pydantic import BaseModel, Field

from rostra.user.v1 import usage_pb2
from rostra_gateway.schemas.fields import Seconds
from rostra_gateway.schemas.limits import money


class UsageQuery(BaseModel):
    """Which time is asked for."""

    start_time: Seconds | None = Field(None, description="First second that counts; 30 days ago when absent.")
    end_time: Seconds | None = Field(None, description="First second that does not count; now when absent.")


class UsageBucket(BaseModel):
    """The use of one model on one day (UTC)."""

    object: Literal["usage.bucket"] = "usage.bucket"
    start_time: int
    model: str
    requests: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost: float = Field(description="In the catalogue's currency.")

    @classmethod
    def from_proto(cls, bucket: usage_pb2.UsageBucket) -> Self:
        """Return the bucket as clients see it."""
        return cls(
            start_time=bucket.start_time.ToSeconds(),
            model=bucket.model,
            requests=bucket.requests,
            input_tokens=bucket.input_tokens,
            cached_input_tokens=bucket.cached_input_tokens,
            output_tokens=bucket.output_tokens,
            cost=money(bucket.cost_micros),
        )


class Budget(BaseModel):
    """The money of this calendar month (UTC), in the catalogue's currency."""

    limit: float | None = Field(description="`null` when there is none.")
    spent: float


class Usage(BaseModel):
    """What was used, by day and model, oldest first."""

    object: Literal["list"] = "list"
    data: list[UsageBucket]
    budget: Budget
