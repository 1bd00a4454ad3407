"""What tokens cost."""

from rostra_chat.catalogue import Model
from rostra_chat.providers.provider import Usage

_MILLION = 1_000_000


def cost_micros(model: Model, usage: Usage) -> int:
    """Return the price of `usage`, in millionths of the catalogue's currency unit, rounded up."""
    cached = min(usage.cached_input_tokens, usage.input_tokens)
    total = (
        (usage.input_tokens - cached) * model.input_price_micros
        + cached * model.cached_input_price_micros
        + usage.output_tokens * model.output_price_micros
    )
    return -(-total // _MILLION)
