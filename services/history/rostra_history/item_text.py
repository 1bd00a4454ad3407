"""What people read of an item: the part of it that can be searched."""

import json
from typing import Any

from rostra_history.terms import terms_of

_ROLES = ("user", "assistant")
_FIELD_OF_PART = {"input_text": "text", "output_text": "text", "refusal": "refusal"}


def text_of(item: Any) -> str:
    """Return the text of a user's or an assistant's message, given as parsed JSON; other items have none."""
    if not isinstance(item, dict) or item.get("type") != "message" or item.get("role") not in _ROLES:
        return ""
    content = item.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(filter(None, map(_text_of_part, parts)))


def text_of_body(body: str) -> str:
    """Return the text of an item given as JSON text; what is not JSON has none."""
    try:
        return text_of(json.loads(body))
    except (ValueError, RecursionError):
        return ""


def terms_of_body(body: str) -> tuple[str, ...]:
    """Return the search terms of an item given as JSON text."""
    return terms_of(text_of_body(body))


def _text_of_part(part: Any) -> str:
    if not isinstance(part, dict):
        return ""
    text = part.get(_FIELD_OF_PART.get(str(part.get("type")), ""))
    return text if isinstance(text, str) else ""
