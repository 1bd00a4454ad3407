"""The caller's conversations in the history service."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from rostra.common.v1.page_pb2 import Order, PageRequest
from rostra.history.v1.history_service_pb2 import ListItemsRequest, UpdateConversationRequest
from rostra_chat.responses.store import Item
from rostra_kit.client import ServiceClient

if TYPE_CHECKING:
    # The asynchronous face of the generated stub exists for type checkers alone.
    from rostra.history.v1.history_service_pb2_grpc import HistoryServiceAsyncStub


class HistoryConversations:
    """Implements `Conversations` by calls of the history service, on behalf of the caller of the request under way."""

    def __init__(self, client: "ServiceClient[HistoryServiceAsyncStub]") -> None:
        self._client = client

    async def first_items(self, conversation_id: str, *, count: int) -> Sequence[Item]:
        """Return the first items: see `Conversations`."""
        page = PageRequest(page_size=count, order=Order.ORDER_ASCENDING)
        request = ListItemsRequest(conversation_id=conversation_id, page=page)
        answer = await self._client.call(self._client.stub.ListItems, request)
        return [orjson.loads(item.body) for item in answer.items]

    async def set_title(self, conversation_id: str, title: str) -> None:
        """Store the title: see `Conversations`."""
        request = UpdateConversationRequest(conversation_id=conversation_id, title=title)
        await self._client.call(self._client.stub.UpdateConversation, request)
