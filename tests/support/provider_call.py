"""One chat completion that is being answered, and the verbs with which a script answers it, well or badly."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

from aiohttp import web

from support.provider_failure import Failure
from support.provider_request import ChatRequest
from support.provider_wire import Answer

_LAST_WORDS_SECONDS = 0.02


class Call:
    """A chat completion between its request and the end of its answer.

    Attributes:
        request: What was asked.
        response: What has been answered so far.
        is_settled: Whether the provider itself ended the call, so that a connection that is lost is no caller's doing.
    """

    def __init__(self, http_request: web.Request, request: ChatRequest) -> None:
        self.request = request
        self.response = web.StreamResponse()
        self.is_settled = False
        self._http_request = http_request

    async def deliver(self, answer: Answer, *, gap_seconds: float = 0.0) -> None:
        """Send an answer to its end, with a pause before each word; a body takes as long as its stream would."""
        pieces = answer.pieces()
        if not self.request.stream:
            await asyncio.sleep(gap_seconds * answer.reply.completion_tokens)
            await self.start(content_length=len(pieces[0]))
            await self.send(pieces[0])
            await self.finish()
            return
        await self.start()
        await self.send(pieces[0])
        loop = asyncio.get_running_loop()
        due = loop.time()
        for piece in pieces[1:-1]:
            # Counted from the start, so that late wake-ups do not add up.
            due += gap_seconds
            if gap_seconds:
                await asyncio.sleep(due - loop.time())
            await self.send(piece)
        await self.finish(pieces[-1])

    async def start(self, *, content_length: int | None = None) -> None:
        """Send status 200 and the headers; without `content_length` the body may have any length."""
        self.response.content_type = "text/event-stream" if self.request.stream else "application/json"
        self.response.charset = "utf-8" if self.request.stream else None
        self.response.content_length = content_length
        if self.request.stream:
            self.response.headers["Cache-Control"] = "no-cache"
        await self.response.prepare(self._http_request)

    async def send(self, data: bytes) -> None:
        """Write a part of the body, in one piece."""
        await self.response.write(data)

    async def finish(self, last: bytes = b"") -> None:
        """Write the last part together with the body's end, so that no caller can leave between the two."""
        self.is_settled = True
        await self.response.write_eof(last)

    async def respond(self, response: web.Response) -> None:
        """Send a whole response in place of an answer."""
        self.is_settled = True
        self.response = response
        await response.prepare(self._http_request)
        await response.write_eof()

    async def fail(self, failure: Failure) -> None:
        """Refuse the call."""
        await self.respond(failure_response(failure))

    async def stall(self) -> NoReturn:
        """Say nothing more until the caller gives up."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nothing ends a stall but the caller")

    async def hang_up(self) -> NoReturn:
        """Close the connection after what was sent, without an end of the body."""
        self.is_settled = True
        # A client that learns of the end before it has read the words may drop them, which would make tests a gamble.
        await asyncio.sleep(_LAST_WORDS_SECONDS)
        if self._http_request.transport is not None:
            self._http_request.transport.close()
        await self.stall()


Script = Callable[[Call], Awaitable[None]]


def failure_response(failure: Failure) -> web.Response:
    """Return a failure as an HTTP response."""
    return web.json_response(failure.body(), status=failure.status, headers=failure.headers)
