"""Leaves the oldest exchanges of a chat out, so that it fits the model: OpenAI's `truncation: "auto"`."""

from itertools import accumulate

from rostra_chat.catalogue import Model
from rostra_chat.providers.provider import Body
from rostra_chat.tokens import estimate_request_tokens


def truncate(body: Body, *, model: Model) -> Body:
    """Return `body` with as many of the newest exchanges as fit the model's context window.

    An exchange begins with a message of the user's and is left out whole, so that no call loses its output. The leading
    system message and the last exchange stay, whether they fit or not.

    Args:
        body: A chat completion.
        model: The model to be called; one of unknown window fits everything.
    """
    wanted_tokens = body.get("max_completion_tokens") or body.get("max_tokens") or 1
    excess_tokens = estimate_request_tokens(body) + wanted_tokens - model.context_window
    if not model.context_window or excess_tokens <= 0:
        return body
    messages = body["messages"]
    first = next((place for place, message in enumerate(messages) if message["role"] != "system"), 0)
    before = list(accumulate((_size(message) for message in messages[first:]), initial=0))
    starts = [place for place, message in enumerate(messages) if message["role"] == "user" and place > first]
    fitting = (start for start in starts if before[start - first] >= excess_tokens)
    start = next(fitting, starts[-1] if starts else first)
    return body | {"messages": messages[:first] + messages[start:]}


def _size(message: dict[str, object]) -> int:
    """Return about how many tokens a message adds to a request."""
    return estimate_request_tokens({"messages": [message]}) - estimate_request_tokens({"messages": []})
