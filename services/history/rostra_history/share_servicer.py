"""The gRPC side of shares: translate, call, translate. Errors pass through untouched."""
# ruff: noqa: ARG002 - gRPC fixes the parameters of every RPC, used or not

from __future__ import annotations  # grpc's types are generic only for the type checker

from typing import TYPE_CHECKING, Any

import grpc

from rostra.history.v1 import item_pb2, share_pb2
from rostra.history.v1 import share_service_pb2 as pb
from rostra.history.v1.share_service_pb2_grpc import ShareServiceServicer
from rostra_history.mapping import page_of, time_us_of, timestamp
from rostra_history.share import Share
from rostra_history.share_service import SharedMessage, ShareService
from rostra_kit.context import current_caller

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]


class ShareServicer(ShareServiceServicer):
    """Serves `rostra.history.v1.ShareService` for the caller of each RPC; reading what is shared needs none."""

    def __init__(self, service: ShareService) -> None:
        self._service = service

    async def CreateShare(self, request: pb.CreateShareRequest, context: Context) -> pb.CreateShareResponse:
        """See the contract in share_service.proto."""
        ends = request.HasField("expire_time")
        share = await self._service.create(
            owner=_owner(),
            conversation_id=request.conversation_id,
            expire_time_us=time_us_of(request.expire_time, param="expires_at") if ends else None,
        )
        return pb.CreateShareResponse(share=_share_message(share))

    async def GetShare(self, request: pb.GetShareRequest, context: Context) -> pb.GetShareResponse:
        """See the contract in share_service.proto."""
        share = await self._service.get(owner=_owner(), share_id=request.share_id)
        return pb.GetShareResponse(share=_share_message(share))

    async def ListShares(self, request: pb.ListSharesRequest, context: Context) -> pb.ListSharesResponse:
        """See the contract in share_service.proto."""
        page = await self._service.list_page(
            owner=_owner(), conversation_id=request.conversation_id or None, page=page_of(request.page)
        )
        return pb.ListSharesResponse(shares=map(_share_message, page.elements), has_more=page.has_more)

    async def DeleteShare(self, request: pb.DeleteShareRequest, context: Context) -> pb.DeleteShareResponse:
        """See the contract in share_service.proto."""
        await self._service.delete(owner=_owner(), share_id=request.share_id)
        return pb.DeleteShareResponse()

    async def ListSharedItems(self, request: pb.ListSharedItemsRequest, context: Context) -> pb.ListSharedItemsResponse:
        """See the contract in share_service.proto."""
        share, page = await self._service.read(share_id=request.share_id, page=page_of(request.page))
        return pb.ListSharedItemsResponse(
            share=_public_message(share), items=map(_item_message, page.elements), has_more=page.has_more
        )


def _share_message(share: Share) -> share_pb2.Share:
    message = _public_message(share)
    message.conversation_id = share.conversation_id
    return message


def _public_message(share: Share) -> share_pb2.Share:
    """Return what anybody may know: not which conversation it is."""
    return share_pb2.Share(
        id=share.id,
        title=share.title,
        create_time=timestamp(share.create_time_us),
        expire_time=None if share.expire_time_us is None else timestamp(share.expire_time_us),
    )


def _item_message(message: SharedMessage) -> item_pb2.Item:
    return item_pb2.Item(id=message.id, body=message.body.encode(), create_time=timestamp(message.create_time_us))


def _owner() -> str:
    return current_caller().user_id
