"""What a share is, and what of an item it shows.

A share refers to a conversation's path as it was at one time; it copies nothing. What it shows is what people and the
model said to one another, as text: everything else that items hold may be a secret of its owner's.
"""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from rostra_history.domain import Item

_RANDOM_BYTES = 24
_ROLES = ("user", "assistant")
# The types of the parts that are shown, and the field that holds the text of each.
_TEXT_FIELDS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A conversation's path, as it was at one time, that whoever knows the share's id may read.

    Attributes:
        leaf_id: The last item of the path; `None` when there was none.
        end_seq: The rank that an item after the leaf has.
        title: The conversation's title at that time; may be empty.
        expire_time_us: When it ends; `None` for never.
    """

    id: str
    owner: str
    conversation_id: str
    leaf_id: str | None
    end_seq: int
    title: str
    create_time_us: int
    expire_time_us: int | None = None

    def has_expired(self, now_us: int) -> bool:
        """Tell whether its time is over."""
        return self.expire_time_us is not None and self.expire_time_us <= now_us


def new_share_id() -> str:
    """Return a new name: `share_` and 192 random bits, in hexadecimal digits.

    The name is all that it takes to read, by anybody who asks from anywhere. So nothing in it can be foreseen, unlike
    other names, which begin with a time; and it ends in no sign that programs leave out of a link.
    """
    return f"share_{secrets.token_hex(_RANDOM_BYTES)}"


def shown_message(item: Item) -> str | None:
    """Return what a share shows of an item, as JSON text; `None` when that is nothing.

    Each field is made anew from what is known to be harmless, so whatever else an item holds stays behind.
    """
    try:
        body = json.loads(item.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or body.get("type") != "message" or body.get("role") not in _ROLES:
        return None
    content = body.get("content")
    parts = [part for part in map(_shown_part, content) if part] if isinstance(content, list) else []
    if not parts:
        return None
    message = {"type": "message", "id": item.id, "role": body["role"], "content": parts}
    # Half of a surrogate pair, which JSON may hold, is nothing that can be shown.
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace").decode()


def _shown_part(part: Any) -> dict[str, str] | None:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str) or part["type"] not in _TEXT_FIELDS:
        return None
    field = _TEXT_FIELDS[part["type"]]
    text = part.get(field)
    return {"type": part["type"], field: text} if isinstance(text, str) else None
