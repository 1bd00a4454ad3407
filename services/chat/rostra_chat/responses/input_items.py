"""Which items a request may hold as `input`; the items themselves are kept as they came."""

from typing import Any

from rostra_chat.responses.fields import Fields, unsupported
from rostra_chat.responses.store import Item

ROLES = ("user", "assistant", "system", "developer")
ITEM_TYPES = ("message", "function_call", "function_call_output", "reasoning", "compaction", "item_reference")
MESSAGE_PARTS = ("input_text", "input_image", "input_file", "output_text", "refusal")
OUTPUT_PARTS = ("input_text", "input_image", "input_file")


def parse_input(body: Fields) -> tuple[Item, ...]:
    """Return the items of `input`, each with its `type`; a string is a user's message, nothing is no item.

    Raises:
        InvalidArgumentError: An item cannot be; `param` names the field at fault, for example `input[2].role`.
    """
    given = body.values.get("input")
    if isinstance(given, str):
        return ({"type": "message", "role": "user", "content": given},)
    if given is not None and not isinstance(given, list):
        body.refuse_type("input", "a string or an array")
    return tuple(_parse_item(item) for item in body.each("input"))


def referenced_ids(items: tuple[Item, ...]) -> tuple[str, ...]:
    """Return the ids of the stored items that `items` refer to, in order."""
    return tuple(item["id"] for item in items if item["type"] == "item_reference")


def _parse_item(item: Fields) -> Item:
    kind = _item_type(item)
    match kind:
        case "message":
            if item.choice("role", ROLES) is None:
                item.value("role")
            _check_content(item, "content", parts=MESSAGE_PARTS)
        case "function_call":
            for name in ("call_id", "name", "arguments"):
                item.required_text(name)
        case "function_call_output":
            item.required_text("call_id")
            _check_content(item, "output", parts=OUTPUT_PARTS)
        case "reasoning":
            _check_reasoning(item)
        case "compaction":
            item.required_text("encrypted_content")
        case "item_reference":
            item.required_text("id")
        case _:
            item.refuse_choice("type", ITEM_TYPES)
    return {**item.values, "type": kind}


def _item_type(item: Fields) -> str:
    """Return the type of an item, which a message and a reference may leave out."""
    kind = item.text("type")
    if kind is not None:
        return kind
    return "item_reference" if "id" in item.values and "role" not in item.values else "message"


def _check_content(item: Fields, name: str, *, parts: tuple[str, ...]) -> None:
    """Check that a field holds a string or an array of content parts."""
    content: Any = item.value(name)
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        item.refuse_type(name, "a string or an array")
    for part in item.each(name):
        _check_part(part, parts)


def _check_part(part: Fields, allowed: tuple[str, ...]) -> None:
    part.required_text("type")
    match part.choice("type", allowed):
        case "input_image":
            if part.text("file_id") is not None:
                raise unsupported(part.param("file_id"), "Uploaded files are not supported here: give an `image_url`.")
            part.required_text("image_url")
            part.choice("detail", ("auto", "low", "high", "original"))
        case "input_file":
            for name in ("file_id", "file_url"):
                if part.text(name) is not None:
                    raise unsupported(part.param(name), "Files are only supported as `file_data`.")
            part.required_text("file_data")
            part.text("filename")
        case "refusal":
            part.required_text("refusal")
        case _:
            part.required_text("text")


def _check_reasoning(item: Fields) -> None:
    for name in ("summary", "content"):
        for part in item.each(name):
            part.required_text("text")
