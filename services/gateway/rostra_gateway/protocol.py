"""HTTP/1.1 below the application: uvicorn's, with a bound on a request's head and errors in OpenAI's shape.

What is refused here never was a request: it has no id, no headers of ours and no line in the log of requests.
"""

from http import HTTPStatus

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# As much as an Application Load Balancer lets through.
_MAX_HEAD_BYTES = 64 * 1024


class EdgeProtocol(HttpToolsProtocol):
    """One connection of a client."""

    _head_bytes = 0
    _in_head = False

    def on_message_begin(self) -> None:
        """Begin to count the head of a request."""
        super().on_message_begin()
        self._head_bytes = 0
        self._in_head = True

    def on_headers_complete(self) -> None:
        """End counting: the head has come."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read what has come; uvicorn itself would keep a head of any size in memory."""
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._refuse(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's path and headers are too large."
                )

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": "invalid_value"}
        body = orjson.dumps({"error": error})
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
