"""The channel of a client: the same for good, or with TLS a new one whenever the certificates are."""

import asyncio
import logging
import time
from collections.abc import Collection
from typing import Any, cast

import grpc

from rostra_kit.carrier.channel import CarryingChannel
from rostra_kit.settings import ServiceAddress
from rostra_kit.tls import channel_credentials, client_files

logger = logging.getLogger(__name__)

# Longer than any stream; as long as a server lets a connection end.
_GRACE_SECONDS = 3600.0
_LOG_SECONDS = 10.0


class Channel:
    """A channel to all replicas of a service.

    Args:
        address: Where the replicas are.
        options: gRPC's, of the channel.
        carried_methods: Those whose calls are carried (`rostra_kit.carrier`), as `/package.Service/Method`.
        repeatable_methods: Those of them that may be repeated.

    Attributes:
        current: What calls are made on.
    """

    def __init__(
        self,
        address: ServiceAddress,
        options: list[tuple[str, Any]],
        carried_methods: Collection[str] = (),
        repeatable_methods: Collection[str] = (),
    ) -> None:
        self._address = address
        self._options = options
        self._carried_methods = carried_methods
        self._repeatable_methods = repeatable_methods
        self._files = client_files(address.tls) if address.tls else None
        self._closing: set[asyncio.Task[None]] = set()
        self._logged = float("-inf")
        self.current = self._open()

    def renew(self) -> bool:
        """Open another channel if there are new certificates; calls under way end on the one before."""
        if self._files is None or not self._files.have_changed():
            return False
        try:
            opened = self._open()
        except OSError:
            logger.exception("certificates cannot be read; the ones before stay")
            return False
        closing = asyncio.ensure_future(self.current.close(_GRACE_SECONDS))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self.current = opened
        logger.info("certificates renewed", extra={"target": self._address.target})
        return True

    def note(self, error: grpc.aio.AioRpcError) -> None:
        """Log why a call with TLS did not arrive, now and then: nobody else is told of certificates."""
        now = time.monotonic()
        if self._files and error.code() is grpc.StatusCode.UNAVAILABLE and now - self._logged > _LOG_SECONDS:
            self._logged = now
            details = {"target": self._address.target, "reason": error.details()}
            logger.warning("a service cannot be reached by TLS", extra=details)

    async def close(self) -> None:
        """Close all connections."""
        for closing in self._closing:
            closing.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self.current.close()

    def _open(self) -> grpc.aio.Channel:
        channel = self._open_plain()
        if not self._carried_methods:
            return channel
        carrying = CarryingChannel(channel, self._carried_methods, self._repeatable_methods)
        return cast(grpc.aio.Channel, carrying)  # for stubs it is one

    def _open_plain(self) -> grpc.aio.Channel:
        if self._files is None or self._address.tls is None:
            return grpc.aio.insecure_channel(self._address.target, options=self._options)
        options = [*self._options]
        if self._address.tls.server_name:
            options.append(("grpc.ssl_target_name_override", self._address.tls.server_name))
        return grpc.aio.secure_channel(self._address.target, channel_credentials(self._files), options=options)
