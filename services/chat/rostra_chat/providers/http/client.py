"""Calls to one server, each on a connection of its own, which are kept for the calls that follow."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohappyeyeballs

from rostra_chat.providers.http.connection import Connection
from rostra_chat.providers.http.errors import CannotConnect

# Servers such as uvicorn and Node close what was idle for 5 s. To be first means hardly ever to write to a connection
# that is being closed; that matters, because a call cannot be repeated when nobody knows whether it began.
_KEEP_ALIVE_SECONDS = 4.0
_ADDRESSES_SECONDS = 10.0
# The next address is tried beside one that has not answered for so long (RFC 8305).
_NEXT_ADDRESS_SECONDS = 0.25
# Who waits minutes for a whole answer hears nothing meanwhile. So that it is noticed when the other end is gone, and no
# gateway on the way forgets the connection: AWS's forget what was silent for 350 s.
_PROBES = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


class HttpClient:
    """Calls one server; an async context manager, which closes all connections.

    Args:
        base_url: What paths are appended to.
        headers: What every request says.
        max_connections: How many there are at most; further calls wait.
        connect_timeout_seconds: How long a connection may take to be made.
        tls: What an `https` server is verified by; the machine's authorities by default.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        max_connections: int,
        connect_timeout_seconds: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        url = urlsplit(base_url.rstrip("/"))
        is_secure = url.scheme == "https"
        self._host = url.hostname or ""
        self._port = url.port or (443 if is_secure else 80)
        self._path = url.path
        self._tls = (tls or ssl.create_default_context()) if is_secure else None
        fixed = {"host": url.netloc.rpartition("@")[2], "accept": "*/*", "accept-encoding": "identity", **headers}
        self._head = "".join(f"{name}: {value}\r\n" for name, value in fixed.items())
        self._connect_timeout_seconds = connect_timeout_seconds
        self._places = asyncio.Semaphore(max_connections)
        self._connections: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._addresses: list[tuple[int, int, int, str, tuple[str, int]]] = []
        self._addresses_until = 0.0
        self._is_closed = False

    async def __aenter__(self) -> Self:
        """Return the client; it connects with the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close all connections."""
        self._is_closed = True
        for connection in [*self._connections]:
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await asyncio.sleep(0)  # in which their transports end

    async def call(self, method: str, path: str, body: bytes | None = None, *, deadline: float | None) -> "Answer":
        """Send a request and return its answer once the head is there, to be closed.

        Args:
            method: The method.
            path: What is appended to the base URL.
            body: JSON.
            deadline: Until when to wait, by the loop's clock.

        Raises:
            CannotConnect: There is no connection.
            BrokenAnswer: The connection was closed, or what came is not HTTP.
            TimeoutError: The head was not there until the deadline.
        """
        length = "" if body is None else f"content-length: {len(body)}\r\n"
        head = f"{method} {self._path}{path} HTTP/1.1\r\n{self._head}{length}\r\n".encode("latin-1")
        connection = await self._take(deadline)
        try:
            await connection.ask(head + (body or b""), deadline=deadline)
        except BaseException:
            self._give_back(connection)
            raise
        return Answer(connection, self._give_back)

    async def _take(self, deadline: float | None) -> Connection:
        if self._places.locked():
            async with asyncio.timeout_at(deadline):
                await self._places.acquire()
        else:
            await self._places.acquire()
        try:
            oldest_kept = asyncio.get_running_loop().time() - _KEEP_ALIVE_SECONDS
            while self._idle:
                connection = self._idle.pop()
                if connection.is_reusable and connection.idle_since >= oldest_kept:
                    return connection
                connection.abort()
            async with asyncio.timeout_at(deadline):
                return await self._connect()
        except BaseException:
            self._places.release()
            raise

    def _give_back(self, connection: Connection) -> None:
        self._places.release()
        if self._is_closed or not connection.is_reusable:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(_KEEP_ALIVE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Close what was idle for too long."""
        loop = asyncio.get_running_loop()
        while self._idle and self._idle[0].idle_since <= loop.time() - _KEEP_ALIVE_SECONDS:
            self._idle.popleft().abort()
        self._sweeper = (
            loop.call_at(self._idle[0].idle_since + _KEEP_ALIVE_SECONDS, self._sweep) if self._idle else None
        )

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_seconds):
                chosen = await aiohappyeyeballs.start_connection(
                    await self._look_up(), happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, loop=loop
                )
                _have_probed(chosen)
                _, connection = await loop.create_connection(
                    lambda: Connection(self._connections.discard),
                    sock=chosen,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except (OSError, TimeoutError) as error:
            raise CannotConnect(f"No connection to {self._host}:{self._port}.") from error
        if not connection.is_open:  # nobody would ever hear of it again
            raise CannotConnect(f"{self._host}:{self._port} closed the connection at once.")
        self._connections.add(connection)
        return connection

    async def _look_up(self) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._addresses_until:
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self._addresses = [(*each[:4], each[4]) for each in found]
            self._addresses_until = loop.time() + _ADDRESSES_SECONDS
        return self._addresses


class Answer:
    """The answer to one request; a context manager, which ends the call if its body has not come whole.

    Attributes:
        status: The status.
        headers: The headers, their names in small letters.
        read: Reads the body, see `Connection.read`.
    """

    def __init__(self, connection: Connection, give_back: Callable[[Connection], None]) -> None:
        self.status = connection.status
        self.headers = connection.headers
        self.read = connection.read
        self._connection = connection
        self._give_back = give_back

    def __enter__(self) -> Self:
        """Return the answer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Keep the connection for the next call, or close it."""
        self._give_back(self._connection)


def _have_probed(connected: socket.socket) -> None:
    """Have the system ask for signs of life while nothing is sent."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES.items():
        if hasattr(socket, name):  # not all systems have all
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
