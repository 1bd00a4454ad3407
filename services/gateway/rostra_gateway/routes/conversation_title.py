"""A conversation's title, made by a model. OpenAI has no such endpoint."""

from fastapi import APIRouter, Request

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.history.v1 import history_service_pb2 as history_pb
from rostra_gateway.dependencies import AuthenticatedCaller, CurrentEdge, CurrentExchange
from rostra_gateway.disconnect import while_connected
from rostra_gateway.exchange import add_limits
from rostra_gateway.idempotency.route import IdempotentRoute
from rostra_gateway.model_requests import read_whole_request
from rostra_gateway.openapi import request_body
from rostra_gateway.path_ids import ConversationId
from rostra_gateway.schemas.conversation import Conversation, GenerateTitleRequest

router = APIRouter(prefix="/v1/conversations", tags=["Conversations"], route_class=IdempotentRoute)


@router.post("/{conversation_id}/title", openapi_extra=request_body(GenerateTitleRequest))
async def generate_title(
    request: Request,
    conversation_id: ConversationId,
    edge: CurrentEdge,
    exchange: CurrentExchange,
    caller: AuthenticatedCaller,
) -> Conversation:
    """Let a model name a conversation after its first turn, whatever it was called until now."""
    call = await read_whole_request(request, GenerateTitleRequest, edge=edge, exchange=exchange, caller=caller)
    chat, history = edge.clients.chat, edge.clients.history
    answer = await while_connected(
        request,
        chat.call(
            chat.stub.GenerateTitle,
            pb.GenerateTitleRequest(conversation_id=conversation_id, model=call.body.model),
            timeout_seconds=edge.settings.request.max_seconds,
        ),
    )
    add_limits(exchange, answer.limits)
    found = await history.call(
        history.stub.GetConversation, history_pb.GetConversationRequest(conversation_id=conversation_id)
    )
    return Conversation.from_proto(found.conversation)
