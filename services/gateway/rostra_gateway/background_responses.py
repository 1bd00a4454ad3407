"""Responses that run in the background: queued with chat, and followed from any gateway."""

from functools import partial
from typing import TYPE_CHECKING

import orjson
from fastapi import Request

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra_gateway.admission import StreamSlots
from rostra_gateway.dependencies import Edge
from rostra_gateway.event_stream import EventStream, open_event_stream, response_error_frame
from rostra_gateway.exchange import Exchange
from rostra_kit.client import ServiceClient
from rostra_kit.errors import UnavailableError
from rostra_kit.tasks import uninterrupted

if TYPE_CHECKING:
    from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceAsyncStub

    ChatClient = ServiceClient[ChatServiceAsyncStub]


async def enqueue(chat: "ChatClient", creation: pb.CreateResponseRequest) -> bytes:
    """Queue a response and return it, as JSON. A client that leaves meanwhile does not end this.

    Raises:
        AppError: The request is wrong, or chat or history is away.
    """
    return (await chat.call(chat.stub.CreateResponse, creation)).body


async def enqueue_to_stream(chat: "ChatClient", creation: pb.CreateResponseRequest, *, slots: StreamSlots) -> str:
    """Queue a response whose events are to be streamed and return its id; without one, give the slots back.

    Raises:
        AppError: As `enqueue` does, or Redis is away, through which the events come: nothing is queued then.
    """
    try:
        _require_events(slots)
        response = orjson.loads(await enqueue(chat, creation))
    except BaseException:
        await uninterrupted(slots.release())
        raise
    return str(response["id"])


async def follow(
    request: Request,
    response_id: str,
    *,
    slots: StreamSlots,
    edge: Edge,
    exchange: Exchange,
    starting_after: int | None = None,
) -> EventStream:
    """Stream the events of a response, from its first one or after another. The response outlives the stream.

    Raises:
        AppError: There is no such response, or its events are not kept.
        ClientDisconnect: The client left.
    """
    chat = edge.clients.chat
    error_frame = response_error_frame
    if starting_after is not None:
        error_frame = partial(response_error_frame, starting_after=starting_after)
    return await open_event_stream(
        request,
        chat.stream(
            chat.stub.FollowResponse, pb.FollowResponseRequest(response_id=response_id, starting_after=starting_after)
        ),
        slots=slots,
        exchange=exchange,
        error_frame=error_frame,
        heartbeat_seconds=edge.settings.heartbeat_seconds,
        metrics=edge.metrics,
    )


def _require_events(slots: StreamSlots) -> None:
    if slots.is_redis_away:
        raise UnavailableError("The events of a response cannot be streamed right now.", retry_after_seconds=1)
