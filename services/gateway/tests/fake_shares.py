"""A service of shares that keeps everything in memory."""

import time

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.history.v1 import share_service_pb2 as pb
from rostra.history.v1.item_pb2 import Item
from rostra.history.v1.share_pb2 import Share
from rostra.history.v1.share_service_pb2_grpc import ShareServiceServicer
from rostra_kit.context import current_caller
from rostra_kit.errors import AppError, InvalidArgumentError, NotFoundError
from rostra_kit.ids import new_id
from services.gateway.tests.fake_history import FakeHistoryService, page_of
from services.gateway.tests.fake_user import now


class FakeShareService(ShareServiceServicer):
    """Keeps shares by (owner, id). It shows whatever is in the conversation.

    Attributes:
        error: Raised by reading, when there is one.
    """

    def __init__(self, history: FakeHistoryService) -> None:
        self.shares: dict[tuple[str, str], Share] = {}
        self.error: AppError | None = None
        self._history = history

    def add(self, *items: Item, title: str = "") -> str:
        """Add a share of a conversation with these items, and return its id."""
        conversation_id, share_id = new_id("conv"), new_id("share")
        self._history.items["user_x", conversation_id] = list(items)
        share = Share(id=share_id, conversation_id=conversation_id, title=title, create_time=now())
        self.shares["user_x", share_id] = share
        return share_id

    async def CreateShare(self, request, context):
        owner = current_caller().user_id
        if (owner, request.conversation_id) not in self._history.conversations:
            raise NotFoundError("No such conversation.", reason=ErrorReason.ERROR_REASON_CONVERSATION_NOT_FOUND)
        if request.HasField("expire_time") and request.expire_time.seconds <= time.time():
            raise InvalidArgumentError("In the past.", param="expires_at")
        share = Share(
            id=new_id("share"),
            conversation_id=request.conversation_id,
            create_time=now(),
            expire_time=request.expire_time if request.HasField("expire_time") else None,
        )
        self.shares[owner, share.id] = share
        return pb.CreateShareResponse(share=share)

    async def GetShare(self, request, context):
        return pb.GetShareResponse(share=self._share(request.share_id))

    async def ListShares(self, request, context):
        caller, of = current_caller().user_id, request.conversation_id
        owned = [
            share for (owner, _), share in self.shares.items() if owner == caller and of in ("", share.conversation_id)
        ]
        page, has_more = page_of(owned, request.page)
        return pb.ListSharesResponse(shares=page, has_more=has_more)

    async def DeleteShare(self, request, context):
        self._share(request.share_id)
        del self.shares[current_caller().user_id, request.share_id]
        return pb.DeleteShareResponse()

    async def ListSharedItems(self, request, context):
        if self.error:
            raise self.error
        found = [(owner, share) for (owner, share_id), share in self.shares.items() if share_id == request.share_id]
        if not found:
            raise _not_found()
        [(owner, share)] = found
        page, has_more = page_of(self._history.items[owner, share.conversation_id], request.page)
        return pb.ListSharedItemsResponse(share=share, items=page, has_more=has_more)

    def _share(self, share_id: str) -> Share:
        share = self.shares.get((current_caller().user_id, share_id))
        if share is None:
            raise _not_found()
        return share


def _not_found() -> NotFoundError:
    return NotFoundError("No such share.", reason=ErrorReason.ERROR_REASON_SHARE_NOT_FOUND)
