"""Streams whose answer is kept under a key: their bytes are recorded as they pass."""

import asyncio

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from rostra_gateway.event_stream import HEARTBEAT, EventStream
from rostra_gateway.idempotency.claim import Claim, answer_of


class RecordedStream(Response):
    """An event stream that is kept when it is whole, also where its client left. Where it broke, the key is free."""

    def __init__(self, stream: EventStream, claim: Claim) -> None:
        super().__init__()
        self._stream = stream
        self._claim = claim
        self._recorded = bytearray()
        self._kept = False

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Write the stream."""

        async def send_recorded(message: Message) -> None:
            await self._record(message)
            await send(message)

        try:
            async with self._claim.held():
                # Whoever named the request may come back for its answer.
                await self._stream(scope, _never_leaving, send_recorded)
        finally:
            if not self._kept:
                await self._claim.release()

    async def _record(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            return
        # One byte more than is kept is enough to know that it is too much.
        room = self._claim.max_answer_bytes + 1 - len(self._recorded)
        if message["body"] != HEARTBEAT:
            self._recorded += message["body"][:room]
        if not message["more_body"] and not self._stream.broken:
            # Before the client sees the end, so that it finds the answer when it asks again.
            await self._claim.keep(answer_of(self._stream, body=bytes(self._recorded)))
            self._kept = True


async def _never_leaving() -> Message:
    await asyncio.Event().wait()
    raise AssertionError
