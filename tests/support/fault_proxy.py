"""A TCP address that can be broken: what is behind it is well, and its clients see it down, silent, slow or cut off."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from rostra_kit.ports import LOOPBACK, free_port

_CHUNK_BYTES = 65536
# Closing a socket with this sends a reset, whatever is left to be read or written.
_RESET = struct.pack("ii", 1, 0)


class FaultProxy:
    """Passes connections on to a port of this machine, until it is told to do worse.

    Args:
        target_port: Returns the port behind it, which need not be known before the first connection.

    Attributes:
        port: Its own port, the same for good.
    """

    def __init__(self, target_port: Callable[[], int]) -> None:
        self.port = free_port()
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.WriteTransport] = set()
        self._is_silent = False
        self._loses_answers = False
        self._delay_seconds = 0.0
        self._elsewhere: int | None = None

    def instead_of(self, url: str) -> str:
        """Return a URL with this address in place of its own."""
        parts = urlsplit(url)
        credentials, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{credentials}{at}{LOOPBACK}:{self.port}").geturl()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["FaultProxy"]:
        """Listen until the end."""
        await self.heal()
        try:
            yield self
        finally:
            await self.refuse()
            await asyncio.sleep(0.05)  # the connections' tasks end

    async def heal(self) -> None:
        """Pass everything on from now on; connections that lost something meanwhile stay silent."""
        self._is_silent, self._loses_answers, self._delay_seconds = False, False, 0.0
        if self._elsewhere is not None:
            self._elsewhere = None
            self.cut()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)

    async def refuse(self) -> None:
        """Cut all connections and take no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def cut(self) -> None:
        """Reset all connections."""
        for transport in list(self._transports):
            with suppress(OSError):
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()

    def fall_silent(self) -> None:
        """Take connections and everything they bring, and never answer."""
        self._is_silent = True

    def lose_answers(self) -> None:
        """Pass on what connections bring, so that it is done, and never answer."""
        self._loses_answers = True

    def slow_down(self, seconds: float) -> None:
        """Pass on each piece of an answer only after a while."""
        self._delay_seconds = seconds

    def lead_to(self, port: int) -> None:
        """Reset all connections, and lead new ones to another port."""
        self._elsewhere = port
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._transports.add(writer.transport)
        target: asyncio.StreamWriter | None = None
        try:
            target_reader, target = await asyncio.open_connection(LOOPBACK, self._elsewhere or self._target_port())
            self._transports.add(target.transport)
            await asyncio.gather(
                self._pass_requests(reader, target, writer), self._pass_on(target_reader, writer, answers=True)
            )
        except OSError:
            pass
        finally:
            for end in filter(None, (writer, target)):
                self._transports.discard(end.transport)
                end.transport.abort()

    async def _pass_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _back: asyncio.StreamWriter
    ) -> None:
        """Pass on what a client says; `_back` is where answers go."""
        await self._pass_on(reader, writer, answers=False)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        was_silent = False
        while data := await reader.read(_CHUNK_BYTES):
            if answers and self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            # What was lost once is never made up for.
            was_silent = was_silent or self._is_silent or (answers and self._loses_answers)
            if not was_silent:
                writer.write(data)
        if not (was_silent or self._is_silent):
            writer.transport.abort()
