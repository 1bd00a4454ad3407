"""One connection: a request is written at once, its answer read as it comes, and then the next may follow."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import httptools

from rostra_chat.providers.http.errors import BrokenAnswer

# Beyond this the server waits until somebody reads.
_MOST_UNREAD_BYTES = 256 * 1024
_LONGEST_HEAD_BYTES = 256 * 1024
_FIRST_FINAL_STATUS = 200


class Connection(asyncio.Protocol):
    """A connection to the server. The methods whose names begin with `on_` are the parser's.

    Args:
        on_close: Called when it is closed.

    Attributes:
        status: The status of the answer.
        headers: The headers of the answer, their names in small letters.
        is_open: Whether a request may be written.
        idle_since: When its last answer had been read, by the loop's clock.
    """

    def __init__(self, on_close: Callable[["Connection"], None]) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_open = True
        self.idle_since = 0.0
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport  # before anything else, see `connection_made`
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._unread_bytes = self._head_bytes = 0
        self._has_head = False
        self._is_whole = True
        self._failure: BrokenAnswer | None = None
        self._news: asyncio.Future[None] | None = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_reusable(self) -> bool:
        """Whether the answer has come whole and another request may follow."""
        return self.is_open and self._is_whole and not self._parts and self._failure is None

    async def ask(self, request: bytes, *, deadline: float | None) -> None:
        """Write a request and return when the head of its answer is there, in `status` and `headers`.

        Args:
            request: Head and body.
            deadline: Until when to wait, by the loop's clock.

        Raises:
            BrokenAnswer: There will be no head.
            TimeoutError: There was none until the deadline.
        """
        self._is_whole = self._has_head = False
        self._head_bytes = 0
        self.headers = {}
        self._transport.write(request)
        while not self._has_head:
            await self._wait(deadline)

    async def read(self, *, deadline: float | None) -> bytes:
        """Return what has come of the body, at least a byte; nothing at its end.

        Raises:
            BrokenAnswer: There is nothing more, and should be.
            TimeoutError: Nothing came until the deadline.
        """
        while not self._parts:
            if self._is_whole:
                return b""
            await self._wait(deadline)
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        if self._unread_bytes > _MOST_UNREAD_BYTES:
            with suppress(RuntimeError):  # it is closed
                self._transport.resume_reading()
        self._unread_bytes = 0
        return data

    def abort(self) -> None:
        """Close the connection; an answer that is under way ends."""
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()

    async def _wait(self, deadline: float | None) -> None:
        """Wait until something happens.

        A deadline is looked at when the one before has passed: a stream has one timer at a time, which is set anew once
        in a timeout and not with every chunk.
        """
        if self._failure is not None:
            raise self._failure
        self._deadline = deadline
        if deadline is not None and (self._timer is None or self._timer.when() > deadline):
            self._set_timer(deadline)
        self._news = self._loop.create_future()
        try:
            await self._news
        finally:
            self._news = None

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        """Break the wait off if its time is over; if it has time left, look again then."""
        self._timer = None
        if self._news is None or self._deadline is None:
            return
        if self._deadline > self._loop.time():
            self._set_timer(self._deadline)
        elif not self._news.done():
            self._news.set_exception(TimeoutError())

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _fail(self, why: str) -> None:
        if self._failure is None and not self._is_whole:
            self._failure = BrokenAnswer(why)
        self.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvloop has it
        """Take note of the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("What came is not HTTP.")
        if not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > _LONGEST_HEAD_BYTES:
                self._fail("The head of the answer has no end.")
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that nothing more comes."""
        lasts_until_closed = self._has_head and not {"content-length", "transfer-encoding"} & self.headers.keys()
        if lasts_until_closed and exc is None and self.is_open:
            self._is_whole = True
        self._fail("The connection was closed.")
        self._wake()
        self._on_close(self)

    def on_message_begin(self) -> None:
        """Let the parser fail at an answer that nobody asked for."""
        if self._is_whole:
            raise BrokenAnswer

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Take note of the head, unless it is one that another follows."""
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= _FIRST_FINAL_STATUS
        if not self._has_head:
            self.headers = {}

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body until it is read."""
        self._parts.append(body)
        was_too_much = self._unread_bytes > _MOST_UNREAD_BYTES
        self._unread_bytes += len(body)
        if self._unread_bytes > _MOST_UNREAD_BYTES and not was_too_much:
            with suppress(RuntimeError):  # it is closed
                self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Take note that the answer is whole."""
        self._is_whole = self._has_head
        if self._is_whole and not self._parser.should_keep_alive():
            self.is_open = False
