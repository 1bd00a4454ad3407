"""Pieces of Markdown that hold whatever text is put into them."""

import re

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)
_BACKTICKS = re.compile(r"`{3,}")
_SHORTEST_FENCE = 3


def fenced(text: str, info: str = "") -> str:
    """Return `text` as a block of code, whatever backticks are in it; `info` says what it is, for example `json`."""
    longest = max(map(len, _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(_SHORTEST_FENCE, longest + 1)
    return f"{fence}{info}\n{text}\n{fence}"


def closed(text: str) -> str:
    """Return `text`, which is Markdown, with a block of code ended that it leaves open: the rest is not code."""
    opened = ""
    for fence, info in _FENCE.findall(text):
        if not opened:
            opened = fence
        elif fence[0] == opened[0] and len(fence) >= len(opened) and not info.strip():
            opened = ""
    return f"{text}\n{opened}" if opened else text


def one_line(text: str) -> str:
    """Return `text` for a heading."""
    return " ".join(text.split())
