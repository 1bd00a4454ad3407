"""Bodies that are read as they arrive, because they are larger than a request may be in memory."""

import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, cast

from fastapi import Request
from fastapi.responses import Response

from rostra_gateway.dependencies import get_edge
from rostra_gateway.idempotency.route import IdempotentRoute
from rostra_gateway.request_body import BodyBounds, body_of

_PEEKED_BYTES = 64 * 1024
_KEY = "rostra.upload"


class Upload:
    """A body on its way; its beginning can be looked at before the rest is wanted."""

    def __init__(self, request: Request) -> None:
        self._arriving = request.stream()
        self._peeked: list[bytes] = []
        self._hash = hashlib.sha256()

    async def peek(self) -> bytes:
        """Return the first 64 KiB, or the whole body where that is shorter."""
        size = sum(map(len, self._peeked))
        while size < _PEEKED_BYTES:
            piece = await anext(self._arriving, None)
            if piece is None:
                break
            self._peeked.append(piece)
            size += len(piece)
        return b"".join(self._peeked)[:_PEEKED_BYTES]

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the whole body, once.

        Raises:
            ClientDisconnect: The client left before it was whole.
        """
        while self._peeked:
            piece = self._peeked.pop(0)
            self._hash.update(piece)
            yield piece
        async for piece in self._arriving:
            self._hash.update(piece)
            yield piece

    async def digest(self) -> str:
        """Return a digest of the whole body, after reading what nobody has read of it."""
        async for _ in self.pieces():
            pass
        return self._hash.hexdigest()


class UploadRoute(IdempotentRoute):
    """A route whose bodies are uploads, with bounds of their own.

    A key is looked up when a body's first 64 KiB are there. If these, and the length that is announced, are those of a
    request before, the rest is read, and compared by its digest, before that one's answer is given. Refusals are not
    kept: they come before the body is whole.
    """

    keeps_refusals = False

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            settings = (await get_edge(request)).settings.imports
            body_of(request.scope).bounds = BodyBounds(settings.max_body_bytes, settings.max_upload_seconds)
            return await handler(request)

        return handle

    async def told(self, request: Request) -> bytes:
        """Return what tells uploads apart."""
        return request.headers.get("content-length", "").encode() + b"\n" + await upload_of(request).peek()

    async def digest(self, request: Request) -> str:
        """Return a digest of the whole upload."""
        return await upload_of(request).digest()

    async def patient(self, request: Request) -> Request:
        """Return the request: once its body is there, nobody asks whether the client still is."""
        return request


def upload_of(request: Request) -> Upload:
    """Return the upload that is the body of `request`."""
    return cast(Upload, request.scope.setdefault(_KEY, Upload(request)))
