"""Files that are written while they are made: nobody waits for the end, and memory holds one piece.

A file that breaks off must not look whole. The connection is closed without the end that chunked encoding has, which
every HTTP client reports as an error, and a JSON document lacks its closing brace.
"""

import logging
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from urllib.parse import quote

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rostra_gateway.admission import StreamSlots
from rostra_gateway.disconnect import Connected, while_connected
from rostra_gateway.metrics import FILE, GatewayMetrics
from rostra_kit.errors import AppError
from rostra_kit.status import reason_name

logger = logging.getLogger(__name__)

_LONGEST_NAME = 80
_NO_NAME = re.compile(r"[^\w]+")


class FileStream(Response):
    """A file whose pieces are sent as they come. Build it with `open_file_stream`."""

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        *,
        filename: str,
        media_type: str,
        slots: StreamSlots,
        metrics: GatewayMetrics,
    ) -> None:
        headers = {"content-disposition": filename, "cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(headers=headers, media_type=media_type)
        del self.headers["content-length"]
        self._pieces = pieces
        self._slots = slots
        self._metrics = metrics

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Write the file."""
        with self._metrics.open_streams.track_inprogress():
            async with self._slots.held(), aclosing(self._pieces):
                with suppress(ClientDisconnect), Connected(receive):
                    await self._send(send)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for piece in self._pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except AppError as error:
            self._metrics.broken_streams.labels(FILE).inc()
            logger.warning("a file broke off: %s", reason_name(error.reason))
        except Exception:
            self._metrics.broken_streams.labels(FILE).inc()
            logger.exception("unforeseen error in a file")
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def open_file_stream(
    request: Request,
    pieces: AsyncGenerator[bytes, None],
    *,
    filename: str,
    media_type: str,
    slots: StreamSlots,
    metrics: GatewayMetrics,
) -> FileStream:
    """Return the stream of `pieces` once the first is there: until then an error is an HTTP status.

    Args:
        request: The request; its client may leave.
        pieces: The file.
        filename: The header that names it: see `attachment`.
        media_type: What it is.
        slots: Those of the stream; they are given back at its end.
        metrics: Counts it.

    Raises:
        AppError: The file cannot be had.
        ClientDisconnect: The client left.
    """
    try:
        first = await while_connected(request, _first(pieces))
    except BaseException:
        await pieces.aclose()
        await slots.release()
        raise
    return FileStream(_chain(first, pieces), filename=filename, media_type=media_type, slots=slots, metrics=metrics)


def attachment(title: str, *, otherwise: str, suffix: str) -> str:
    """Return the header that has a client store the answer under a name made of `title`, whatever is in that.

    Args:
        title: Words for people.
        otherwise: The name where the title has no letters.
        suffix: The name's end, for example `.json`.
    """
    name = _NO_NAME.sub("-", title).strip("-_")[:_LONGEST_NAME] or otherwise
    plain = _NO_NAME.sub("-", name.encode("ascii", "ignore").decode()).strip("-_") or otherwise
    encoded = quote(name.encode(errors="ignore"), safe="")
    return f"attachment; filename=\"{plain}{suffix}\"; filename*=UTF-8''{encoded}{suffix}"


async def _first(pieces: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(pieces)


async def _chain(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        yield first
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()
