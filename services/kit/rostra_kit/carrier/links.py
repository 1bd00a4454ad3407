"""Streams that carry calls, one to each replica.

Which replicas there are, their health and the connections to them stay the channel's business: it goes round its
replicas, so a stream is opened now and then, and kept where it leads to a new one.
"""

import asyncio
import random
from contextlib import suppress
from contextvars import Context
from typing import Any, Self

import grpc

from rostra.carrier.v1 import carrier_service_pb2 as pb
from rostra_kit.carrier.calls import Call
from rostra_kit.carrier.frames import METHOD
from rostra_kit.tasks import cancel

# How often replicas are looked for, how long it may take to reach one, and how old a stream becomes: the connection
# under it, which its server ends some minutes later, is then free to be closed.
_LOOK_SECONDS = 2.0
_PAUSE_SECONDS = 0.2
_OPEN_SECONDS = 5.0
_RENEW_SECONDS = 60.0


class Links:
    """Streams to replicas, one to each."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._by_replica: dict[str, Link] = {}
        self._looking: asyncio.Task[None] | None = None
        self._look_now = asyncio.Event()

    def pick(self) -> "Link | None":
        """Return the stream for the next call; `None` while there is none."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="carrier-look", context=Context())
        links = [link for link in self._by_replica.values() if link.is_open]
        if not links:
            self._look_now.set()
            return None
        # Of two at random the one with fewer calls: nearly as even as the best of all, and no two gateways agree on it.
        return links[0] if len(links) == 1 else min(random.sample(links, 2), key=len)

    async def close(self) -> None:
        """Look no longer, and let the streams end with their calls."""
        if self._looking:
            await cancel(self._looking)
        for link in self._by_replica.values():
            link.retire()

    async def _look(self) -> None:
        while True:
            self._look_now.clear()
            with suppress(grpc.aio.AioRpcError, TimeoutError):  # calls find out by themselves, and say what it is
                await self._look_around()
            self._by_replica = {replica: link for replica, link in self._by_replica.items() if link.is_open}
            await asyncio.sleep(_PAUSE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._look_now.wait()

    async def _look_around(self) -> None:
        """Open streams until all replicas have had their turn, and keep those that lead where no other does.

        The channel goes round its replicas, but begins anywhere whenever one comes, goes or is connected to anew. So
        all have had their turn, most likely, when more streams in a row than there are replicas led to known ones.
        """
        in_a_row = 0
        while in_a_row <= len(self._by_replica):
            link = await Link.open(self._channel)
            known = self._by_replica.get(link.replica_id)
            if known is not None and not (link.is_open and known.is_due):
                link.retire()
                in_a_row += 1
                continue
            self._by_replica[link.replica_id] = link
            in_a_row = 0
            if known is not None:
                known.retire()


class Link:
    """A stream to one replica.

    Attributes:
        replica_id: Names the process at its other end.
        is_open: Whether it takes new calls.
    """

    def __init__(self, rpc: Any, first: pb.CarryResponse) -> None:
        self.replica_id = first.replica_id
        self.is_open = not first.is_leaving
        self._rpc = rpc
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.time()
        self._calls: dict[int, Call[Any]] = {}
        self._last_id = 0
        self._request = pb.CarryRequest()
        self._news = asyncio.Event()
        self._tasks = [  # which nobody else would hold on to
            self._loop.create_task(work, name="carrier-link", context=Context())
            for work in (self._read(), self._write())
        ]

    @classmethod
    async def open(cls, channel: grpc.aio.Channel) -> Self:
        """Open a stream to the replica whose turn it is.

        Raises:
            AioRpcError: None can be reached.
            TimeoutError: It does not answer.
        """
        method: Any = channel.stream_stream(
            METHOD,
            request_serializer=pb.CarryRequest.SerializeToString,
            response_deserializer=pb.CarryResponse.FromString,
        )
        rpc = method()
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                first = await rpc.read()
        except BaseException:
            rpc.cancel()
            raise
        if first is grpc.aio.EOF:
            raise TimeoutError
        return cls(rpc, first)

    def __len__(self) -> int:
        """Return how many calls are under way."""
        return len(self._calls)

    @property
    def is_due(self) -> bool:
        """Whether another should take its place."""
        return not self.is_open or self._loop.time() - self._opened >= _RENEW_SECONDS

    def begin(self, call: Call[Any], **parts: Any) -> int:
        """Begin a call, and return its id."""
        self._last_id += 1
        self._calls[self._last_id] = call
        self._request.calls.add(id=self._last_id, **parts)
        self._news.set()
        return self._last_id

    def let_send(self, call_id: int, messages: int) -> None:
        """Let a call send so many messages more."""
        self._request.credits.add(call_id=call_id, messages=messages)
        self._news.set()

    def leave(self, call_id: int) -> None:
        """Wait for a call no longer."""
        if self._calls.pop(call_id, None):
            self._request.cancelled_call_ids.append(call_id)
            self._news.set()

    def retire(self) -> None:
        """Take no new calls, and end with the last one."""
        self.is_open = False
        self._news.set()

    async def _write(self) -> None:
        # It breaks, or has ended: who reads is told too.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while self.is_open or self._calls:
                await self._news.wait()
                self._news.clear()
                request, self._request = self._request, pb.CarryRequest()
                if request.ByteSize():
                    await self._rpc.write(request)
            await self._rpc.done_writing()

    async def _read(self) -> None:
        broken = pb.End(code=grpc.StatusCode.UNAVAILABLE.value[0], details="The connection was closed.")
        try:
            while (response := await self._rpc.read()) is not grpc.aio.EOF:
                self._hand_out(response)
        except grpc.aio.AioRpcError as error:
            broken.details = error.details() or ""
        finally:
            self.retire()
            calls, self._calls = self._calls, {}
            for call in calls.values():
                call.end(broken)

    def _hand_out(self, response: pb.CarryResponse) -> None:
        for message in response.messages:
            if call := self._calls.get(message.call_id):
                call.take(message.message)
        for end in response.ends:
            if call := self._calls.pop(end.call_id, None):
                call.end(end)
        if response.is_leaving or not self.is_open:
            self.retire()
