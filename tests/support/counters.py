"""Counts what a request costs, where it happens: at Redis' socket, in SQLite, around gRPC's codecs, at the client's.

None of it depends on how fast the machine is.
"""

import socket
import socketserver
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

import grpc
from hiredis import Reader

from rostra_gateway.protocol import EdgeProtocol


class CountingRedisProxy:
    """A way to Redis that counts the commands, and the writes by which they came: what one round trip carries is one.

    It runs in threads of its own, so that it shows in no other count.
    """

    def __init__(self, host: str, port: int, counts: Counter[str]) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                _pass_on(self.request, (host, port), counts)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"redis://127.0.0.1:{self._server.server_address[1]}/0"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _pass_on(client: socket.socket, address: tuple[str, int], counts: Counter[str]) -> None:
    with socket.create_connection(address) as server:
        threading.Thread(target=_copy, args=(server, client), daemon=True).start()
        commands = Reader()
        while received := _received(client):
            commands.feed(received)
            found = 0
            while (command := commands.gets()) is not False:
                found += command[0].upper() not in _OWN_LIFE
            counts["redis_commands"] += found
            counts["redis_round_trips"] += found > 0
            server.sendall(received)


# What connections and consumers do while nobody asks for anything.
_OWN_LIFE = {b"CLIENT", b"HELLO", b"PING", b"SUBSCRIBE", b"XREADGROUP", b"XREAD", b"XAUTOCLAIM", b"XINFO", b"XPENDING"}


def _copy(source: socket.socket, target: socket.socket) -> None:
    while received := _received(source):
        try:
            target.sendall(received)
        except OSError:
            return


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""


# What runners of background responses do again and again, more often in the time that a slow machine takes.
_BY_THE_CLOCK = {"ClaimResponse", "RenewLeases"}


class CountingServer:
    """A gRPC server, to be registered with, whose calls' messages are counted as they are read and written."""

    def __init__(self, server: grpc.aio.Server, counts: Counter[str]) -> None:
        self._server = server
        self._counts = counts

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Add the handlers, counting."""
        counted = {
            name: handler if name in _BY_THE_CLOCK else self._counting(handler) for name, handler in handlers.items()
        }
        self._server.add_registered_method_handlers(service, counted)

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Leave out what generated code adds besides, for callers that know no registered methods."""

    def _counting(self, handler: Any) -> Any:
        return handler._replace(
            request_deserializer=self._counter("grpc_calls", handler.request_deserializer),
            response_serializer=self._counter("grpc_messages", handler.response_serializer),
        )

    def _counter(self, name: str, codec: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def counted(message: Any) -> Any:
            self._counts[name] += 1
            return codec(message)

        return counted


@contextmanager
def counted_client_writes(counts: Counter[str]) -> Iterator[None]:
    """Count what the gateway writes to its clients' sockets."""
    made = EdgeProtocol.connection_made

    def connection_made(self: EdgeProtocol, transport: Any) -> None:
        made(self, _CountingTransport(transport, counts))

    EdgeProtocol.connection_made = connection_made  # type: ignore[method-assign]
    try:
        yield
    finally:
        EdgeProtocol.connection_made = made  # type: ignore[method-assign]


class _CountingTransport:
    def __init__(self, transport: Any, counts: Counter[str]) -> None:
        self._transport = transport
        self._counts = counts

    def write(self, data: bytes) -> None:
        self._counts["client_writes"] += 1
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@contextmanager
def counted_sql(counts: Counter[str]) -> Iterator[None]:
    """Count the statements of every SQLite database that this process opens meanwhile."""
    connect = sqlite3.connect

    def count(statement: str) -> None:
        if not statement.startswith(("--", "PRAGMA", "BEGIN", "COMMIT", "ROLLBACK")):
            counts["sql_statements"] += 1

    def counting_connect(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.set_trace_callback(count)
        return connection

    sqlite3.connect = counting_connect  # type: ignore[assignment]
    try:
        yield
    finally:
        sqlite3.connect = connect


@contextmanager
def counted_function_calls(counts: Counter[str]) -> Iterator[None]:
    """Count the calls of Python functions, and the turns of coroutines, in this thread."""

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            counts["function_calls"] += 1

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)
