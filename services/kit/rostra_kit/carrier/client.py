"""A gRPC channel whose calls are carried: on one stream to each replica, and by gRPC itself while there is none.

Which replicas there are, their health and the connections to them stay the channel's business: it goes round its
replicas, so a stream is opened now and then, and kept where it leads to a new one.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Collection, Generator
from contextlib import suppress
from contextvars import Context
from typing import Any, Generic, Self, TypeVar

import grpc

from rostra.carrier.v1 import carrier_service_pb2 as pb
from rostra_kit.carrier.frames import METHOD, WINDOW, Metadata, packed, unpacked

# How often replicas are looked for, how long it may take to reach one, and how old a stream becomes: the connection
# under it, which its server ends some minutes later, is then free to be closed.
_LOOK_SECONDS = 1.0
_PAUSE_SECONDS = 0.2
_OPEN_SECONDS = 5.0
_RENEW_SECONDS = 60.0
# A longer request has a stream of its own, on which gRPC sends it in turns with others.
_LONGEST_BYTES = 64 * 1024

_CODES = {code.value[0]: code for code in grpc.StatusCode}

ResponseT = TypeVar("ResponseT")


class CarryingChannel:
    """Stands in for a gRPC channel where stubs make calls.

    Args:
        channel: Leads to all replicas.
        methods: What is carried, as `/package.Service/Method`.
    """

    def __init__(self, channel: grpc.aio.Channel, methods: Collection[str]) -> None:
        self._channel = channel
        self._methods = methods
        self._links = _Links(channel)

    def unary_unary(self, method: str, **options: Any) -> Any:
        """Return a method that answers once."""
        plain: Any = self._channel.unary_unary(method, **options)
        return _Method(method, plain, self._links, _UnaryCall, **options) if method in self._methods else plain

    def unary_stream(self, method: str, **options: Any) -> Any:
        """Return a method whose answer is a stream."""
        plain: Any = self._channel.unary_stream(method, **options)
        return _Method(method, plain, self._links, _StreamCall, **options) if method in self._methods else plain

    async def close(self, grace: float | None = None) -> None:
        """Close all connections, at the latest after `grace` seconds; calls under way may end until then."""
        self._links.close()
        await self._channel.close(grace)


class _Method:
    """A method of a stub."""

    def __init__(
        self,
        method: str,
        plain: Callable[..., Any],
        links: "_Links",
        kind: "type[_Call[Any]]",
        *,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        **_options: object,
    ) -> None:
        self._name = method
        self._method = method.encode()  # as gRPC's methods have it
        self._plain = plain
        self._links = links
        self._kind = kind
        self._serialize = request_serializer
        self._deserialize = response_deserializer

    def __call__(self, request: Any, *, timeout: float | None = None, metadata: Metadata = ()) -> Any:
        """Begin a call."""
        link = self._links.pick()
        if link is None or request.ByteSize() > _LONGEST_BYTES:
            return self._plain(request, timeout=timeout, metadata=metadata)
        return self._kind(link, self._name, self._serialize(request), timeout, metadata, self._deserialize)


class _Links:
    """Streams to replicas, one to each."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._by_replica: dict[str, _Link] = {}
        self._looking: asyncio.Task[None] | None = None
        self._look_now = asyncio.Event()

    def pick(self) -> "_Link | None":
        """Return the stream for the next call; `None` while there is none."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="carrier-look", context=Context())
        links = [link for link in self._by_replica.values() if link.is_open]
        if not links:
            self._look_now.set()
            return None
        # Of two at random the one with fewer calls: nearly as even as the best of all, and no two gateways agree on it.
        return links[0] if len(links) == 1 else min(random.sample(links, 2), key=len)

    def close(self) -> None:
        """Look no longer, and let the streams end with their calls."""
        if self._looking:
            self._looking.cancel()
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
        """Open streams until one leads where another does; the channel goes round, so each replica has its turn."""
        while True:
            link = await _Link.open(self._channel)
            known = self._by_replica.get(link.replica_id)
            if known is not None and not (link.is_open and known.is_due):
                link.retire()
                return
            self._by_replica[link.replica_id] = link
            if known is not None:
                known.retire()


class _Link:
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
        self._calls: dict[int, _Call[Any]] = {}
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

    def begin(self, call: "_Call[Any]", **parts: Any) -> int:
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
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # who reads is told as well
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


class _Call(Generic[ResponseT]):
    """What both kinds of call have in common."""

    def __init__(
        self,
        link: _Link,
        method: str,
        request: bytes,
        timeout: float | None,
        metadata: Metadata,
        deserialize: Callable[[bytes], ResponseT],
    ) -> None:
        self._link = link
        self._deserialize = deserialize
        self._loop = asyncio.get_running_loop()
        self._ended: pb.End | None = None
        self._timer = None if timeout is None else self._loop.call_later(timeout, self._expire)
        milliseconds = 0 if timeout is None else max(1, round(timeout * 1000))
        self._id = link.begin(
            self, method=method, request=request, timeout_milliseconds=milliseconds, metadata=packed(metadata)
        )

    def take(self, message: bytes) -> None:
        """Take a message of an answer that is a stream."""

    def end(self, end: pb.End) -> None:
        """Take note that the call has ended."""
        self._ended = end
        if self._timer:
            self._timer.cancel()

    def cancel(self) -> bool:
        """Wait for the call no longer; say whether it was still under way."""
        if self._ended is not None:
            return False
        self._link.leave(self._id)
        self.end(pb.End(code=grpc.StatusCode.CANCELLED.value[0], details="Cancelled by the client."))
        return True

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """Return what the service sent along with the end."""
        return grpc.aio.Metadata(*unpacked(self._ended.metadata if self._ended else ()))

    def _expire(self) -> None:
        self._link.leave(self._id)
        self.end(pb.End(code=grpc.StatusCode.DEADLINE_EXCEEDED.value[0], details="Deadline Exceeded"))

    def _error(self, end: pb.End) -> grpc.aio.AioRpcError:
        trailing = grpc.aio.Metadata(*unpacked(end.metadata))
        return grpc.aio.AioRpcError(_CODES[end.code], grpc.aio.Metadata(), trailing, end.details)


class _UnaryCall(_Call[ResponseT]):
    """A call that is answered once."""

    def __init__(self, *parts: Any) -> None:
        self._answer: asyncio.Future[pb.End] = asyncio.get_running_loop().create_future()
        super().__init__(*parts)

    def end(self, end: pb.End) -> None:
        """Take the answer."""
        super().end(end)
        if not self._answer.done():
            self._answer.set_result(end)

    def __await__(self) -> Generator[Any, None, ResponseT]:
        """Return the answer."""
        try:
            end = yield from self._answer.__await__()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if end.code:
            raise self._error(end)
        return self._deserialize(end.response)


class _StreamCall(_Call[ResponseT]):
    """A call whose answer is a stream, to be iterated over once."""

    def __init__(self, *parts: Any) -> None:
        self._messages: deque[bytes] = deque()
        self._news: asyncio.Future[None] | None = None
        self._taken = 0
        super().__init__(*parts)

    def take(self, message: bytes) -> None:
        """Keep a message until it is asked for."""
        self._messages.append(message)
        self._wake()

    def end(self, end: pb.End) -> None:
        """Let who waits for messages see the end."""
        super().end(end)
        self._wake()

    def __aiter__(self) -> Self:
        """Return what yields the messages."""
        return self

    async def __anext__(self) -> ResponseT:
        """Return the next message."""
        while not self._messages:
            if self._ended is not None:
                if self._ended.code:
                    raise self._error(self._ended)
                raise StopAsyncIteration
            self._news = self._loop.create_future()
            await self._news
        self._taken += 1
        if self._taken == WINDOW // 2 and self._ended is None:
            self._link.let_send(self._id, self._taken)
            self._taken = 0
        return self._deserialize(self._messages.popleft())

    def _wake(self) -> None:
        if self._news and not self._news.done():
            self._news.set_result(None)
