"""The catalogue: what is known of models beforehand, read from YAML."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

_MICROS = 1_000_000

Tokens = Annotated[int, Field(ge=0, strict=True)]
Price = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6)]
Amount = Annotated[int, Field(ge=0, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=256)]


class CatalogueError(ValueError):
    """The catalogue file says something that cannot be. The message tells where."""


class ModelLimits(BaseModel):
    """What may be done with a model, by one user or by all of them together; what is not named is not limited.

    Attributes:
        requests_per_minute: The calls that may begin in any minute; also the largest burst.
        tokens_per_minute: The tokens, input and output together, in any minute; also the largest burst.
        concurrent_calls: How many calls may be under way at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_minute: Amount | None = None
    tokens_per_minute: Amount | None = None
    concurrent_calls: Amount | None = None


_UNLIMITED = ModelLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that clients can name.

    Attributes:
        id: The public name, as clients send it.
        provider: The name of the provider that runs it.
        upstream_name: What that provider calls it.
        context_window: How many tokens input and output may have together; 0 when not known.
        max_output_tokens: How many tokens one answer may have; 0 when not known.
        input_price_micros: The price of a million input tokens, in millionths of the catalogue's currency unit.
        cached_input_price_micros: The price of a million input tokens that the provider had cached.
        output_price_micros: The price of a million output tokens.
        capabilities: What the model can do, for example `tools`, `vision` or `json_schema`.
        limits: What all users together may do with it.
        user_limits: What each user may do with it.
        create_time: When the model was first offered.
    """

    id: str
    provider: str
    upstream_name: str
    context_window: int = 0
    max_output_tokens: int = 0
    input_price_micros: int = 0
    cached_input_price_micros: int = 0
    output_price_micros: int = 0
    capabilities: frozenset[str] = frozenset()
    limits: ModelLimits = _UNLIMITED
    user_limits: ModelLimits = _UNLIMITED
    create_time: datetime


def load_catalogue(path: Path | None = None) -> tuple[Model, ...]:
    """Return the models of the file at `path`, by default of the one that comes with the package.

    Raises:
        CatalogueError: The file cannot be read, is not a catalogue, or names a model twice.
    """
    source = path or resources.files(__package__).joinpath("models.yaml")
    try:
        document = yaml.safe_load(source.read_text("utf-8"))
        entries = _Catalogue.model_validate(document).models
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise CatalogueError(f"{source}: {error}") from error
    twice = [name for name, count in Counter(entry.id for entry in entries).items() if count > 1]
    if twice:
        raise CatalogueError(f"{source}: named more than once: {', '.join(twice)}")
    return tuple(entry.to_model() for entry in entries)


class _Entry(BaseModel):
    """A model as the file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Name
    provider: Name
    upstream_name: Name | None = None
    context_window: Tokens = 0
    max_output_tokens: Tokens = 0
    input_price: Price = Decimal(0)
    cached_input_price: Price | None = None
    output_price: Price = Decimal(0)
    capabilities: frozenset[Name] = frozenset()
    limits: ModelLimits = _UNLIMITED
    user_limits: ModelLimits = _UNLIMITED
    create_time: date

    def to_model(self) -> Model:
        """Return the model; what the file leaves out is as it is without it: same name, no discount."""
        cached_price = self.input_price if self.cached_input_price is None else self.cached_input_price
        return Model(
            id=self.id,
            provider=self.provider,
            upstream_name=self.upstream_name or self.id,
            context_window=self.context_window,
            max_output_tokens=self.max_output_tokens,
            input_price_micros=_micros(self.input_price),
            cached_input_price_micros=_micros(cached_price),
            output_price_micros=_micros(self.output_price),
            capabilities=self.capabilities,
            limits=self.limits,
            user_limits=self.user_limits,
            create_time=datetime(self.create_time.year, self.create_time.month, self.create_time.day, tzinfo=UTC),
        )


class _Catalogue(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[_Entry, ...]


def _micros(price: Decimal) -> int:
    return int(price * _MICROS)
