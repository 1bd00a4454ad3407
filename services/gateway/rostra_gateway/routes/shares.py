"""Shares of conversations: managed by their owners, read by anybody. OpenAI has no such endpoints."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from google.protobuf.timestamp_pb2 import Timestamp

from rostra.history.v1 import share_service_pb2 as pb
from rostra_gateway.body import read_small_json, validate
from rostra_gateway.dependencies import AdmittedCaller, CurrentClients, CurrentEdge, admit_anybody
from rostra_gateway.idempotency.route import IdempotentRoute
from rostra_gateway.lists import list_of_items
from rostra_gateway.openapi import documented, request_body
from rostra_gateway.path_ids import ConversationId, ShareId
from rostra_gateway.schemas.list_object import ListObject
from rostra_gateway.schemas.share import (
    CreateShareRequest,
    DeletedShare,
    Share,
    SharedItemsQuery,
    SharedMessage,
    SharesQuery,
)

router = APIRouter(prefix="/v1", tags=["Shares"], route_class=IdempotentRoute)


@router.post("/conversations/{conversation_id}/shares", openapi_extra=request_body(CreateShareRequest, required=False))
async def create_share(
    request: Request, conversation_id: ConversationId, edge: CurrentEdge, _: AdmittedCaller
) -> Share:
    """Share a conversation as it is now. Whoever knows the share's `id`, or `url`, can read it, without an account."""
    body = validate(CreateShareRequest, await read_small_json(request))
    shares = edge.clients.shares
    ends = None if body.expires_at is None else Timestamp(seconds=body.expires_at)
    answer = await shares.call(
        shares.stub.CreateShare, pb.CreateShareRequest(conversation_id=conversation_id, expire_time=ends)
    )
    return Share.from_proto(answer.share, public_url=edge.settings.public_url)


@router.get("/shares")
async def list_shares(
    query: Annotated[SharesQuery, Query()], edge: CurrentEdge, _: AdmittedCaller
) -> ListObject[Share]:
    """List the caller's shares, newest first unless `order` is `asc`. Those that have expired are listed as well."""
    shares = edge.clients.shares
    answer = await shares.call(
        shares.stub.ListShares, pb.ListSharesRequest(conversation_id=query.conversation_id, page=query.to_proto())
    )
    public_url = edge.settings.public_url
    page = [Share.from_proto(share, public_url=public_url) for share in answer.shares]
    return ListObject[Share].of(page, has_more=answer.has_more)


@router.get("/shares/{share_id}")
async def get_share(share_id: ShareId, edge: CurrentEdge, _: AdmittedCaller) -> Share:
    """Get one of the caller's shares."""
    shares = edge.clients.shares
    answer = await shares.call(shares.stub.GetShare, pb.GetShareRequest(share_id=share_id))
    return Share.from_proto(answer.share, public_url=edge.settings.public_url)


@router.delete("/shares/{share_id}")
async def delete_share(share_id: ShareId, clients: CurrentClients, _: AdmittedCaller) -> DeletedShare:
    """End a share, everywhere and at once."""
    await clients.shares.call(clients.shares.stub.DeleteShare, pb.DeleteShareRequest(share_id=share_id))
    return DeletedShare(id=share_id)


@router.get(
    "/shares/{share_id}/items",
    dependencies=[Depends(admit_anybody)],
    responses=documented(ListObject[SharedMessage]),
)
async def list_shared_items(
    share_id: ShareId, query: Annotated[SharedItemsQuery, Query()], clients: CurrentClients
) -> Response:
    """List what user and model said in a shared conversation, oldest first unless `order` is `desc`. Needs no token."""
    shares = clients.shares
    answer = await shares.call(
        shares.stub.ListSharedItems, pb.ListSharedItemsRequest(share_id=share_id, page=query.to_proto())
    )
    page = list_of_items(answer.items, has_more=answer.has_more)
    # Whatever keeps a copy would go on showing a share that has ended.
    page.headers["cache-control"] = "no-store"
    return page
