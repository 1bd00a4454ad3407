"""Reads the conversations of ChatGPT's `conversations.json`.

There a conversation is a `mapping` from ids to nodes, each with its `parent` and perhaps a message: a tree. Nodes
without anything to keep are left out, and what follows them follows what comes before them.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from rostra.history.v1.history_service_pb2 import ImportConversationRequest, ImportedItem
from rostra_gateway.transfer.chatgpt_message import message_item
from rostra_gateway.transfer.incoming import Incoming, NotImported, body_text
from rostra_gateway.transfer.times import microseconds, timestamp

_LONGEST_TITLE = 200
_LONGEST_ID = 512
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class _Node:
    """A node in its place.

    Attributes:
        kept_before: The key of the item before it; empty at the beginning.
        time_us: When it was created, or else the node before it; 0 where nobody knows.
    """

    id: str
    message: Any
    kept_before: str
    time_us: int


def is_chatgpt_conversation(document: dict[str, Any]) -> bool:
    """Tell whether a conversation has the form of ChatGPT's."""
    return isinstance(document.get("mapping"), dict)


def read_chatgpt_conversation(document: dict[str, Any]) -> Incoming:
    """Return what the history service is asked to keep of the conversation, all branches of it.

    Raises:
        NotImported: It has nothing to keep, or its nodes do not make a tree.
    """
    skipped: Counter[str] = Counter()
    items, keys = _items(document["mapping"], skipped)
    if not items:
        raise NotImported("There is no message in it that can be kept.")
    shown = document.get("current_node")
    return Incoming(
        ImportConversationRequest(
            title=_title(document.get("title"), skipped),
            metadata=_metadata(document),
            archived=document.get("is_archived") is True,
            create_time=timestamp(microseconds(document.get("create_time"))),
            update_time=timestamp(microseconds(document.get("update_time"))),
            items=items,
            active_key=(keys.get(shown) if isinstance(shown, str) else None) or None,
        ),
        skipped,
    )


def _items(mapping: Mapping[str, Any], skipped: Counter[str]) -> tuple[list[ImportedItem], dict[str, str]]:
    """Return the items, and for each node the key of its item, or else of the one before."""
    items: list[ImportedItem] = []
    keys: dict[str, str] = {}
    for node in _in_order(mapping, keys, skipped):
        item = message_item(node.message, skipped)
        if item is None:
            keys[node.id] = node.kept_before
            continue
        key = keys[node.id] = str(len(items))
        time = timestamp(node.time_us) if node.time_us else None
        body = body_text(item, param=f"mapping.{node.id[:64]}")
        items.append(ImportedItem(key=key, parent_key=node.kept_before, body=body, create_time=time))
    if len(keys) < len(mapping):
        raise NotImported("Some of its nodes follow one another in a circle.", param="mapping")
    return items, keys


def _in_order(mapping: Mapping[str, Any], keys: Mapping[str, str], skipped: Counter[str]) -> Iterator[_Node]:
    """Yield the nodes by their time, each after the one that it follows, whose key is known by then.

    What follows a node that is not there stands at the beginning.
    """
    following = defaultdict(list)
    waiting: list[tuple[int, int, str, str | None]] = []
    for place, (node_id, node) in enumerate(mapping.items()):
        if not isinstance(node, dict):
            raise NotImported("A node is an object.", param=f"mapping.{node_id[:64]}")
        parent = node.get("parent")
        if isinstance(parent, str) and parent in mapping:
            following[parent].append((place, node_id))
        else:
            skipped.update(() if parent is None else ("missing_parent",))
            heappush(waiting, (_time_us(node, 0), place, node_id, None))
    while waiting:
        time_us, _, node_id, parent_id = heappop(waiting)
        message = mapping[node_id].get("message")
        yield _Node(node_id, message, keys[parent_id] if parent_id is not None else "", time_us)
        for place, next_id in following[node_id]:
            heappush(waiting, (_time_us(mapping[next_id], time_us), place, next_id, node_id))


def _time_us(node: dict[str, Any], before_us: int) -> int:
    message = node.get("message")
    return (microseconds(message.get("create_time")) if isinstance(message, dict) else None) or before_us


def _title(title: Any, skipped: Counter[str]) -> str:
    if not isinstance(title, str):
        return ""
    shown = " ".join(_CONTROL.sub(" ", title).encode(errors="replace").decode().split())
    if len(shown) > _LONGEST_TITLE:
        skipped["end_of_title"] += 1
    return shown[:_LONGEST_TITLE]


def _metadata(document: dict[str, Any]) -> dict[str, str]:
    """Return pairs by which somebody who imports twice can tell what is there already."""
    original_id = document.get("conversation_id") or document.get("id")
    pairs = {"imported_from": "chatgpt"}
    if isinstance(original_id, str):
        pairs["chatgpt_id"] = original_id[:_LONGEST_ID].encode(errors="replace").decode()
    return pairs
