"""The arrival of a request's body: bounded in size and in time, for routes that say so by bounds of their own."""

import asyncio
from dataclasses import dataclass
from typing import cast

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_gateway.settings import RequestSettings
from rostra_kit.errors import InvalidArgumentError


class RequestTooLarge(InvalidArgumentError):
    """The request's body is larger than is accepted."""

    default_reason = ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE


@dataclass(frozen=True, slots=True)
class BodyBounds:
    """How large a body may be, and how long it may take to arrive."""

    max_bytes: int
    max_seconds: float


class RequestBody:
    """Receives a request's body, in place of the server's `receive`.

    Attributes:
        bounds: Those of the body; a route may replace them until it reads.
    """

    def __init__(self, receive: Receive, scope: Scope, settings: RequestSettings) -> None:
        headers = dict(scope["headers"])
        announced = headers.get(b"content-length", b"")
        self._announced_bytes = int(announced) if announced.isdigit() else 0
        self._expects_continue = headers.get(b"expect", b"").lower() == b"100-continue"
        self._encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        self._receive = receive
        self.bounds = BodyBounds(settings.max_body_bytes, settings.max_upload_seconds)
        self._began = asyncio.get_running_loop().time()
        self._received_bytes = 0
        self._asked = False
        self._complete = False

    @property
    def withheld(self) -> bool:
        """Tell whether the client waits to be asked for the body and never was: the connection is of no more use."""
        return self._expects_continue and not self._asked

    async def __call__(self) -> Message:
        """Receive the next message.

        Raises:
            RequestTooLarge: The body has, or will have, more bytes than is accepted.
            HTTPException: The body does not arrive in time, or is compressed.
        """
        if self._announced_bytes > self.bounds.max_bytes:
            raise self._too_large()
        self._asked = True
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._began + self.bounds.max_seconds):
                message = await self._receive()
        except TimeoutError as error:
            raise HTTPException(408, "The rest of the request did not arrive.", {"connection": "close"}) from error
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes and self._encoding != b"identity":
            # Nothing is ever decompressed, so that no body can grow after it was measured.
            raise HTTPException(415, "Send the request body without Content-Encoding.", {"accept-encoding": "identity"})
        if self._received_bytes > self.bounds.max_bytes:
            raise self._too_large()
        self._complete = not message.get("more_body", False)
        return message

    def _too_large(self) -> RequestTooLarge:
        return RequestTooLarge(f"The request body is larger than {self.bounds.max_bytes} bytes.")


def body_of(scope: Scope) -> RequestBody:
    """Return the arrival of the body of this request."""
    return cast(RequestBody, scope["rostra.body"])
