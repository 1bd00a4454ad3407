"""Calls to other services: balanced, with identity, deadline and trace on every call, and errors as Rostra's own."""

import json
from collections.abc import AsyncGenerator, Callable, Collection
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from grpc.aio import UnaryStreamMultiCallable, UnaryUnaryMultiCallable
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from opentelemetry import trace
from prometheus_client import CollectorRegistry

from rostra_kit.channel import Channel
from rostra_kit.context import ADDRESS_KEY, CALLER_KEY, REQUEST_ID_KEY, current_request
from rostra_kit.errors import UnavailableError
from rostra_kit.rpc_metrics import ClientRpcMetrics
from rostra_kit.settings import ServiceAddress
from rostra_kit.status import error_from_rpc
from rostra_kit.telemetry.facts import note_metadata
from rostra_kit.telemetry.rpc import ClientCalls
from rostra_kit.telemetry.trace_context import outgoing_trace

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
KEEPALIVE_MS = 2000
"""How often a client asks a replica for a sign of life; servers allow it."""
_PING_TIMEOUT_MS = 3000

StubT = TypeVar("StubT")
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class ServiceClient(Generic[StubT]):
    """A connection to all replicas of one service.

    Args:
        stub: The generated stub class.
        descriptor: The service's descriptor, whose methods say by `idempotency_level` whether they may be repeated.
        address: Where the replicas are.
        metrics: Counts the calls.
        is_carried: Whether calls travel together (`rostra_kit.carrier`), but for those that may be repeated, which gRPC
            does.
        also_carried: Names of methods that may be repeated and whose calls are carried all the same: those that are
            called often and answer with little, so that nobody waits for their answers.
    """

    def __init__(
        self,
        stub: Callable[[grpc.aio.Channel], StubT],
        descriptor: ServiceDescriptor,
        address: ServiceAddress,
        metrics: ClientRpcMetrics | None = None,
        *,
        is_carried: bool = False,
        also_carried: Collection[str] = (),
    ) -> None:
        repeatable = [f"/{descriptor.full_name}/{name}" for name in also_carried]
        carried = [f"/{descriptor.full_name}/{method.name}" for method in descriptor.methods if not _repeatable(method)]
        self._channel = Channel(
            address, _channel_options(descriptor), [*(carried if is_carried else ()), *repeatable], repeatable
        )
        self._timeout_seconds = address.timeout_seconds
        self._calls = ClientCalls(metrics or ClientRpcMetrics(CollectorRegistry()))
        self._new_stub = stub
        self._stub = stub(self._channel.current)

    @property
    def stub(self) -> StubT:
        """Return the stub, for one call at once: with new certificates there is another."""
        if self._channel.renew():
            self._stub = self._new_stub(self._channel.current)
        return self._stub

    async def __aenter__(self) -> Self:
        """Return the client; it connects with the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._channel.close()

    async def ping(self) -> None:
        """Return when a replica says that it serves.

        Raises:
            AppError: None can be reached, or the one that was is not ready.
        """
        check: UnaryUnaryMultiCallable[Any, Any] = self._channel.current.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        answer = await self.call(check, HealthCheckRequest())
        if answer.status != HealthCheckResponse.SERVING:
            raise UnavailableError("A part of Rostra is not ready yet.", retry_after_seconds=1)

    async def call(
        self,
        method: UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout_seconds: float | None = None,
    ) -> ResponseT:
        """Call `method` of the stub and return its answer.

        The call ends after `timeout_seconds` (the address's own by default) or with the request under way, whichever
        comes first.

        Raises:
            AppError: What the service raised, or `UnavailableError` and `DeadlineExceededError` on the way to it.
        """
        timeout = _sooner(timeout_seconds or self._timeout_seconds, current_request().remaining_seconds())
        try:
            with self._calls.watch(method) as span:
                call = method(request, timeout=timeout, metadata=_outgoing_metadata(span))
                response = await call
                note_metadata(await call.trailing_metadata())
                return response
        except grpc.aio.AioRpcError as error:
            self._channel.note(error)
            note_metadata(error.trailing_metadata())
            raise error_from_rpc(error) from error

    async def stream(
        self, method: UnaryStreamMultiCallable[RequestT, ResponseT], request: RequestT
    ) -> AsyncGenerator[ResponseT, None]:
        """Call the streaming `method` and yield its messages; closing the iterator cancels the call.

        A stream ends with the request under way, not after the address's timeout.

        Raises:
            AppError: As `call` does, before or between messages.
        """
        timeout = current_request().remaining_seconds()
        try:
            with self._calls.watch(method) as span:
                call = method(request, timeout=timeout, metadata=_outgoing_metadata(span))
                try:
                    async for message in call:
                        yield message
                    note_metadata(await call.trailing_metadata())
                finally:
                    call.cancel()
        except grpc.aio.AioRpcError as error:
            self._channel.note(error)
            note_metadata(error.trailing_metadata())
            raise error_from_rpc(error) from error


def _sooner(timeout: float, remaining: float | None) -> float:
    return timeout if remaining is None else min(timeout, remaining)


def _outgoing_metadata(span: trace.Span) -> tuple[tuple[str, str | bytes], ...]:
    request = current_request()
    metadata: list[tuple[str, str | bytes]] = [*outgoing_trace(span if span.is_recording() else None)]
    if request.request_id:
        metadata.append((REQUEST_ID_KEY, request.request_id))
    if request.address:
        metadata.append((ADDRESS_KEY, request.address))
    if request.caller:
        metadata.append((CALLER_KEY, request.caller))
    return tuple(metadata)


def _channel_options(descriptor: ServiceDescriptor) -> list[tuple[str, Any]]:
    return [
        ("grpc.service_config", json.dumps(_service_config(descriptor))),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # A replica that comes back is found within a second or two.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 500),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.dns_min_time_between_resolutions_ms", 5000),
        # A replica that answers no ping for so long is frozen or cut off, and every call to it fails. gRPC heeds the
        # second of these two times alone (grpc/grpc#39239), and by default pings twice only while nothing else is sent,
        # which is what a client does that waits for a model.
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
        ("grpc.http2.ping_timeout_ms", _PING_TIMEOUT_MS),
        ("grpc.http2.max_pings_without_data", 0),
        # Replicas on one machine must not share connections made for another target.
        ("grpc.use_local_subchannel_pool", 1),
    ]


def _repeatable(method: MethodDescriptor) -> bool:
    return bool(method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN)


def _service_config(descriptor: ServiceDescriptor) -> dict[str, Any]:
    """Balance over all replicas, and retry what may be repeated when the call did not reach a replica."""
    repeatable = [
        {"service": descriptor.full_name, "method": method.name} for method in descriptor.methods if _repeatable(method)
    ]
    retry_policy = {
        "maxAttempts": 3,
        "initialBackoff": "0.05s",
        "maxBackoff": "0.5s",
        "backoffMultiplier": 3,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        # A replica that says it does not serve gets no new calls: one that leaves says so before it closes connections.
        "healthCheckConfig": {"serviceName": ""},
        "methodConfig": [{"name": repeatable, "retryPolicy": retry_policy}] if repeatable else [],
        "retryThrottling": {"maxTokens": 20, "tokenRatio": 0.2},
    }
