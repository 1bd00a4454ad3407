"""The normal form of items: what clients send in many shapes is stored, and sent back, in one.

An item is an element of a response's input or output, or of a conversation: a message, a function call, a function's
output, a piece of reasoning, the compaction of earlier items, or a type that Rostra does not know and keeps as it is.
"""

from typing import Any

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.compaction import open_summary
from rostra_kit.errors import InvalidArgumentError
from rostra_kit.ids import new_id

_ID_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "reasoning": "rs",
    "compaction": "cmp",
}
_ROLES = ("user", "assistant", "system", "developer")
_STATUSES = ("completed", "incomplete", "in_progress")
_NEEDED_TEXTS = {"function_call": ("call_id", "name", "arguments"), "function_call_output": ("call_id",)}
_HAVE_STATUS = {"message", *_NEEDED_TEXTS}


def new_item_id(item_type: str) -> str:
    """Return a new name for an item of this type, for example `msg_…`."""
    return new_id(_ID_PREFIXES.get(item_type, "item"))


def normalise_item(item: object, *, param: str = "item") -> dict[str, Any]:
    """Return `item` in the form in which it is stored and sent back, under a new id; `item` itself is not changed.

    A message has its type, a status, and a list of content parts even where the client sent a string. What Rostra does
    not know about an item is kept.

    Args:
        item: The element as parsed from JSON.
        param: What the client calls the element, for example `input[3]`.

    Raises:
        InvalidArgumentError: It cannot be an item; `param` names the field at fault.
    """
    if not isinstance(item, dict):
        raise _wrong_type(param, "an object")
    item_type = _item_type(item, param)
    fields = {name: value for name, value in item.items() if name not in ("type", "id")}
    if item_type in _HAVE_STATUS:
        fields["status"] = _status(item, param)
    if item_type == "message":
        fields = _message_fields(fields, param)
    _check_function_fields(item_type, fields, param)
    if item_type == "compaction":
        _check_text(fields, "encrypted_content", param)
        open_summary(fields["encrypted_content"], param=f"{param}.encrypted_content")
    return {"type": item_type, "id": new_item_id(item_type)} | fields


def _item_type(item: dict[str, Any], param: str) -> str:
    item_type = item.get("type")
    if item_type is None:
        if "role" in item:
            return "message"
        raise _missing(f"{param}.type")
    if not isinstance(item_type, str):
        raise _wrong_type(f"{param}.type", "a string")
    if item_type == "item_reference":
        raise InvalidArgumentError(
            "A reference to an item cannot be stored in its place.",
            reason=ErrorReason.ERROR_REASON_UNSUPPORTED_VALUE,
            param=f"{param}.type",
        )
    return item_type


def _status(item: dict[str, Any], param: str) -> str:
    status = item.get("status")
    if status is None:
        return "completed"
    if status not in _STATUSES:
        raise InvalidArgumentError(f"A status is one of {', '.join(_STATUSES)}.", param=f"{param}.status")
    return str(status)


def _message_fields(fields: dict[str, Any], param: str) -> dict[str, Any]:
    role = fields.get("role")
    if role is None:
        raise _missing(f"{param}.role")
    if role not in _ROLES:
        raise InvalidArgumentError(f"A role is one of {', '.join(_ROLES)}.", param=f"{param}.role")
    content = fields.get("content")
    if content is None:
        raise _missing(f"{param}.content")
    if isinstance(content, str):
        content = [{"type": "output_text" if role == "assistant" else "input_text", "text": content}]
    if not isinstance(content, list):
        raise _wrong_type(f"{param}.content", "a string or an array")
    parts = [_content_part(part, f"{param}.content[{index}]") for index, part in enumerate(content)]
    return fields | {"content": parts}


def _content_part(part: object, param: str) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise _wrong_type(param, "an object")
    part_type = part.get("type")
    if part_type is None:
        raise _missing(f"{param}.type")
    if not isinstance(part_type, str):
        raise _wrong_type(f"{param}.type", "a string")
    if part_type in ("input_text", "output_text"):
        _check_text(part, "text", param)
    if part_type == "output_text":
        return part | {name: part.get(name) or [] for name in ("annotations", "logprobs")}
    if part_type == "input_image":
        return part | {"detail": part.get("detail") or "auto"}
    return dict(part)


def _check_function_fields(item_type: str, fields: dict[str, Any], param: str) -> None:
    for name in _NEEDED_TEXTS.get(item_type, ()):
        _check_text(fields, name, param)
    if item_type == "function_call_output":
        output = fields.get("output")
        if output is None:
            raise _missing(f"{param}.output")
        if not isinstance(output, str | list):
            raise _wrong_type(f"{param}.output", "a string or an array")


def _check_text(fields: dict[str, Any], name: str, param: str) -> None:
    if fields.get(name) is None:
        raise _missing(f"{param}.{name}")
    if not isinstance(fields[name], str):
        raise _wrong_type(f"{param}.{name}", "a string")


def _missing(param: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"Missing required parameter: '{param}'.",
        reason=ErrorReason.ERROR_REASON_MISSING_REQUIRED_PARAMETER,
        param=param,
    )


def _wrong_type(param: str, expected: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"Invalid type for '{param}': expected {expected}.", reason=ErrorReason.ERROR_REASON_INVALID_TYPE, param=param
    )
