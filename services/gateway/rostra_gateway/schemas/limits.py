"""What an account or an API key may use."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from rostra.common.v1 import caller_pb2 as pb
from rostra_gateway.schemas.fields import Count

_MICROS = 1_000_000


class LimitsRequest(BaseModel):
    """What a new API key may use, beside what its account may; absent where it is not to be limited."""

    model_config = ConfigDict(extra="forbid")
    requests_per_minute: Count | None = Field(None, description="API requests in any minute.")
    tokens_per_minute: Count | None = Field(None, description="Tokens of models, input and output, in any minute.")
    concurrent_streams: Count | None = Field(None, description="Streams open at once.")

    def to_proto(self) -> pb.Limits:
        """Return the same for the services behind."""
        return pb.Limits(**self.model_dump(exclude_none=True))


class Limits(BaseModel):
    """What may be used; `null` where it is not limited."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_streams: int | None

    @classmethod
    def from_proto(cls, limits: pb.Limits, **more: float | None) -> Self:
        """Return the limits as clients see them, with what a subclass has `more`."""
        given: dict[str, Any] = {field.name: value for field, value in limits.ListFields()}
        return cls(**{name: given.get(name) for name in Limits.model_fields}, **more)


class AccountLimits(Limits):
    """What an account may use; `null` where it is not limited."""

    budget_per_month: float | None = Field(description="Money in a calendar month (UTC), in the catalogue's currency.")

    @classmethod
    def of(cls, limits: pb.Limits) -> Self:
        """Return the limits of an account."""
        return cls.from_proto(limits, budget_per_month=budget_per_month(limits))


def budget_per_month(limits: pb.Limits) -> float | None:
    """Return the budget in the catalogue's currency, `None` when there is none."""
    return money(limits.budget_micros_per_month) if limits.HasField("budget_micros_per_month") else None


def money(micros: int) -> float:
    """Return an amount of millionths in whole units of the currency."""
    return micros / _MICROS
