"""Chat completions, streamed or whole."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra_gateway.dependencies import AuthenticatedCaller, CurrentEdge, CurrentExchange
from rostra_gateway.disconnect import while_connected
from rostra_gateway.event_stream import completion_error_frame, open_event_stream
from rostra_gateway.exchange import add_limits
from rostra_gateway.idempotency.route import IdempotentRoute
from rostra_gateway.model_requests import read_model_request
from rostra_gateway.openapi import STREAMABLE, request_body
from rostra_gateway.schemas.chat_completion import ChatCompletionRequest

router = APIRouter(prefix="/v1/chat/completions", tags=["Chat completions"], route_class=IdempotentRoute)


@router.post("", openapi_extra=request_body(ChatCompletionRequest), responses=STREAMABLE)
async def create_chat_completion(
    request: Request, edge: CurrentEdge, exchange: CurrentExchange, caller: AuthenticatedCaller
) -> Response:
    """Answer a chat; with `stream: true`, as server-sent events that end with `data: [DONE]`.

    With `store: true` the answer is stored when that is told.
    """
    call = await read_model_request(
        request, ChatCompletionRequest, edge=edge, exchange=exchange, caller=caller, list_field="messages"
    )
    chat = edge.clients.chat
    asked: dict[str, Any] = {"model": call.body.model, "body": call.raw, "store": call.body.store is True}
    if call.slots:
        pieces = chat.stream(chat.stub.StreamChatCompletion, pb.StreamChatCompletionRequest(**asked))
        return await open_event_stream(
            request,
            pieces,
            slots=call.slots,
            exchange=exchange,
            error_frame=completion_error_frame,
            heartbeat_seconds=edge.settings.heartbeat_seconds,
            metrics=edge.metrics,
        )
    answer = await while_connected(
        request,
        chat.call(
            chat.stub.CreateChatCompletion,
            pb.CreateChatCompletionRequest(**asked),
            timeout_seconds=edge.settings.request.max_seconds,
        ),
    )
    add_limits(exchange, answer.limits)
    return Response(answer.body, media_type="application/json")
