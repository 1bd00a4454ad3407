"""The HTTP client against servers that write byte for byte what a test says."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rostra_chat.providers.http import client as client_module
from rostra_chat.providers.http.client import Answer, HttpClient
from rostra_chat.providers.http.errors import BrokenAnswer, CannotConnect
from support.certificates import CertificateAuthority

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"


class Server:
    """Answers each request with the next of its answers, and keeps what it was asked.

    Attributes:
        requests: The requests, each with the number of its connection.
        asked: Set when there is one.
        connections: How many there were.
    """

    def __init__(self, *answers: bytes, then_closes: bool = False) -> None:
        self.requests: list[tuple[int, bytes]] = []
        self.connections = 0
        self.asked = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []
        self._answers = [*answers]
        self._then_closes = then_closes
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Server"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self.writers:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self.writers.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
                self.requests.append((number, head + await reader.readexactly(int(length or 0))))
                self.asked.set()
                if self._answers:
                    writer.write(self._answers.pop(0))
                    await writer.drain()
                    if self._then_closes:
                        writer.close()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def client_of(server: Server, *, max_connections: int = 10, tls: ssl.SSLContext | None = None) -> HttpClient:
    url = server.url.replace("http://127.0.0.1", "https://localhost") if tls else server.url
    return HttpClient(url, headers={"x-key": "k"}, max_connections=max_connections, connect_timeout_seconds=2, tls=tls)


def soon(seconds: float = 2.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def whole(answer: Answer) -> bytes:
    with answer:
        parts = []
        while part := await answer.read(deadline=soon()):
            parts.append(part)
        return b"".join(parts)


async def post(client: HttpClient, body: bytes = b"{}") -> bytes:
    return await whole(await client.call("POST", "/chat", body, deadline=soon()))


async def test_request_has_path_headers_and_body() -> None:
    async with Server(HELLO).serving() as server, client_of(server) as client:
        assert await post(client, b'{"a":1}') == b"hello"
    [(_, request)] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert body == b'{"a":1}'
    line, *headers = head.split(b"\r\n")
    assert line == b"POST /v1/chat HTTP/1.1"
    assert {b"host: 127.0.0.1:%d" % server.port, b"x-key: k", b"accept-encoding: identity"} < {*headers}


async def test_answer_has_status_and_headers_in_small_letters() -> None:
    teapot = b"HTTP/1.1 418 I'm a teapot\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    async with Server(teapot).serving() as server, client_of(server) as client:
        answer = await client.call("GET", "/models", deadline=soon())
        assert (answer.status, answer.headers["retry-after"], await whole(answer)) == (418, "7", b"")
    assert b"content-length" not in server.requests[0][1]


async def test_connection_is_used_again() -> None:
    chunked = OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    async with Server(HELLO, chunked, HELLO).serving() as server, client_of(server) as client:
        assert [await post(client) for _ in range(3)] == [b"hello", b"abcde", b"hello"]
    assert server.connections == 1


async def test_heads_before_the_real_one_are_skipped() -> None:
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    async with Server(hints + HELLO, HELLO).serving() as server, client_of(server) as client:
        answer = await client.call("POST", "/chat", b"{}", deadline=soon())
        assert (answer.status, answer.headers) == (200, {"content-length": "5"})
        assert await whole(answer) == b"hello"
        assert await post(client) == b"hello"
    assert server.connections == 1


async def test_body_without_length_lasts_until_the_connection_is_closed() -> None:
    async with Server(OK + b"\r\nhello", then_closes=True).serving() as server, client_of(server) as client:
        assert await post(client) == b"hello"


@pytest.mark.parametrize(
    "head", [b"content-length: 9\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n5\r\n"], ids=["length", "chunked"]
)
async def test_what_came_is_read_before_the_failure(head: bytes) -> None:
    async with Server(OK + head + b"hello", then_closes=True).serving() as server, client_of(server) as client:
        with await client.call("POST", "/chat", b"{}", deadline=soon()) as answer:
            assert await answer.read(deadline=soon()) == b"hello"
            with pytest.raises(BrokenAnswer):
                await answer.read(deadline=soon())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        OK + b"x: " + b"x" * 300_000,
    ],
    ids=["no end", "no HTTP", "an upgrade", "a head without end"],
)
async def test_answer_that_is_none_is_broken(answer: bytes) -> None:
    closes = len(answer) < 1000
    async with Server(answer, then_closes=closes).serving() as server, client_of(server) as client:
        with pytest.raises(BrokenAnswer):
            await post(client)


@pytest.mark.parametrize(
    "first",
    [
        OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        HELLO + HELLO,
    ],
    ids=["said so", "HTTP/1.0", "an answer too many"],
)
async def test_connection_is_not_used_again(first: bytes) -> None:
    async with Server(first, HELLO).serving() as server, client_of(server) as client:
        assert [await post(client) for _ in range(2)] == [b"hello", b"hello"]
    assert [number for number, _ in server.requests] == [1, 2]


async def test_connection_that_says_something_unasked_is_not_used_again() -> None:
    async with Server(HELLO, HELLO).serving() as server, client_of(server) as client:
        await post(client)
        server.writers[0].write(HELLO)
        await asyncio.sleep(0.05)
        await post(client)
    assert server.connections == 2


async def test_connection_that_the_server_closed_is_not_used_again() -> None:
    async with Server(HELLO, HELLO).serving() as server, client_of(server) as client:
        await post(client)
        server.writers[0].close()
        await asyncio.sleep(0.05)
        await post(client)
    assert server.connections == 2


async def test_connection_that_was_idle_for_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_KEEP_ALIVE_SECONDS", 0.05)
    async with Server(HELLO, HELLO).serving() as server, client_of(server) as client:
        await post(client)
        await asyncio.sleep(0.2)
        assert not client._connections
        await post(client)
    assert server.connections == 2


async def test_leaving_early_closes_the_connection() -> None:
    endless = OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
    async with Server(endless, HELLO).serving() as server, client_of(server) as client:
        with await client.call("POST", "/chat", b"{}", deadline=soon()) as answer:
            await answer.read(deadline=soon())
        await post(client)
        assert server.connections == 2


async def test_calls_beyond_the_most_connections_wait() -> None:
    async with Server(*[HELLO] * 6).serving() as server, client_of(server, max_connections=2) as client:
        first, second = [await client.call("POST", "/chat", b"{}", deadline=soon()) for _ in range(2)]
        with pytest.raises(TimeoutError):
            await client.call("POST", "/chat", b"{}", deadline=soon(0.05))
        third = asyncio.create_task(post(client))
        cancelled = asyncio.create_task(post(client))
        await asyncio.sleep(0.02)
        cancelled.cancel()
        assert [await whole(first), await whole(second), await third] == [b"hello"] * 3
        assert await asyncio.gather(*(post(client) for _ in range(3))) == [b"hello"] * 3
    assert server.connections == 2


async def test_silent_server_is_waited_for_until_the_deadline() -> None:
    async with Server().serving() as server, client_of(server, max_connections=1) as client:
        for _ in range(2):  # the place is free again
            with pytest.raises(TimeoutError):
                await client.call("POST", "/chat", b"{}", deadline=soon(0.05))


async def test_later_deadline_counts_and_a_nearer_one_too() -> None:
    begun = OK + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n"
    async with Server(begun).serving() as server, client_of(server) as client:
        with await client.call("POST", "/chat", b"{}", deadline=soon(0.1)) as answer:
            assert await answer.read(deadline=soon(0.1)) == b"a"
            asyncio.get_running_loop().call_later(0.15, server.writers[0].write, b"1\r\nb\r\n")
            assert await answer.read(deadline=soon(5)) == b"b"
            began = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError):
                await answer.read(deadline=soon(0.05))
            assert 0.04 <= asyncio.get_running_loop().time() - began < 1


async def test_time_between_reads_does_not_count() -> None:
    begun = OK + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n"
    async with Server(begun).serving() as server, client_of(server) as client:
        with await client.call("POST", "/chat", b"{}", deadline=soon()) as answer:
            assert await answer.read(deadline=soon(0.02)) == b"a"
            await asyncio.sleep(0.05)
            server.writers[0].write(b"1\r\nb\r\n")
            assert await answer.read(deadline=soon()) == b"b"


async def test_server_waits_for_a_slow_reader() -> None:
    size = 64 * 1024 * 1024
    answer = OK + b"content-length: %d\r\n\r\n" % size + bytes(size)
    async with Server(answer).serving() as server, client_of(server) as client:
        with await client.call("POST", "/chat", b"{}", deadline=soon()) as slow:
            await asyncio.sleep(0.3)
            assert client._connections.copy().pop()._unread_bytes < 2 * 1024 * 1024
            assert server.writers[0].transport.get_write_buffer_size() > size // 2
            read = 0
            while part := await slow.read(deadline=soon(10)):
                read += len(part)
            assert read == size


async def test_cancelled_call_gives_its_place_back() -> None:
    async with Server(b"", HELLO).serving() as server, client_of(server, max_connections=1) as client:
        calling = asyncio.create_task(post(client))
        await server.asked.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert await post(client) == b"hello"


async def test_server_is_verified(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    issued = authority.issue("localhost")
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(issued.certificate_file, issued.key_file)
    trusting = ssl.create_default_context(cafile=authority.ca_file)
    async with Server(HELLO).serving(served) as server:
        async with client_of(server, tls=trusting) as client:
            assert await post(client) == b"hello"
        async with client_of(server, tls=ssl.create_default_context()) as client:
            with pytest.raises(CannotConnect):
                await post(client)


async def test_nobody_there_is_told_apart() -> None:
    async with Server().serving() as server:
        port = server.port
    gone = HttpClient(f"http://127.0.0.1:{port}", headers={}, max_connections=1, connect_timeout_seconds=1)
    async with gone:
        for _ in range(2):
            with pytest.raises(CannotConnect):
                await gone.call("GET", "/", deadline=soon())


# uvloop leaks a socket whose transport is aborted so early, which only this test does.
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_connection_that_is_closed_at_once_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(client_module.Connection):
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self.abort()

    monkeypatch.setattr(client_module, "Connection", Closed)
    async with Server(HELLO).serving() as server, client_of(server, max_connections=1) as client:
        for _ in range(2):  # the place is free again
            async with asyncio.timeout(1):
                with pytest.raises(CannotConnect):
                    await client.call("POST", "/chat", b"{}", deadline=soon(60))
        assert not client._connections


async def test_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Server(HELLO).serving() as server, client_of(server) as client:
        [real] = await client._look_up()
        # Nothing listens at the first, as at the IPv6 address of a host that has only IPv4.
        dead = (*real[:4], ("127.0.0.2", server.port))

        async def both() -> object:
            return [dead, real]

        monkeypatch.setattr(client, "_look_up", both)
        assert await post(client) == b"hello"
