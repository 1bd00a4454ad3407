"""What happens around every RPC that a service serves: context, trace, metrics, one log line, errors.

There are two wrappers, for calls that answer once and for calls that stream. Both let `CancelledError` and gRPC's own
`AbortError` pass: swallowing either leaks the call.
"""

from __future__ import annotations  # grpc's types are generic only for the type checker

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self

import grpc
from opentelemetry import trace

from rostra_kit.context import (
    ADDRESS_KEY,
    CALLER_KEY,
    REQUEST_ID_KEY,
    RequestContext,
    set_current_request,
)
from rostra_kit.errors import AppError, InternalError
from rostra_kit.rpc_metrics import RpcMetrics
from rostra_kit.status import message_of, reason_name, trailing_metadata
from rostra_kit.telemetry.facts import Facts, collect_facts, facts_metadata
from rostra_kit.telemetry.rpc import describe_rpc, rpc_names
from rostra_kit.telemetry.trace_context import exemplar, join_trace

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from types import TracebackType

    Context = grpc.aio.ServicerContext[Any, Any]

_SERVER_FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE}


class ServerInterceptor(grpc.aio.ServerInterceptor):
    """Surrounds every RPC with what all RPCs have in common."""

    def __init__(self, metrics: RpcMetrics) -> None:
        self._metrics = metrics
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the method's handler, wrapped; each method is wrapped once."""
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:  # unknown methods are not remembered: a caller could invent any number
                return handler
            self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if method.startswith(("/grpc.health.", "/rostra.carrier.")):  # what is carried is wrapped call by call
            return handler
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._unary(method, handler.unary_unary), **codec)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(self._stream(method, handler.unary_stream), **codec)
        message = f"{method}: no wrapper for streaming requests"
        raise NotImplementedError(message)

    def _unary(self, method: str, behavior: Callable[..., Any]) -> Callable[..., Any]:
        async def call(request: Any, context: Context) -> Any:
            with _Observed(self._metrics, method, context) as ended:
                try:
                    response = await behavior(request, context)
                except (asyncio.CancelledError, grpc.aio.AbortError):
                    raise
                except Exception as error:  # noqa: BLE001 - this is where unforeseen errors are logged and named
                    await ended.abort(error)
                else:
                    ended.tell_facts()
                    return response

        return call

    def _stream(self, method: str, behavior: Callable[..., Any]) -> Callable[..., Any]:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            with _Observed(self._metrics, method, context) as ended:
                try:
                    async with aclosing(behavior(request, context)) as messages:
                        async for message in messages:
                            yield message
                    ended.tell_facts()
                except (asyncio.CancelledError, grpc.aio.AbortError, GeneratorExit):
                    raise
                except Exception as error:  # noqa: BLE001 - this is where unforeseen errors are logged and named
                    await ended.abort(error)

        return call


class _Observed:
    """One call: context, trace, metrics and log line. It ends well unless something else is said here."""

    __slots__ = ("_began", "_context", "_method", "_metrics", "_span", "code", "facts")

    def __init__(self, metrics: RpcMetrics, method: str, context: Context) -> None:
        self._metrics = metrics
        self._method = method
        self._context = context
        self.code = grpc.StatusCode.OK
        self.facts: Facts = {}

    def __enter__(self) -> Self:
        headers = dict(self._context.invocation_metadata() or ())
        set_current_request(_request_context(headers, self._context.time_remaining()))
        self.facts = collect_facts()
        self._span = join_trace(self._method[1:], headers)
        self._metrics.started.labels(*rpc_names(self._method)).inc()
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.code = grpc.StatusCode.CANCELLED
        seconds = time.perf_counter() - self._began
        service, name = rpc_names(self._method)
        self._metrics.handled.labels(service, name, self.code.name).inc()
        self._metrics.handling_seconds.labels(service, name).observe(seconds, exemplar())
        if self._span.is_recording():
            describe_rpc(self._span, service, name, self.code)
            if self.code in _SERVER_FAULTS:
                self._span.set_status(trace.StatusCode.ERROR)
            self._span.end()
        # The gateway has a line for each request; an RPC's own is worth one only where it is at fault.
        level = logging.INFO if self.code in _SERVER_FAULTS else logging.DEBUG
        if logger.isEnabledFor(level):
            told = {"rpc": f"{service}/{name}", "code": self.code.name, "seconds": round(seconds, 4)}
            logger.log(level, "rpc", extra=told | self.facts)

    def tell_facts(self) -> None:
        """Send what became known in the call to who made it."""
        if self.facts:
            self._context.set_trailing_metadata(facts_metadata(self.facts))

    async def abort(self, error: Exception) -> None:
        """End the call with the status of `error`; of an unforeseen one only an id leaves the process."""
        if not isinstance(error, AppError):
            error_id = secrets.token_hex(8)
            logger.error("unforeseen error", exc_info=error, extra={"error_id": error_id})
            error = InternalError("Something went wrong inside Rostra.", metadata={"error_id": error_id})
        elif error.code in _SERVER_FAULTS:
            logger.warning("%s", error.message, exc_info=error.__cause__, extra={"reason": reason_name(error.reason)})
        self.code = error.code
        told = (*trailing_metadata(error), *facts_metadata(self.facts))
        await self._context.abort(error.code, message_of(error), told)


def _request_context(headers: dict[str, Any], remaining_seconds: float | None) -> RequestContext:
    loop_time = asyncio.get_running_loop().time()
    return RequestContext(
        request_id=str(headers.get(REQUEST_ID_KEY, "")),
        caller=headers.get(CALLER_KEY, b""),
        deadline=None if remaining_seconds is None else loop_time + remaining_seconds,
        address=str(headers.get(ADDRESS_KEY, "")),
    )
