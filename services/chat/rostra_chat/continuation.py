"""How a provider is asked to go on with an answer that broke off.

Chat completions have no word for it. What every server understands is the answer so far as the assistant's message, and
the user's request to go on.
"""

from collections.abc import Mapping
from typing import Any

from rostra_chat.providers.provider import Body
from rostra_chat.tokens import estimate_tokens

INSTRUCTION = (
    "Your last message was cut off. Continue it exactly where it stops, beginning with the very next character: "
    "repeat nothing, add no introduction, and do not mention the interruption."
)

_LENGTH_PARAMETERS = ("max_tokens", "max_completion_tokens")


def continued(body: Body, said: str) -> Body:
    """Return the chat completion that goes on after `said`, within what is left of the answer's length.

    A format is not asked for again: a server that holds the model to one would begin a new document.
    """
    ending = [{"role": "assistant", "content": said}, {"role": "user", "content": INSTRUCTION}]
    spent = estimate_tokens(said)
    lengths = {name: max(1, body[name] - spent) for name in _LENGTH_PARAMETERS if body.get(name)}
    kept = {name: value for name, value in body.items() if name != "response_format"}
    return kept | lengths | {"messages": [*body["messages"], *ending]}


def broken_off(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the chat completion that `body` goes on with, and what was said until then; nothing where it does not."""
    match body.get("messages"):
        case [*before, {"role": "assistant", "content": str(said)}, {"role": "user", "content": text}] if (
            text == INSTRUCTION
        ):
            return {**body, "messages": before}, said
        case _:
            return body, ""
