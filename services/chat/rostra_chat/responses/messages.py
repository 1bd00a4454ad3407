"""Turns the items of a response into the messages of a chat."""

from collections.abc import Iterable, Iterator
from typing import Any

from rostra_chat.responses.fields import shown
from rostra_chat.responses.store import Item
from rostra_kit.compaction import open_summary
from rostra_kit.errors import InvalidArgumentError

Message = dict[str, Any]

_SAYABLE = ("message", "function_call", "function_call_output", "compaction")
_SUMMARY = "Here is a summary of our conversation until now; the messages that it stands for are left out.\n\n"


def to_messages(items: Iterable[Item], *, instructions: str | None) -> list[Message]:
    """Return the messages that say what `items`, in their normal form, say; `instructions` come first.

    What providers do not take is passed over: reasoning, a call whose arguments were cut off, types of items and of
    their parts that a conversation keeps for its client alone.

    Raises:
        InvalidArgumentError: A function's call has no output, or an output no call; providers refuse both.
    """
    said = _sayable(list(items))
    messages: list[Message] = [{"role": "system", "content": instructions}] if instructions else []
    for item in said:
        match item["type"]:
            case "function_call":
                _add_call(messages, item)
            case "function_call_output":
                messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": _content(item["output"])})
            case "compaction":
                messages.append({"role": "user", "content": _SUMMARY + summary_of(item)})
            case _:
                _add_message(messages, item)
    return messages


def summary_of(item: Item) -> str:
    """Return what a compaction item says.

    Raises:
        InvalidArgumentError: It is damaged, though it was whole when it was stored.
    """
    return open_summary(item["encrypted_content"], param="input")


def _sayable(items: list[Item]) -> list[Item]:
    """Return the items that providers take, after a check that every call has its output and the reverse."""
    outputs = {item["call_id"] for item in items if item["type"] == "function_call_output"}
    said = [item for item in items if item["type"] in _SAYABLE and not _is_cut_call(item, outputs)]
    calls = {item["call_id"] for item in said if item["type"] == "function_call"}
    for call_id in sorted(calls - outputs):
        raise InvalidArgumentError(f"No tool output found for function call {shown(call_id)}.", param="input")
    for call_id in sorted(outputs - calls):
        message = f"No tool call found for function call output with call_id {shown(call_id)}."
        raise InvalidArgumentError(message, param="input")
    return said


def _is_cut_call(item: Item, outputs: set[str]) -> bool:
    is_cut = item["type"] == "function_call" and item.get("status") == "incomplete"
    return is_cut and item["call_id"] not in outputs


def _add_call(messages: list[Message], item: Item) -> None:
    """Add a call to the message of the assistant's that was said just before, or to a new one."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    function = {"name": item["name"], "arguments": item["arguments"]}
    calls = messages[-1].setdefault("tool_calls", [])
    calls.append({"id": item["call_id"], "type": "function", "function": function})


def _add_message(messages: list[Message], item: Item) -> None:
    role = "system" if item["role"] == "developer" else item["role"]
    content = _text(item["content"]) if role == "assistant" else _content(item["content"])
    is_leading = all(message["role"] == "system" for message in messages)
    if role == "system" and messages and is_leading and _are_texts(messages[-1]["content"], content):
        # Many chat templates know one system message only, at the beginning.
        messages[-1]["content"] += f"\n\n{content}"
        return
    if role == "assistant" and messages and messages[-1]["role"] == role and messages[-1]["content"] is None:
        # Between calls and their outputs nothing may stand.
        messages[-1]["content"] = content
        return
    messages.append({"role": role, "content": content})


def _are_texts(*contents: object) -> bool:
    return all(isinstance(content, str) for content in contents)


def _text(content: Any) -> str:
    """Return the text of an assistant's message; a refusal is a text like any other to generic servers."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in _chat_parts(content) if part["type"] == "text")


def _content(content: Any) -> str | list[dict[str, Any]]:
    """Return content in the words of a chat: one text as a string, anything more as parts."""
    if isinstance(content, str):
        return content
    parts = list(_chat_parts(content))
    match parts:
        case []:
            return ""
        case [{"type": "text", "text": text}]:
            return str(text)
        case _:
            return parts


def _chat_parts(parts: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for part in parts:
        match part:
            case {"type": "input_image", "image_url": str(url)}:
                # "original" is younger than the servers that this is said to.
                hint = {"detail": part["detail"]} if part.get("detail") in {"auto", "low", "high"} else {}
                yield {"type": "image_url", "image_url": {"url": url, **hint}}
            case {"type": "input_file", "file_data": str(data)}:
                name = {"filename": part["filename"]} if part.get("filename") else {}
                yield {"type": "file", "file": {"file_data": data, **name}}
            case {"text": str(text)} | {"refusal": str(text)}:
                yield {"type": "text", "text": text}
