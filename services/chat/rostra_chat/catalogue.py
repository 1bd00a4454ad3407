"""The catalogue: what is known of models beforehand."""

from dataclasses import dataclass
from datetime import datetime


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
    create_time: datetime
