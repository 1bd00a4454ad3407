"""The gRPC side of the history service: translate, call, translate. Errors pass through untouched."""
# ruff: noqa: ARG002 - gRPC fixes the parameters of every RPC, used or not

from __future__ import annotations  # grpc's types are generic only for the type checker

from typing import TYPE_CHECKING, Any

import grpc

from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceServicer
from rostra_history.feedback_mapping import feedback_message, listed_messages, rating_of
from rostra_history.feedback_service import FeedbackService
from rostra_history.import_mapping import imported_conversation
from rostra_history.import_service import ImportService
from rostra_history.mapping import (
    attempt_of,
    branch_point_message,
    branch_point_of,
    claim_message,
    conversation_changes,
    conversation_filter,
    conversation_message,
    fork_message,
    item_messages,
    item_view,
    lease_of,
    lease_us_of,
    match_message,
    member_message,
    member_messages,
    new_items,
    new_job,
    page_of,
    parsed_bodies,
    renewal_message,
    required,
    response_body,
    response_message,
    response_status,
)
from rostra_history.queue_service import QueueService
from rostra_history.search_service import SearchService
from rostra_history.service import HistoryService
from rostra_kit.context import current_caller

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]


class HistoryServicer(HistoryServiceServicer):
    """Serves `rostra.history.v1.HistoryService` for the caller of each RPC; runners' RPCs need none."""

    def __init__(
        self,
        service: HistoryService,
        queue: QueueService,
        feedback: FeedbackService,
        search: SearchService,
        imports: ImportService,
    ) -> None:
        self._service = service
        self._queue = queue
        self._feedback = feedback
        self._search = search
        self._imports = imports

    async def CreateConversation(
        self, request: pb.CreateConversationRequest, context: Context
    ) -> pb.CreateConversationResponse:
        """See the contract in history_service.proto."""
        conversation = await self._service.create_conversation(
            owner=_owner(), metadata=request.metadata, items=parsed_bodies(request.items)
        )
        return pb.CreateConversationResponse(conversation=conversation_message(conversation))

    async def GetConversation(self, request: pb.GetConversationRequest, context: Context) -> pb.GetConversationResponse:
        """See the contract in history_service.proto."""
        conversation = await self._service.get_conversation(owner=_owner(), conversation_id=request.conversation_id)
        return pb.GetConversationResponse(conversation=conversation_message(conversation))

    async def ListConversations(
        self, request: pb.ListConversationsRequest, context: Context
    ) -> pb.ListConversationsResponse:
        """See the contract in history_service.proto."""
        page = await self._service.list_conversations(
            owner=_owner(), wanted=conversation_filter(request), page=page_of(request.page)
        )
        return pb.ListConversationsResponse(
            conversations=map(conversation_message, page.elements), has_more=page.has_more
        )

    async def UpdateConversation(
        self, request: pb.UpdateConversationRequest, context: Context
    ) -> pb.UpdateConversationResponse:
        """See the contract in history_service.proto."""
        conversation = await self._service.update_conversation(
            owner=_owner(), conversation_id=request.conversation_id, changes=conversation_changes(request)
        )
        return pb.UpdateConversationResponse(conversation=conversation_message(conversation))

    async def DeleteConversation(
        self, request: pb.DeleteConversationRequest, context: Context
    ) -> pb.DeleteConversationResponse:
        """See the contract in history_service.proto."""
        await self._service.delete_conversation(owner=_owner(), conversation_id=request.conversation_id)
        return pb.DeleteConversationResponse()

    async def SearchConversations(
        self, request: pb.SearchConversationsRequest, context: Context
    ) -> pb.SearchConversationsResponse:
        """See the contract in history_service.proto."""
        page = await self._search.search(owner=_owner(), query=request.query, page=page_of(request.page))
        return pb.SearchConversationsResponse(matches=map(match_message, page.elements), has_more=page.has_more)

    async def ImportConversation(
        self, request: pb.ImportConversationRequest, context: Context
    ) -> pb.ImportConversationResponse:
        """See the contract in history_service.proto."""
        conversation = await self._imports.import_conversation(owner=_owner(), imported=imported_conversation(request))
        return pb.ImportConversationResponse(conversation=conversation_message(conversation))

    async def CreateItems(self, request: pb.CreateItemsRequest, context: Context) -> pb.CreateItemsResponse:
        """See the contract in history_service.proto."""
        items = await self._service.create_items(
            owner=_owner(), conversation_id=request.conversation_id, items=parsed_bodies(request.items)
        )
        return pb.CreateItemsResponse(items=member_messages(items))

    async def ListItems(self, request: pb.ListItemsRequest, context: Context) -> pb.ListItemsResponse:
        """See the contract in history_service.proto."""
        page = await self._service.list_items(
            owner=_owner(),
            conversation_id=request.conversation_id,
            view=item_view(request.view),
            page=page_of(request.page),
        )
        return pb.ListItemsResponse(items=listed_messages(page.elements), has_more=page.has_more)

    async def ListForks(self, request: pb.ListForksRequest, context: Context) -> pb.ListForksResponse:
        """See the contract in history_service.proto."""
        forks = await self._service.list_forks(owner=_owner(), conversation_id=request.conversation_id)
        return pb.ListForksResponse(forks=map(fork_message, forks))

    async def GetItem(self, request: pb.GetItemRequest, context: Context) -> pb.GetItemResponse:
        """See the contract in history_service.proto."""
        item = await self._service.get_item(
            owner=_owner(), conversation_id=request.conversation_id, item_id=request.item_id
        )
        return pb.GetItemResponse(item=member_message(item))

    async def DeleteItem(self, request: pb.DeleteItemRequest, context: Context) -> pb.DeleteItemResponse:
        """See the contract in history_service.proto."""
        conversation = await self._service.delete_item(
            owner=_owner(), conversation_id=request.conversation_id, item_id=request.item_id
        )
        return pb.DeleteItemResponse(conversation=conversation_message(conversation))

    async def UpdateFeedback(self, request: pb.UpdateFeedbackRequest, context: Context) -> pb.UpdateFeedbackResponse:
        """See the contract in history_service.proto."""
        feedback = await self._feedback.update(
            owner=_owner(),
            conversation_id=request.conversation_id,
            item_id=request.item_id,
            rating=rating_of(request.feedback),
            comment=request.feedback.comment,
        )
        return pb.UpdateFeedbackResponse(feedback=feedback_message(feedback))

    async def GetFeedback(self, request: pb.GetFeedbackRequest, context: Context) -> pb.GetFeedbackResponse:
        """See the contract in history_service.proto."""
        feedback = await self._feedback.get(
            owner=_owner(), conversation_id=request.conversation_id, item_id=request.item_id
        )
        return pb.GetFeedbackResponse(feedback=feedback_message(feedback))

    async def DeleteFeedback(self, request: pb.DeleteFeedbackRequest, context: Context) -> pb.DeleteFeedbackResponse:
        """See the contract in history_service.proto."""
        await self._feedback.delete(owner=_owner(), conversation_id=request.conversation_id, item_id=request.item_id)
        return pb.DeleteFeedbackResponse()

    async def LoadContext(self, request: pb.LoadContextRequest, context: Context) -> pb.LoadContextResponse:
        """See the contract in history_service.proto."""
        loaded = await self._service.load_context(
            owner=_owner(),
            previous_response_id=request.previous_response_id,
            conversation_id=request.conversation_id,
            item_ids=request.item_ids,
            response_id=request.response_id,
        )
        return pb.LoadContextResponse(
            items=item_messages(loaded.items),
            referenced_items=item_messages(loaded.referenced),
            branch_point=branch_point_message(loaded.branch_point),
        )

    async def CreateResponse(self, request: pb.CreateResponseRequest, context: Context) -> pb.CreateResponseResponse:
        """See the contract in history_service.proto."""
        await self._service.create_response(
            owner=_owner(),
            response_id=required(request.response.id, param="response.id"),
            previous_response_id=request.response.previous_response_id,
            conversation_id=request.response.conversation_id,
            body=response_body(request.response),
            items=new_items(request.input, param="input"),
            job=new_job(request),
            branch_point=branch_point_of(request),
            lease_us=lease_us_of(request.lease_duration) if request.HasField("lease_duration") else None,
        )
        return pb.CreateResponseResponse()

    async def FinishResponse(self, request: pb.FinishResponseRequest, context: Context) -> pb.FinishResponseResponse:
        """See the contract in history_service.proto."""
        await self._service.finish_response(
            owner=_owner(),
            response_id=request.response.id,
            status=response_status(request.response.status),
            body=response_body(request.response),
            items=new_items(request.output, param="output"),
            attempt=attempt_of(request),
        )
        return pb.FinishResponseResponse()

    async def ClaimResponse(self, request: pb.ClaimResponseRequest, context: Context) -> pb.ClaimResponseResponse:
        """See the contract in history_service.proto."""
        return claim_message(await self._queue.claim(lease_us=lease_us_of(request.lease_duration)))

    async def RenewLeases(self, request: pb.RenewLeasesRequest, context: Context) -> pb.RenewLeasesResponse:
        """See the contract in history_service.proto."""
        renewal = await self._queue.renew(
            [lease_of(lease) for lease in request.leases], lease_us=lease_us_of(request.lease_duration)
        )
        return renewal_message(renewal)

    async def ReleaseResponse(self, request: pb.ReleaseResponseRequest, context: Context) -> pb.ReleaseResponseResponse:
        """See the contract in history_service.proto."""
        await self._queue.release(lease_of(request.lease))
        return pb.ReleaseResponseResponse()

    async def CancelResponse(self, request: pb.CancelResponseRequest, context: Context) -> pb.CancelResponseResponse:
        """See the contract in history_service.proto."""
        response = await self._queue.cancel(owner=_owner(), response_id=request.response_id)
        return pb.CancelResponseResponse(response=response_message(response))

    async def GetResponse(self, request: pb.GetResponseRequest, context: Context) -> pb.GetResponseResponse:
        """See the contract in history_service.proto."""
        response, output = await self._service.get_response(owner=_owner(), response_id=request.response_id)
        return pb.GetResponseResponse(response=response_message(response), output=item_messages(output))

    async def ListResponses(self, request: pb.ListResponsesRequest, context: Context) -> pb.ListResponsesResponse:
        """See the contract in history_service.proto."""
        page = await self._service.list_responses(owner=_owner(), page=page_of(request.page))
        return pb.ListResponsesResponse(responses=map(response_message, page.elements), has_more=page.has_more)

    async def DeleteResponse(self, request: pb.DeleteResponseRequest, context: Context) -> pb.DeleteResponseResponse:
        """See the contract in history_service.proto."""
        await self._service.delete_response(owner=_owner(), response_id=request.response_id)
        return pb.DeleteResponseResponse()

    async def ListInputItems(self, request: pb.ListInputItemsRequest, context: Context) -> pb.ListInputItemsResponse:
        """See the contract in history_service.proto."""
        page = await self._service.list_input_items(
            owner=_owner(), response_id=request.response_id, page=page_of(request.page)
        )
        return pb.ListInputItemsResponse(items=item_messages(page.elements), has_more=page.has_more)

    async def DeleteUserData(self, request: pb.DeleteUserDataRequest, context: Context) -> pb.DeleteUserDataResponse:
        """See the contract in history_service.proto."""
        await self._service.delete_user_data(owner=_owner())
        return pb.DeleteUserDataResponse()


def _owner() -> str:
    return current_caller().user_id
