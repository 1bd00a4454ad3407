"""HTTP/1.1 below the application: uvicorn's, with bounds on a request's head and errors in OpenAI's shape.

What is refused here never was a request: it has no id and no line in the log of requests.
"""

import asyncio
from http import HTTPStatus

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rostra_gateway.response_headers import Headers, default_headers

# As much as an Application Load Balancer lets through.
_MAX_HEAD_BYTES = 64 * 1024


class EdgeProtocol(HttpToolsProtocol):
    """One connection of a client.

    Attributes:
        max_head_seconds: How long the head of a request may take to arrive, the first one from the connection's begin.
        refusal_headers: What an answer has that is given here.
    """

    max_head_seconds = 30.0
    refusal_headers: Headers = []  # noqa: RUF012 - uvicorn takes a class, so this is where a value stands
    _head_bytes = 0
    _in_head = False
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to count the head of a request."""
        super().on_message_begin()
        self._head_bytes = 0
        self._in_head = True
        if self._head_timer is None:
            self._start_head_timer()

    def on_headers_complete(self) -> None:
        """End counting: the head has come."""
        self._in_head = False
        self._stop_head_timer()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read what has come; uvicorn itself would keep a head of any size in memory."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._refuse(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's path and headers are too large."
                )
        elif self.cycle is not None and self.cycle.response_complete and self.timeout_keep_alive_task is None:
            # Uvicorn ends the wait for the next request at any byte, also at one that begins none.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.max_head_seconds, self._end_head)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_head(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # The answer to the request before is under way, and must not be cut.
            self._start_head_timer()
        elif self._in_head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request's path and headers took too long to arrive.")
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": "invalid_value"}
        body = orjson.dumps({"error": error})
        headers: Headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        headers += [*default_headers(headers), *self.refusal_headers]
        lines = [b"HTTP/1.1 %d %s" % (status.value, status.phrase.encode()), *(b": ".join(each) for each in headers)]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()


def protocol_with(*, max_head_seconds: float, headers: Headers) -> type[EdgeProtocol]:
    """Return the protocol with attributes of its own: uvicorn, which makes the connections, takes a class."""
    attributes = {"max_head_seconds": max_head_seconds, "refusal_headers": headers}
    return type("BoundEdgeProtocol", (EdgeProtocol,), attributes)
