"""Serves calls that are carried, by the handlers that serve those with a stream of their own."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing
from contextvars import Context
from types import SimpleNamespace
from typing import Any, NoReturn

import grpc

from rostra.carrier.v1 import carrier_service_pb2 as pb
from rostra.carrier.v1.carrier_service_pb2_grpc import CarrierServiceServicer
from rostra_kit.carrier.frames import WINDOW, Metadata, packed, unpacked
from rostra_kit.client import MAX_MESSAGE_BYTES
from rostra_kit.server_interceptor import ServerInterceptor

logger = logging.getLogger(__name__)

# A response is complete at this size: no call's long message makes others wait for all of several.
_FULL_BYTES = 256 * 1024
# While so many calls are under way, a message that follows another of its call waits so long for those of others, but
# not once so many have come: to carry a message alone is a fifth of what a token costs.
_MANY_CALLS, _GATHER_SECONDS, _MANY_PARTS = 16, 0.004, 32
# Longer than a response of the stream may be, with something to spare: it would end all of its calls.
_LONGEST_BYTES = MAX_MESSAGE_BYTES - 64 * 1024


class Carrier(CarrierServiceServicer):
    """Serves calls that come as parts of one stream. Services are added to it as to a gRPC server.

    Args:
        interceptor: What surrounds each call.
    """

    def __init__(self, interceptor: ServerInterceptor) -> None:
        self._interceptor = interceptor
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._replica_id = secrets.token_hex(8)
        self._streams: set[_Stream] = set()
        self._is_leaving = False

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Add the methods of a service."""
        self._handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Leave out what generated code adds besides, for servers that know no registered methods."""

    def leave(self) -> None:
        """Ask the clients to make no new calls here; those that come are served all the same."""
        self._is_leaving = True
        for stream in self._streams:
            stream.leave()

    async def handler(self, method: str) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Return what serves a method, with all that surrounds it."""

        async def found(_details: object) -> "grpc.RpcMethodHandler[Any, Any] | None":
            return self._handlers.get(method)

        details: Any = SimpleNamespace(method=method)
        return await self._interceptor.intercept_service(found, details)

    async def Carry(self, request_iterator: Any, _context: Any) -> AsyncIterator[pb.CarryResponse]:
        """Serve the calls of one stream; when it breaks they are cancelled."""
        stream = _Stream(self, self._replica_id)
        self._streams.add(stream)
        if self._is_leaving:
            stream.leave()
        reading = asyncio.create_task(stream.read(request_iterator))
        try:
            async for response in stream.responses():
                yield response
        finally:
            self._streams.discard(stream)
            reading.cancel()
            stream.cancel()


class _Stream:
    """One client's stream."""

    def __init__(self, carrier: Carrier, replica_id: str) -> None:
        self._carrier = carrier
        self._calls: dict[int, _Call] = {}
        self._response = pb.CarryResponse(replica_id=replica_id)
        self._parts: deque[pb.Message | pb.End] = deque()
        self._news = asyncio.Event()
        self._news.set()
        self._gathering: asyncio.TimerHandle | None = None
        self._is_ended = False

    async def read(self, requests: AsyncIterator[pb.CarryRequest]) -> None:
        """Read what the client says, until it has nothing more to say."""
        async for request in requests:
            for begun in request.calls:
                self._calls[begun.id] = _Call(self, self._carrier, begun)
            for credit in request.credits:
                if call := self._calls.get(credit.call_id):
                    call.let_send(credit.messages)
            for call_id in request.cancelled_call_ids:
                if call := self._calls.pop(call_id, None):
                    call.cancel()
        self._is_ended = True
        self._news.set()

    async def responses(self) -> AsyncIterator[pb.CarryResponse]:
        """Yield what there is to say, until the client has ended and all calls have."""
        while not (self._is_ended and not self._calls and not self._parts):
            await self._news.wait()
            response, self._response = self._response, pb.CarryResponse()
            size = 0
            while self._parts and size < _FULL_BYTES:
                part = self._parts.popleft()
                if isinstance(part, pb.End):
                    response.ends.append(part)
                    size += len(part.response)
                else:
                    response.messages.append(part)
                    size += len(part.message)
            if not self._parts:
                self._news.clear()
                self._gather_no_more()
            yield response
        self._gather_no_more()

    def say(self, part: pb.Message | pb.End, *, may_wait: bool = False) -> None:
        """Say something as soon as what was said before has been sent, or with what others are about to say."""
        self._parts.append(part)
        if not may_wait or len(self._calls) < _MANY_CALLS or len(self._parts) >= _MANY_PARTS:
            self._news.set()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._news.set)

    def _gather_no_more(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None

    def end(self, call_id: int, part: pb.End) -> None:
        """Say how a call ended."""
        self._calls.pop(call_id, None)
        self.say(part)

    def leave(self) -> None:
        """Say that new calls had better go elsewhere."""
        self._response.is_leaving = True
        self._news.set()

    def cancel(self) -> None:
        """Cancel all calls: nobody waits for them."""
        for call in self._calls.values():
            call.cancel()


class _Call:
    """One call; for its servicer it is the context, as far as Rostra's servicers need one."""

    def __init__(self, stream: _Stream, carrier: Carrier, begun: pb.Call) -> None:
        self._stream = stream
        self._id = begun.id
        self._metadata = unpacked(begun.metadata)
        self._loop = asyncio.get_running_loop()
        self._ends = self._loop.time() + begun.timeout_milliseconds / 1000 if begun.timeout_milliseconds else None
        self._credit = WINDOW
        self._let: asyncio.Future[None] | None = None
        self._end = pb.End(call_id=begun.id)
        self._task = self._loop.create_task(self._run(carrier, begun.method, begun.request), context=Context())

    def invocation_metadata(self) -> Metadata:
        """Return what the client sent along."""
        return self._metadata

    def time_remaining(self) -> float | None:
        """Return for how many seconds the client still waits; `None` when for as long as it takes."""
        return None if self._ends is None else self._ends - self._loop.time()

    def set_trailing_metadata(self, metadata: Metadata) -> None:
        """Send something along with the end."""
        self._end.metadata.extend(packed(metadata))

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()) -> NoReturn:
        """End the call with an error."""
        self._end.code = code.value[0]
        self._end.details = details
        self.set_trailing_metadata(trailing_metadata)
        raise grpc.aio.AbortError

    def let_send(self, messages: int) -> None:
        """Let the call send so many messages more."""
        self._credit += messages
        if self._let and not self._let.done():
            self._let.set_result(None)

    def cancel(self) -> None:
        """Cancel the call."""
        self._task.cancel()

    async def _run(self, carrier: Carrier, method: str, request: bytes) -> None:
        try:
            await self._serve(await carrier.handler(method), request)
        except grpc.aio.AbortError:
            pass
        except asyncio.CancelledError:
            self._end.code = grpc.StatusCode.CANCELLED.value[0]
            raise
        except Exception:
            logger.exception("unforeseen error in %s", method)
            self._end.code = grpc.StatusCode.UNKNOWN.value[0]
        finally:
            self._stream.end(self._id, self._end)

    async def _serve(self, handler: "grpc.RpcMethodHandler[Any, Any] | None", serialized: bytes) -> None:
        context: Any = self
        if handler is None or not handler.request_deserializer or not handler.response_serializer:
            await self.abort(grpc.StatusCode.UNIMPLEMENTED, "There is no such method.")
        request = handler.request_deserializer(serialized)
        if handler.unary_unary:
            response: Any = await handler.unary_unary(request, context)
            self._end.response = await self._within_bounds(handler.response_serializer(response))
        elif handler.unary_stream:
            behavior: Any = handler.unary_stream
            async with aclosing(behavior(request, context)) as messages:
                is_first = True
                async for message in messages:
                    serialized = await self._within_bounds(handler.response_serializer(message))
                    await self._send(serialized, may_wait=not is_first)
                    is_first = False

    async def _within_bounds(self, message: bytes) -> bytes:
        if len(message) > _LONGEST_BYTES:
            await self.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"The answer has {len(message)} bytes.")
        return message

    async def _send(self, message: bytes, *, may_wait: bool) -> None:
        while not self._credit:
            self._let = self._loop.create_future()
            await self._let
        self._credit -= 1
        self._stream.say(pb.Message(call_id=self._id, message=message), may_wait=may_wait)
