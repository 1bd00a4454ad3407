"""A gRPC channel whose calls are carried: on one stream to each replica, and by gRPC itself while there is none."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import grpc

from rostra_kit.carrier.calls import Call, RepeatableCall, StreamCall, UnaryCall
from rostra_kit.carrier.frames import Metadata
from rostra_kit.carrier.links import Links

# A longer request has a stream of its own, on which gRPC sends it in turns with others.
_LONGEST_BYTES = 64 * 1024


class CarryingChannel:
    """Stands in for a gRPC channel where stubs make calls.

    Args:
        channel: Leads to all replicas.
        methods: What is carried, as `/package.Service/Method`.
        repeatable_methods: Those of them that may be repeated; each answers once.
    """

    def __init__(
        self, channel: grpc.aio.Channel, methods: Collection[str], repeatable_methods: Collection[str] = ()
    ) -> None:
        self._channel = channel
        self._methods = methods
        self._repeatable_methods = repeatable_methods
        self._links = Links(channel)

    def unary_unary(self, method: str, **options: Any) -> Any:
        """Return a method that answers once."""
        plain: Any = self._channel.unary_unary(method, **options)
        if method not in self._methods:
            return plain
        repeatable = method in self._repeatable_methods
        return _Method(method, plain, self._links, UnaryCall, is_repeatable=repeatable, **options)

    def unary_stream(self, method: str, **options: Any) -> Any:
        """Return a method whose answer is a stream."""
        plain: Any = self._channel.unary_stream(method, **options)
        return _Method(method, plain, self._links, StreamCall, **options) if method in self._methods else plain

    async def close(self, grace: float | None = None) -> None:
        """Close all connections, at the latest after `grace` seconds; calls under way may end until then."""
        await self._links.close()
        await self._channel.close(grace)


class _Method:
    """A method of a stub."""

    def __init__(
        self,
        method: str,
        plain: Callable[..., Any],
        links: Links,
        kind: type[Call[Any]],
        *,
        is_repeatable: bool = False,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        **_options: object,
    ) -> None:
        self._name = method
        self._method = method.encode()  # as gRPC's methods have it
        self._plain = plain
        self._links = links
        self._kind = kind
        self._is_repeatable = is_repeatable
        self._serialize = request_serializer
        self._deserialize = response_deserializer

    def __call__(self, request: Any, *, timeout: float | None = None, metadata: Metadata = ()) -> Any:
        """Begin a call."""
        call = self._begin(request, metadata, timeout)
        if self._is_repeatable and isinstance(call, self._kind):  # else gRPC repeats it
            return RepeatableCall(call, partial(self._begin, request, metadata), timeout)
        return call

    def _begin(self, request: Any, metadata: Metadata, timeout: float | None) -> Any:
        link = self._links.pick()
        if link is None or request.ByteSize() > _LONGEST_BYTES:
            return self._plain(request, timeout=timeout, metadata=metadata)
        return self._kind(link, self._name, self._serialize(request), timeout, metadata, self._deserialize)
