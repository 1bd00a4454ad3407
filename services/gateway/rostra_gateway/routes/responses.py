"""Responses: OpenAI's stateful way to run a model."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.history.v1 import history_service_pb2 as history_pb
from rostra.history.v1.response_pb2 import ResponseStatus
from rostra_gateway.background_responses import enqueue, enqueue_to_stream, follow
from rostra_gateway.dependencies import (
    AdmittedCaller,
    AuthenticatedCaller,
    CurrentClients,
    CurrentEdge,
    CurrentExchange,
    Edge,
)
from rostra_gateway.disconnect import while_connected
from rostra_gateway.event_stream import open_event_stream, response_error_frame
from rostra_gateway.exchange import Exchange, add_limits
from rostra_gateway.idempotency.route import IdempotentRoute
from rostra_gateway.lists import PageQuery, list_of_items
from rostra_gateway.model_requests import ModelRequest, read_model_request
from rostra_gateway.openapi import STREAMABLE, request_body
from rostra_gateway.path_ids import ResponseId
from rostra_gateway.schemas.response import ResponseRequest, RetrieveResponseQuery

router = APIRouter(prefix="/v1/responses", tags=["Responses"], route_class=IdempotentRoute)

# Chat waits up to ten seconds for the runner to hear of it.
_CANCEL_SECONDS = 20.0


@router.post("", openapi_extra=request_body(ResponseRequest), responses=STREAMABLE)
async def create_response(
    request: Request, edge: CurrentEdge, exchange: CurrentExchange, caller: AuthenticatedCaller
) -> Response:
    """Run a model on the input, after the context that it continues; stored unless `store` is false.

    With `background: true` it is queued and runs whether the client stays or not.
    """
    call = await read_model_request(
        request, ResponseRequest, edge=edge, exchange=exchange, caller=caller, list_field="input"
    )
    if call.body.background:
        return await _create_in_background(request, call, edge=edge, exchange=exchange)
    chat = edge.clients.chat
    if call.slots:
        pieces = chat.stream(
            chat.stub.StreamResponse,
            pb.StreamResponseRequest(model=call.body.model, body=call.raw, state=_state(call.body)),
        )
        return await open_event_stream(
            request,
            pieces,
            slots=call.slots,
            exchange=exchange,
            error_frame=response_error_frame,
            heartbeat_seconds=edge.settings.heartbeat_seconds,
            metrics=edge.metrics,
        )
    answer = await while_connected(
        request,
        chat.call(
            chat.stub.CreateResponse,
            _creation(call),
            timeout_seconds=edge.settings.request.max_seconds,
        ),
    )
    add_limits(exchange, answer.limits)
    return Response(answer.body, media_type="application/json")


@router.get("/{response_id}", responses=STREAMABLE)
async def get_response(
    request: Request,
    response_id: ResponseId,
    query: Annotated[RetrieveResponseQuery, Query()],
    edge: CurrentEdge,
    exchange: CurrentExchange,
    caller: AdmittedCaller,
) -> Response:
    """Get a stored response with its output; with `stream=true`, the events of one that runs in the background.

    The events begin with the first, or after `starting_after`, and end with the response.
    """
    if query.stream:
        slots = await edge.admission.open_stream(caller, exchange)
        return await follow(
            request, response_id, slots=slots, edge=edge, exchange=exchange, starting_after=query.starting_after
        )
    history = edge.clients.history
    answer = await history.call(history.stub.GetResponse, history_pb.GetResponseRequest(response_id=response_id))
    body = orjson.loads(answer.response.body)
    # The body is as it was stored when the response began, or ended; what happened between is told by the status.
    body["status"] = ResponseStatus.Name(answer.response.status).removeprefix("RESPONSE_STATUS_").lower()
    body["output"] = [orjson.Fragment(item.body) for item in answer.output]
    return Response(orjson.dumps(body), media_type="application/json")


@router.post("/{response_id}/cancel")
async def cancel_response(response_id: ResponseId, clients: CurrentClients, _: AdmittedCaller) -> Response:
    """Cancel a response that runs in the background. One that has ended is answered as it is."""
    chat = clients.chat
    answer = await chat.call(
        chat.stub.CancelResponse, pb.CancelResponseRequest(response_id=response_id), timeout_seconds=_CANCEL_SECONDS
    )
    return Response(answer.body, media_type="application/json")


@router.delete("/{response_id}")
async def delete_response(response_id: ResponseId, clients: CurrentClients, _: AdmittedCaller) -> dict[str, Any]:
    """Delete a stored response. What it left in a conversation stays there."""
    history = clients.history
    await history.call(history.stub.DeleteResponse, history_pb.DeleteResponseRequest(response_id=response_id))
    return {"id": response_id, "object": "response", "deleted": True}


@router.get("/{response_id}/input_items")
async def list_input_items(
    response_id: ResponseId, page: Annotated[PageQuery, Query()], clients: CurrentClients, _: AdmittedCaller
) -> Response:
    """List the items that a response was given as input, newest first unless `order` is `asc`."""
    history = clients.history
    answer = await history.call(
        history.stub.ListInputItems,
        history_pb.ListInputItemsRequest(response_id=response_id, page=page.to_proto()),
    )
    return list_of_items(answer.items, has_more=answer.has_more)


async def _create_in_background(
    request: Request, call: ModelRequest[ResponseRequest], *, edge: Edge, exchange: Exchange
) -> Response:
    chat = edge.clients.chat
    if call.slots is None:
        return Response(await enqueue(chat, _creation(call)), media_type="application/json")
    # A request that is sent again under its `Idempotency-Key` follows the response that it made before.
    if not exchange.followed_response_id:
        exchange.followed_response_id = await enqueue_to_stream(chat, _creation(call), slots=call.slots)
    return await follow(request, exchange.followed_response_id, slots=call.slots, edge=edge, exchange=exchange)


def _creation(call: ModelRequest[ResponseRequest]) -> pb.CreateResponseRequest:
    return pb.CreateResponseRequest(model=call.body.model, body=call.raw, state=_state(call.body))


def _state(body: ResponseRequest) -> pb.ResponseState:
    return pb.ResponseState(
        previous_response_id=body.previous_response_id or "",
        conversation_id=body.conversation_id(),
        store=body.store is not False,
        background=body.background is True,
    )
