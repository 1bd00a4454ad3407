"""What stands beside making responses: counting an input, and making it shorter."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra_gateway.dependencies import AuthenticatedCaller, CurrentEdge, CurrentExchange
from rostra_gateway.disconnect import while_connected
from rostra_gateway.exchange import add_limits
from rostra_gateway.idempotency.route import IdempotentRoute
from rostra_gateway.model_requests import read_whole_request
from rostra_gateway.openapi import documented, request_body
from rostra_gateway.schemas.response_tools import CompactRequest, InputTokens, InputTokensRequest, ResponseCompaction

router = APIRouter(prefix="/v1/responses", tags=["Responses"], route_class=IdempotentRoute)


@router.post("/input_tokens", openapi_extra=request_body(InputTokensRequest, required=False))
async def count_input_tokens(
    request: Request, edge: CurrentEdge, exchange: CurrentExchange, caller: AuthenticatedCaller
) -> InputTokens:
    """Count the tokens that a response would be given, its context included: the estimate that is reserved for one."""
    call = await read_whole_request(
        request, InputTokensRequest, edge=edge, exchange=exchange, caller=caller, list_field="input"
    )
    chat = edge.clients.chat
    answer = await chat.call(
        chat.stub.CountInputTokens, pb.CountInputTokensRequest(body=call.raw, state=_state(call.body))
    )
    return InputTokens(input_tokens=answer.input_tokens)


@router.post("/compact", openapi_extra=request_body(CompactRequest), responses=documented(ResponseCompaction))
async def compact_response(
    request: Request, edge: CurrentEdge, exchange: CurrentExchange, caller: AuthenticatedCaller
) -> Response:
    """Make a long input short: the newest of the user's messages, and an item that stands for all the rest."""
    call = await read_whole_request(
        request, CompactRequest, edge=edge, exchange=exchange, caller=caller, list_field="input"
    )
    chat = edge.clients.chat
    answer = await while_connected(
        request,
        chat.call(
            chat.stub.CompactResponse,
            pb.CompactResponseRequest(model=call.body.model, body=call.raw, state=_state(call.body)),
            timeout_seconds=edge.settings.request.max_seconds,
        ),
    )
    add_limits(exchange, answer.limits)
    return Response(answer.body, media_type="application/json")


def _state(body: InputTokensRequest | CompactRequest) -> pb.ResponseState:
    return pb.ResponseState(
        previous_response_id=body.previous_response_id or "", conversation_id=body.conversation_id()
    )
