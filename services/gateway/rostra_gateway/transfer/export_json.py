"""A conversation as JSON: the form that Rostra exports, and imports again.

    {"object": "conversation.export", "version": 1, "exported_at": …, "conversation": {…}, "items": [{…}, …]}

Items of all branches stand in the order in which they came, so each after the one that its `parent_id` names.
"""

import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

import orjson

from rostra.common.v1.page_pb2 import Order, PageRequest
from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1.conversation_pb2 import Conversation
from rostra.history.v1.history_service_pb2 import ItemView
from rostra.history.v1.item_pb2 import Feedback, FeedbackRating, Item
from rostra_gateway.clients import Clients
from rostra_gateway.transfer.pages import ListPage, all_pages
from rostra_gateway.transfer.times import seconds

VERSION = 1


async def export_json(clients: Clients, conversation: Conversation) -> AsyncGenerator[bytes, None]:
    """Yield the parts of the export of a conversation. It is whole only with its last byte, the closing brace."""
    shown = await clients.history.call(
        clients.history.stub.ListItems,
        pb.ListItemsRequest(
            conversation_id=conversation.id,
            page=PageRequest(page_size=1, order=Order.ORDER_DESCENDING),
            view=ItemView.ITEM_VIEW_ACTIVE_BRANCH,
        ),
    )
    head = {
        "object": "conversation.export",
        "version": VERSION,
        "exported_at": int(time.time()),
        "conversation": {
            "id": conversation.id,
            "title": conversation.title or None,
            "created_at": seconds(conversation.create_time),
            "updated_at": seconds(conversation.update_time),
            "metadata": dict(conversation.metadata),
            "archived": conversation.archived,
            # Not the conversation's own: that item may be deleted, and what is shown then is the one before.
            "active_item_id": shown.items[0].id if shown.items else None,
        },
    }
    yield orjson.dumps(head)[:-1] + b',"items":['
    separator = b""
    async for items in all_pages(items_of(clients, conversation.id, ItemView.ITEM_VIEW_ALL_BRANCHES)):
        yield separator + b",\n".join(map(_item_json, items))
        separator = b",\n"
    yield b"]}"


def items_of(clients: Clients, conversation_id: str, view: ItemView) -> ListPage[Item]:
    """Return what lists a conversation's items."""
    history = clients.history

    async def list_page(page: PageRequest) -> tuple[Sequence[Item], bool]:
        request = pb.ListItemsRequest(conversation_id=conversation_id, page=page, view=view)
        answer = await history.call(history.stub.ListItems, request)
        return answer.items, answer.has_more

    return list_page


def rating_name(rating: FeedbackRating) -> str:
    """Return a rating as JSON has it."""
    return FeedbackRating.Name(rating).removeprefix("FEEDBACK_RATING_").lower()


def _item_json(item: Item) -> bytes:
    return orjson.dumps(dict(_item_fields(item)))


def _item_fields(item: Item) -> Iterator[tuple[str, Any]]:
    yield "id", item.id
    yield "parent_id", item.parent_id or None
    yield "created_at", seconds(item.create_time)
    yield "item", orjson.Fragment(item.body)
    if item.HasField("feedback"):
        yield "feedback", _feedback_fields(item.feedback)


def _feedback_fields(feedback: Feedback) -> dict[str, Any]:
    return {
        "rating": rating_name(feedback.rating),
        "comment": feedback.comment or None,
        "updated_at": seconds(feedback.update_time),
    }
