"""Which messages a compaction leaves as they are."""

from collections.abc import Sequence

from rostra_chat.catalogue import Model
from rostra_chat.responses.messages import to_messages
from rostra_chat.responses.store import Item
from rostra_chat.tokens import estimate_request_tokens

_MAX_KEPT_TOKENS = 20_000
_WINDOW_SHARE = 4
_RULES = ("system", "developer")


def kept_messages(items: Sequence[Item], *, model: Model) -> list[Item]:
    """Return the messages that stay, in their order: rules always, the user's own from the newest on while they fit.

    They fit into a quarter of the model's window, and into 20,000 tokens. A message stays whole or goes; the first one
    that does not fit ends it, so that nothing is left out between two that stay.

    Args:
        items: The input, in its normal form, oldest first.
        model: The model that the conversation goes on with, as far as is known.
    """
    room = min(_MAX_KEPT_TOKENS, model.context_window // _WINDOW_SHARE or _MAX_KEPT_TOKENS)
    kept: list[Item] = []
    for item in reversed(items):
        role = item.get("role")
        if role == "user":
            room -= estimate_request_tokens({"messages": to_messages([item], instructions=None)})
        if role in _RULES or (role == "user" and room >= 0):
            kept.append(item)
    return kept[::-1]
