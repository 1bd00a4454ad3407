"""The branch of a conversation that is shown, as Markdown for people. What cannot be shown is named."""

from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from rostra.history.v1.conversation_pb2 import Conversation
from rostra.history.v1.history_service_pb2 import ItemView
from rostra_gateway.clients import Clients
from rostra_gateway.transfer.export_json import items_of
from rostra_gateway.transfer.markdown import closed, fenced, one_line
from rostra_gateway.transfer.pages import all_pages

_TEXT_FIELDS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_LINK_FIELDS = {"input_image": "image_url", "input_file": "file_url"}
_LONGEST_LINK = 2048


async def export_markdown(clients: Clients, conversation: Conversation) -> AsyncGenerator[bytes, None]:
    """Yield the parts of the text of a conversation."""
    created = datetime.fromtimestamp(conversation.create_time.ToSeconds(), UTC)
    title = one_line(conversation.title) or "Conversation"
    yield f"# {title}\n\n*Begun on {created:%Y-%m-%d %H:%M} UTC.*\n".encode()
    async for items in all_pages(items_of(clients, conversation.id, ItemView.ITEM_VIEW_ACTIVE_BRANCH)):
        yield "".join(f"\n{item_markdown(orjson.loads(item.body))}\n" for item in items).encode()


def item_markdown(item: dict[str, Any]) -> str:
    """Return an item as Markdown."""
    writer = _WRITERS.get(item.get("type", ""))
    return writer(item) if writer else _not_shown(item.get("type", "an item of no type"))


def _message(item: dict[str, Any]) -> str:
    content = item.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return _section(str(item.get("role", "")).capitalize(), map(_part, parts))


def _part(part: Any) -> str:
    if not isinstance(part, dict):
        return _not_shown("a part of no type")
    kind = str(part.get("type"))
    text = part.get(_TEXT_FIELDS.get(kind, ""))
    if isinstance(text, str):
        return closed(text)
    link = part.get(_LINK_FIELDS.get(kind, ""))
    if isinstance(link, str) and link.startswith(("https://", "http://")) and len(link) <= _LONGEST_LINK:
        return f"*[{kind}: <{one_line(link)}>]*"
    return _not_shown(kind, part.get("filename"))


def _call(item: dict[str, Any]) -> str:
    return _section(f"Call of {one_line(str(item.get('name')))}", [fenced(str(item.get("arguments")), "json")])


def _output(item: dict[str, Any]) -> str:
    output = item.get("output")
    if isinstance(output, list):
        return _section("Output", map(_part, output))
    return _section("Output", [fenced(str(output))])


def _reasoning(item: dict[str, Any]) -> str:
    parts = [part for name in ("summary", "content") for part in item.get(name) or ()]
    texts = [closed(str(part["text"])) for part in parts if isinstance(part, dict) and "text" in part]
    if len(texts) < len(parts) or not parts or item.get("encrypted_content"):
        texts.append(_not_shown("reasoning"))
    return _section("Reasoning", texts)


_WRITERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _output,
    "reasoning": _reasoning,
}


def _section(title: str, blocks: Iterator[str] | list[str]) -> str:
    return "\n\n".join([f"## {title}", *blocks])


def _not_shown(what: object, name: object = None) -> str:
    called = f" {one_line(str(name))}" if name else ""
    return f"*[Not shown: {one_line(str(what))}{called}]*"
