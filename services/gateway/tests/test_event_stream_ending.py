"""How a stream ends when its process has no time left."""

import asyncio
from collections.abc import AsyncGenerator

import orjson
import pytest
from prometheus_client import CollectorRegistry

from rostra.chat.v1.chat_service_pb2 import StreamResponseResponse
from rostra_gateway.admission import StreamSlots
from rostra_gateway.event_stream import EventStream, response_error_frame
from rostra_gateway.exchange import Exchange
from rostra_gateway.metrics import GatewayMetrics
from rostra_kit.limits import Grant, LocalLimiter, SlotClaim

FRAME = b'event: x\ndata: {"type":"x","sequence_number":6}\n\n'


async def endless() -> AsyncGenerator[StreamResponseResponse, None]:
    yield StreamResponseResponse(frames=FRAME)
    await asyncio.Event().wait()


async def test_cancelled_stream_ends_with_an_error_event_and_frees_its_slot() -> None:
    limiter = LocalLimiter()
    claim = SlotClaim("streams", "limit:{u}:streams", limit=1)
    grant = await limiter.reserve([claim], reservation_id="one")
    assert isinstance(grant, Grant)
    stream = EventStream(
        endless(),
        slots=StreamSlots(limiter, [grant]),
        exchange=Exchange(request_id="req_1", address="192.0.2.1"),
        error_frame=response_error_frame,
        heartbeat_seconds=60,
        metrics=GatewayMetrics(CollectorRegistry()),
    )
    sent: asyncio.Queue[dict] = asyncio.Queue()

    async def receive() -> dict:
        return await asyncio.Future()

    serving = asyncio.create_task(stream({"type": "http"}, receive, sent.put))
    assert (await sent.get())["type"] == "http.response.start"
    assert (await sent.get())["body"] == FRAME
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    event, data = (await sent.get())["body"].decode().rstrip("\n").split("\n")
    assert event == "event: error"
    told = orjson.loads(data.removeprefix("data: "))
    assert (told["code"], told["sequence_number"]) == ("service_unavailable", 7)
    assert (await sent.get())["more_body"] is False
    assert isinstance(await limiter.reserve([claim], reservation_id="two"), Grant)
