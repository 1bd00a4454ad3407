"""What a message of ChatGPT's becomes: an item of ours, or nothing, and then it is said what was left behind.

The format is nobody's promise: what is looked for may be absent or of another type, and what is not known is named.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rostra_gateway.transfer.markdown import fenced

_ROLES = {"user": "user", "assistant": "assistant", "system": "system"}
_TOOL_ROLE = "assistant"
# Words about an item that are worth telling of when they are left behind.
_NOTES = ("attachments", "citations", "content_references")
# Texts that are settings of the account rather than part of what was said.
_SETTINGS = {"user_editable_context", "model_editable_context"}
_THOUGHTS = {"thoughts", "reasoning_recap"}
_UNKNOWN_LANGUAGES = {"unknown", ""}
_LONGEST_KIND = 64


def message_item(message: Any, skipped: Counter[str]) -> dict[str, Any] | None:
    """Return the item that a message becomes; `None` where nothing of it can be kept.

    Args:
        message: The `message` of a node.
        skipped: Where what is left behind is counted.
    """
    if not isinstance(message, dict):
        return None
    content = _object(message.get("content"))
    kind = _word(content.get("content_type"))
    author = _object(message.get("author"))
    metadata = _object(message.get("metadata"))
    texts = [text for text in _texts(content, skipped) if text.strip()]
    if metadata.get("is_visually_hidden_from_conversation") or kind in _SETTINGS:
        skipped.update([kind if kind in _SETTINGS else "hidden_message"] if texts else ())
        return None
    skipped.update(name for name in _NOTES if metadata.get(name))
    if not texts:
        return None
    if kind in _THOUGHTS:
        return {"type": "reasoning", "summary": [{"type": "summary_text", "text": text} for text in texts]}
    return _message(_word(author.get("role")), kind, content, texts)


def _message(author: str, kind: str, content: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    role = _ROLES.get(author, _TOOL_ROLE)
    if kind == "code":
        language = _word(content.get("language"))
        texts = [fenced(text, "" if language in _UNKNOWN_LANGUAGES else language) for text in texts]
    elif author not in _ROLES:
        texts = [fenced(text) for text in texts]
    part = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": part, "text": text} for text in texts]}


def _texts(content: dict[str, Any], skipped: Counter[str]) -> Iterator[str]:
    """Yield the texts of a content of any type, and count what is none."""
    found = False
    for part in _list(content.get("parts")):
        found = True
        yield from _part_texts(part, skipped)
    for thought in _list(content.get("thoughts")):
        found = True
        fields = _object(thought)
        heading, text = _text(fields.get("summary"), skipped), _text(fields.get("content"), skipped)
        yield "\n\n".join(filter(None, [f"**{heading}**" if heading else "", text]))
    about = [_text(content.get(name), skipped) for name in ("title", "url")]
    for name in ("text", "result", "content", "output_str", "user_profile", "user_instructions"):
        if isinstance(content.get(name), str):
            found = True
            yield "\n".join(filter(None, [*about, _text(content[name], skipped)]))
    if not found:
        skipped.update([_word(content.get("content_type"))] if content else ())


def _part_texts(part: Any, skipped: Counter[str]) -> Iterator[str]:
    if isinstance(part, str):
        yield _text(part, skipped)
    elif isinstance(_object(part).get("text"), str):
        yield _text(part["text"], skipped)
    else:
        skipped[_word(_object(part).get("content_type"))] += 1


def _text(value: Any, skipped: Counter[str]) -> str:
    """Return a text without the halves of characters that nobody can write down."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        skipped["broken_character"] += 1
        return value.encode(errors="replace").decode()
    return value


def _word(value: Any) -> str:
    """Return a name that may come from anybody."""
    if not isinstance(value, str) or not value:
        return "unknown"
    return "".join(letter for letter in value[:_LONGEST_KIND] if letter.isascii() and letter.isprintable())


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
