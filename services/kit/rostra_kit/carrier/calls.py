"""Calls that are carried, as generated stubs return them."""

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import grpc

from rostra.carrier.v1 import carrier_service_pb2 as pb
from rostra_kit.carrier.frames import WINDOW, Metadata, packed, unpacked

if TYPE_CHECKING:
    from rostra_kit.carrier.links import Link

ResponseT = TypeVar("ResponseT")

# As long as gRPC waits before it repeats a call (`rostra_kit.client`); but what took long is not begun once more, for a
# service that is so slow has enough to do.
_PAUSES_SECONDS = (0.05, 0.15)
_LAST_BEGIN_SECONDS = 3.0
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Call(Generic[ResponseT]):
    """What both kinds of call have in common."""

    def __init__(
        self,
        link: "Link",
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

    async def trailing_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """Return what the service sent along with the end."""
        return unpacked(self._ended.metadata) if self._ended else ()

    def _expire(self) -> None:
        self._link.leave(self._id)
        self.end(pb.End(code=grpc.StatusCode.DEADLINE_EXCEEDED.value[0], details="Deadline Exceeded"))

    def _error(self, end: pb.End) -> grpc.aio.AioRpcError:
        trailing = grpc.aio.Metadata(*unpacked(end.metadata))
        return grpc.aio.AioRpcError(_CODES[end.code], grpc.aio.Metadata(), trailing, end.details)


class UnaryCall(Call[ResponseT]):
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


class RepeatableCall(Generic[ResponseT]):
    """A call that is answered once and may be repeated: it is while nobody can answer it, as gRPC does by itself.

    Args:
        call: The first attempt, begun.
        again: Begins another, given how long it may take, in seconds; `None` for as long as it takes.
        timeout: How long all attempts may take together, likewise.
    """

    def __init__(self, call: Any, again: Callable[[float | None], Any], timeout: float | None) -> None:
        self._call = call
        self._again = again
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timeout = timeout

    def cancel(self) -> bool:
        """Wait for the call no longer; say whether it was still under way."""
        return bool(self._call.cancel())

    async def trailing_metadata(self) -> Any:
        """Return what the service sent along with the end."""
        return await self._call.trailing_metadata()

    def __await__(self) -> Generator[Any, None, ResponseT]:
        """Return the answer."""
        answer: ResponseT
        for pause in _PAUSES_SECONDS:
            try:
                answer = yield from self._call.__await__()
            except grpc.aio.AioRpcError as error:
                took = self._loop.time() - self._began
                if error.code() is not grpc.StatusCode.UNAVAILABLE or took > _LAST_BEGIN_SECONDS:
                    raise
            else:
                return answer
            yield from asyncio.sleep(pause).__await__()
            took = self._loop.time() - self._began
            self._call = self._again(None if self._timeout is None else max(0.0, self._timeout - took))
        answer = yield from self._call.__await__()
        return answer


class StreamCall(Call[ResponseT]):
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
