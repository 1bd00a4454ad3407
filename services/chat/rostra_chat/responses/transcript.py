"""Writes items down as a text that any model can read, whoever speaks in it, and cuts it in parts."""

from collections.abc import Iterable, Iterator
from typing import Any

from rostra_chat.responses.messages import summary_of
from rostra_chat.responses.store import Item
from rostra_chat.tokens import estimate_tokens

_UNSPEAKABLE = {"input_image": "[an image]", "input_file": "[a file]"}


def write_down(items: Iterable[Item]) -> Iterator[str]:
    """Yield a paragraph for each item that says something, each after the name of who says it."""
    for item in items:
        match item:
            case {"type": "message", "role": role}:
                yield f"{role}: {_text(item['content'])}"
            case {"type": "function_call"}:
                yield f"assistant calls {item['name']} ({item['call_id']}): {item['arguments']}"
            case {"type": "function_call_output"}:
                yield f"output of {item['call_id']}: {_text(item['output'])}"
            case {"type": "compaction"}:
                yield f"summary of what was said before: {summary_of(item)}"


def pack(paragraphs: Iterable[str], *, max_tokens: int) -> list[str]:
    """Return the paragraphs in as few texts as hold `max_tokens` each; a paragraph is only cut where it is longer."""
    parts: list[str] = []
    room = 0
    for paragraph in paragraphs:
        for piece in _pieces(paragraph, max_tokens):
            tokens = estimate_tokens(piece) + 1
            if not parts or tokens > room:
                parts.append(piece)
                room = max_tokens - tokens
            else:
                parts[-1] += f"\n\n{piece}"
                room -= tokens
    return parts


def _pieces(paragraph: str, max_tokens: int) -> Iterator[str]:
    """Yield slices that fit, in order; those that turn out denser than the whole are cut again."""
    waiting = [paragraph]
    while waiting:
        text = waiting.pop()
        tokens = estimate_tokens(text)
        if tokens <= max_tokens or len(text) == 1:
            yield text
            continue
        length = max(1, len(text) * max_tokens // (tokens + 1))
        waiting += [text[start : start + length] for start in range(0, len(text), length)][::-1]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(filter(None, map(_part, content)))


def _part(part: dict[str, Any]) -> str:
    match part:
        case {"text": str(text)} | {"refusal": str(text)}:
            return text
        case {"type": str(kind)}:
            return _UNSPEAKABLE.get(kind, "")
        case _:
            return ""
