"""The arrival of a request's body: bounded in size and in time."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_gateway.settings import RequestSettings
from rostra_kit.errors import InvalidArgumentError


class RequestTooLarge(InvalidArgumentError):
    """The request's body is larger than is accepted."""

    default_reason = ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE


class RequestBody:
    """Receives a request's body, in place of the server's `receive`."""

    def __init__(self, receive: Receive, scope: Scope, settings: RequestSettings) -> None:
        headers = dict(scope["headers"])
        announced = headers.get(b"content-length", b"")
        self._announced_bytes = int(announced) if announced.isdigit() else 0
        self._expects_continue = headers.get(b"expect", b"").lower() == b"100-continue"
        self._receive = receive
        self._settings = settings
        self._deadline = asyncio.get_running_loop().time() + settings.max_upload_seconds
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
            HTTPException: The body does not arrive in time.
        """
        if self._announced_bytes > self._settings.max_body_bytes:
            raise self._too_large()
        self._asked = True
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as error:
            raise HTTPException(408, "The rest of the request did not arrive.", {"connection": "close"}) from error
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > self._settings.max_body_bytes:
            raise self._too_large()
        self._complete = not message.get("more_body", False)
        return message

    def _too_large(self) -> RequestTooLarge:
        return RequestTooLarge(f"The request body is larger than {self._settings.max_body_bytes} bytes.")
