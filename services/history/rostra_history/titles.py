"""The title of a conversation that nobody has named: how its first turn begins."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

LENGTH = 60
"""About how many characters a title has at most."""

# A line of this length is read, of texts that may have millions of characters.
_READ = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def title_of(items: Iterable[Any]) -> str:
    """Return the title for what begins with these items: the first words of the first text that a user says.

    Args:
        items: Items as parsed from JSON, in order.

    Returns:
        One line that ends with an ellipsis where it is cut, at a word's end if one is near; empty where no user says
        anything.
    """
    for item in items:
        if isinstance(item, dict) and item.get("type", "message") == "message" and item.get("role") == "user":
            for text in _texts(item.get("content")):
                if line := _first_line(text):
                    return _cut(line)
    return ""


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]


def _first_line(text: str) -> str:
    """Return the first line that is not blank, its white space folded."""
    for line in text.lstrip()[:_READ].splitlines():
        if words := _CONTROL.sub(" ", line).split():
            return " ".join(words)
    return ""


def _cut(line: str) -> str:
    if len(line) <= LENGTH:
        return line
    start = line[:LENGTH]
    whole_words = start.rpartition(" ")[0]
    return (whole_words if len(whole_words) > LENGTH // 2 else start).rstrip() + "…"
