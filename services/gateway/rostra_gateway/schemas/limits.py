"""What an account or an API key may use."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from rostra.common.v1 import caller_pb2 as pb
from rostra_gateway.schemas.fields import Count

LARGEST_BUDGET = 1e9

_MICROS = 1_000_000


class LimitsRequest(BaseModel):
    """What an API key, an account on a plan, or one account for a time may use; absent where that is not said."""

    model_config = ConfigDict(extra="forbid")
    requests_per_minute: Count | None = Field(None, description="API requests in any minute.")
    tokens_per_minute: Count | None = Field(None, description="Tokens of models, input and output, in any minute.")
    concurrent_streams: Count | None = Field(None, description="Streams open at once.")
    budget_per_month: float | None = Field(
        None,
        ge=1 / _MICROS,
        le=LARGEST_BUDGET,
        allow_inf_nan=False,
        strict=True,
        description="Money in a calendar month (UTC), in the catalogue's currency.",
    )

    def to_proto(self) -> pb.Limits:
        """Return the same for the services behind."""
        limits = self.model_dump(exclude_none=True)
        budget = limits.pop("budget_per_month", None)
        return pb.Limits(**limits, budget_micros_per_month=None if budget is None else round(budget * _MICROS))


class Limits(BaseModel):
    """What may be used; `null` where it is not limited."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_streams: int | None
    budget_per_month: float | None = Field(description="Money in a calendar month (UTC), in the catalogue's currency.")

    @classmethod
    def from_proto(cls, limits: pb.Limits) -> Self:
        """Return the limits as clients see them."""
        given: dict[str, Any] = {field.name: value for field, value in limits.ListFields()}
        counts = {name: given.get(name) for name in cls.model_fields if name != "budget_per_month"}
        return cls(**counts, budget_per_month=budget_per_month(limits))


def budget_per_month(limits: pb.Limits) -> float | None:
    """Return the budget in the catalogue's currency, `None` when there is none."""
    return money(limits.budget_micros_per_month) if limits.HasField("budget_micros_per_month") else None


def money(micros: int) -> float:
    """Return an amount of millionths in whole units of the currency."""
    return micros / _MICROS
