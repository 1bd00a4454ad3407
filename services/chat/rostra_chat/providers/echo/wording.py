"""A reply cut to the words in which it is streamed, within the bounds that the request sets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rostra_chat.providers.echo.reply import Reply
from rostra_chat.tokens import estimate_tokens

_WORD = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of a reply, each with the white space after it.

    Attributes:
        words: What is said, piece by piece.
        tool: The tool whose arguments the words are, or None.
        tokens: How many tokens the words count as.
        finish_reason: Why there are no more.
    """

    words: tuple[str, ...]
    tool: str | None
    tokens: int
    finish_reason: Literal["stop", "length", "tool_calls"]

    @property
    def text(self) -> str:
        """Return all of it."""
        return "".join(self.words)


def word(reply: Reply, body: Mapping[str, Any], *, max_tokens: int) -> Wording:
    """Cut `reply` where a `stop` sequence begins and where its tokens end."""
    text = reply.text if reply.tool else _before_stop(reply.text, body.get("stop"))
    words: list[str] = []
    tokens = 0
    for match in _WORD.finditer(text):
        tokens_of_word = max(1, estimate_tokens(match[0]))
        if tokens + tokens_of_word > max_tokens:
            return Wording(tuple(words), reply.tool, tokens, "length")
        words.append(match[0])
        tokens += tokens_of_word
    return Wording(tuple(words), reply.tool, tokens, "tool_calls" if reply.tool else "stop")


def _before_stop(text: str, stop: object) -> str:
    sequences = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    places = [text.find(each) for each in sequences if isinstance(each, str) and each]
    return text[: min((place for place in places if place >= 0), default=len(text))]
