"""Writes a stream of server-sent events: frames as they come, a comment when it is silent, an error when it breaks."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

import orjson
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from rostra_gateway.admission import StreamSlots
from rostra_gateway.disconnect import Connected, while_connected
from rostra_gateway.exchange import Exchange, add_limits
from rostra_gateway.metrics import GatewayMetrics
from rostra_gateway.problems import error_body
from rostra_kit.errors import AppError, InternalError, UnavailableError
from rostra_kit.status import reason_name
from rostra_kit.tasks import Every

logger = logging.getLogger(__name__)

HEARTBEAT = b": heartbeat\n\n"
_SEQUENCE_NUMBER = re.compile(rb'"sequence_number":\s*(\d+)')
_LAST_WORDS_SECONDS = 1.0
_END: Message = {"type": "http.response.body", "body": b"", "more_body": False}
_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


class Piece(Protocol):
    """A message of one of chat's streams; the first of a new run has `limits` as well."""

    @property
    def frames(self) -> bytes:
        """Return whole frames, ready for the wire."""


PieceT = TypeVar("PieceT", bound=Piece)
ErrorFrame = Callable[[AppError, bytes], bytes]


class EventStream(Response):
    """A response that streams the pieces of `pieces` until they end, the client leaves or something breaks.

    Build it with `open_event_stream`, which waits for the first piece: until then an error is an HTTP status.

    Attributes:
        broken: Whether it ended with an error event.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        pieces: AsyncGenerator[Piece, None],
        *,
        slots: StreamSlots,
        exchange: Exchange,
        error_frame: ErrorFrame,
        heartbeat_seconds: float,
        metrics: GatewayMetrics,
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._pieces = pieces
        self._slots = slots
        self._exchange = exchange
        self._error_frame = error_frame
        self._heartbeat_seconds = heartbeat_seconds
        self._metrics = metrics
        self.broken = False
        self._wrote = False
        self._last = b""

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Write the stream."""
        is_whole = False
        self._exchange.is_stream = True
        with self._metrics.open_streams.track_inprogress():
            try:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                with (
                    suppress(ClientDisconnect),
                    Connected(receive),
                    Every(self._heartbeat_seconds, partial(self._send_heartbeat, send)),
                    Every(self._slots.renewal_seconds, self._slots.renew),
                ):
                    await self._send_pieces(send)
                    is_whole = True
            except asyncio.CancelledError:
                # Not by the client: this process has no time left.
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_WORDS_SECONDS):
                        await self._send_error(UnavailableError("Rostra is restarting.", retry_after_seconds=1), send)
                        await send(_END)
                raise
            finally:
                await close_stream(self._pieces, self._slots)
        if is_whole:
            # Not before its slots are free: whoever knows that it has ended may open the next one.
            await send(_END)

    async def _send_pieces(self, send: Send) -> None:
        try:
            async for piece in self._pieces:
                self._last = piece.frames
                self._wrote = True
                self._exchange.note_first_byte()
                await send({"type": "http.response.body", "body": self._last, "more_body": True})
        except AppError as error:
            await self._send_error(error, send)
        except Exception:
            logger.exception("unforeseen error in a stream")
            await self._send_error(InternalError("Something went wrong inside Rostra."), send)

    async def _send_error(self, error: AppError, send: Send) -> None:
        self.broken = True
        self._exchange.broken = reason_name(error.reason).lower()
        self._metrics.broken_streams.labels(self._exchange.broken).inc()
        await send({"type": "http.response.body", "body": self._error_frame(error, self._last), "more_body": True})

    async def _send_heartbeat(self, send: Send) -> None:
        if not self._wrote:
            await send({"type": "http.response.body", "body": HEARTBEAT, "more_body": True})
        self._wrote = False


async def open_event_stream(
    request: Request,
    pieces: AsyncGenerator[PieceT, None],
    *,
    slots: StreamSlots,
    exchange: Exchange,
    error_frame: ErrorFrame,
    heartbeat_seconds: float,
    metrics: GatewayMetrics,
) -> EventStream:
    """Return the response that streams `pieces`, once the first of them is there.

    When the first piece takes longer than a heartbeat, the stream is opened all the same, so that no proxy on the way
    gives up; an error is then an event.

    Raises:
        AppError: The stream failed before its first piece.
        ClientDisconnect: The client left.
    """
    first = asyncio.ensure_future(anext(pieces))
    try:
        await while_connected(request, asyncio.wait({first}, timeout=heartbeat_seconds))
        if first.done() and not isinstance(first.exception(), StopAsyncIteration):
            add_limits(exchange, getattr(first.result(), "limits", ()))
    except BaseException:
        first.cancel()
        await asyncio.wait({first})
        await close_stream(pieces, slots)
        raise
    return EventStream(
        _chain(first, pieces),
        slots=slots,
        exchange=exchange,
        error_frame=error_frame,
        heartbeat_seconds=heartbeat_seconds,
        metrics=metrics,
    )


async def close_stream(pieces: AsyncGenerator[PieceT, None], slots: StreamSlots) -> None:
    """Cancel what still produces pieces and give the stream's slots back."""
    await pieces.aclose()
    await slots.release()


def completion_error_frame(error: AppError, _last: bytes) -> bytes:
    """Return the frame that ends a broken stream of chat completion chunks."""
    return b"data: " + orjson.dumps({"error": error_body(error)}) + b"\n\n"


def response_error_frame(error: AppError, last: bytes, *, starting_after: int = -1) -> bytes:
    """Return the `error` event that ends a broken stream of response events; it takes the next sequence number.

    OpenAI's event holds the error's fields itself, that of Open Responses an error object: this one is both.

    Args:
        error: What went wrong.
        last: The frames that were written last; empty when there are none.
        starting_after: The sequence number after which the stream began.
    """
    numbers = [int(number) for number in _SEQUENCE_NUMBER.findall(last)] or [starting_after]
    body = error_body(error)
    event = {
        "type": "error",
        "code": body["code"],
        "message": body["message"],
        "param": body["param"],
        "error": body,
        "sequence_number": numbers[-1] + 1,
    }
    return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"


async def _chain(first: asyncio.Future[PieceT], rest: AsyncGenerator[PieceT, None]) -> AsyncGenerator[Piece, None]:
    try:
        try:
            yield await first
        except StopAsyncIteration:
            return
        async for piece in rest:
            yield piece
    finally:
        first.cancel()
        await asyncio.wait({first})
        await rest.aclose()
