"""Requests that were right once, with bytes changed: the gateway refuses them or answers, soon, and lives on."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from rostra_stack.stack import Stack
from support.fuzzing import fuzz_random, fuzz_requests, resident_megabytes
from support.stack import Account, own_stack, register

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600), pytest.mark.asyncio(loop_scope="module")]

_MOST_SECONDS = 5.0
_AT_ONCE = 24
# What is not whole is not waited for long, so that what takes long is a hang. Redis is waited for: signing in is
# refused with 503 where limits cannot be checked in time.
_HASTY = {
    "ROSTRA_GATEWAY_REQUEST__MAX_HEAD_SECONDS": "0.5",
    "ROSTRA_GATEWAY_REQUEST__MAX_UPLOAD_SECONDS": "0.5",
    "ROSTRA_GATEWAY_IMPORTS__MAX_UPLOAD_SECONDS": "0.5",
    "ROSTRA_GATEWAY_IDEMPOTENCY__WAIT_SECONDS": "1",
    "ROSTRA_GATEWAY_ADDRESS_LIMITS__SIGN_INS_PER_MINUTE": "1000000",
    "ROSTRA_GATEWAY_REDIS__LIMITER_TIMEOUT_SECONDS": "4",
}
_MOST_GROWTH_MEGABYTES = 60.0
_ODD = (
    *(b"\r\n", b"\n", b"\r", b"\x00", b"\xff", b" ", b"\t", b":", b"{", b"}", b"[", b'"', b"\\u0000", b"\\ud800"),
    *(b"%00", b"%ff", b"../", b"?", b"#", b"-1", b"1e999", b"NaN", b"null", b"9" * 40, b"A" * 5000, b"0x10"),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"HTTP/1.1"),
    *(b"Connection: close\r\n", b"Content-Encoding: gzip\r\n", b"Upgrade: h2c\r\n", b"Idempotency-Key: x\r\n"),
)
_ITEM = {"role": "user", "content": "Hi"}
_REQUESTS: tuple[tuple[str, str, object], ...] = (
    ("POST", "/v1/chat/completions", {"model": "echo", "messages": [_ITEM], "stream": True, "max_tokens": 5}),
    ("POST", "/v1/responses", {"model": "echo", "input": [_ITEM], "max_output_tokens": 5, "metadata": {"a": "b"}}),
    ("POST", "/v1/responses", {"model": "echo", "input": "Hi", "stream": True, "store": False}),
    ("POST", "/v1/responses/input_tokens", {"model": "echo", "input": "Hi", "tools": []}),
    ("POST", "/v1/conversations", {"items": [_ITEM], "metadata": {}}),
    ("POST", "/v1/conversations/import", {"object": "conversation.export", "version": 1, "items": []}),
    ("POST", "/v1/auth/login", {"email": "a@example.com", "password": "not the right one"}),
    ("POST", "/v1/auth/refresh", {"refresh_token": "none"}),
    ("POST", "/v1/api_keys", {"name": "a key", "limits": {"requests_per_minute": 5}}),
    ("PATCH", "/v1/me", {"name": "Cicero"}),
    ("GET", "/v1/conversations?limit=5&order=desc&after=conv_1", None),
    ("GET", "/v1/conversations/search?query=rome&limit=2", None),
    ("GET", "/v1/responses/resp_1?stream=true&starting_after=4", None),
    ("GET", "/v1/usage?start_time=1&end_time=2", None),
    ("GET", "/v1/models/echo", None),
    ("GET", "/share/share_1?after=msg_1", None),
    ("DELETE", "/v1/api_keys/key_1", None),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with own_stack(tmp_path_factory.mktemp("fuzzed"), environment=_HASTY) as stack:
        yield stack


class Mutator:
    """Makes requests, most of them wrong."""

    def __init__(self, choice: random.Random, account: Account) -> None:
        self._choice = choice
        self._account = account

    def request(self) -> bytes:
        """Return one."""
        method, path, document = self._choice.choice(_REQUESTS)
        body = b"" if document is None else json.dumps(document).encode()
        credential = self._choice.choice((self._account.api_key, self._account.access_token))
        if self._choice.random() < 0.5:
            body = self._mutate(body)
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {credential}\r\n"
        request = f"{head}Content-Type: application/json\r\n{length}\r\n".encode() + body
        return request if self._choice.random() < 0.3 else self._mutate(request)

    def _mutate(self, data: bytes) -> bytes:
        for _ in range(self._choice.randint(1, 4)):
            at, end = sorted(self._choice.randint(0, len(data)) for _ in range(2))
            match self._choice.randrange(6):
                case 0:
                    data = data[:at] + self._choice.choice(_ODD) + data[at:]
                case 1:
                    data = data[:at] + self._choice.choice(_ODD) + data[end:]
                case 2:
                    data = data[:at] + self._choice.randbytes(self._choice.randint(1, 8)) + data[at:]
                case 3:
                    data = data[:at] + data[min(end, at + 20) :]
                case 4:
                    data = data[:end] + data[at:end] + data[end:]
                case 5 if data:
                    place = min(at, len(data) - 1)
                    data = data[:place] + bytes([data[place] ^ 1 << self._choice.randrange(8)]) + data[place + 1 :]
        return data


async def exchange(port: int, data: bytes) -> bytes:
    """Return the beginning of what is answered; nothing when the gateway hangs up.

    Raises:
        TimeoutError: It does neither, though what it may wait for is not to be waited for any more.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(_MOST_SECONDS):
            return await reader.read(512)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_mutated_requests_break_nothing(fuzzed: Stack, tmp_path: Path) -> None:
    base_url = fuzzed.gateway_urls[0]
    port = httpx.URL(base_url).port or 0
    mutator = Mutator(fuzz_random(), register(base_url))
    left, statuses = fuzz_requests(), Counter[str]()
    bad: dict[bytes, bytes] = {}
    slow: list[bytes] = []
    pids = {name: child.pid for name, child in fuzzed.children.items()}
    sizes: list[dict[str, float]] = []

    async def send(count: int) -> None:
        for _ in range(count):
            data = mutator.request()
            try:
                answer = await exchange(port, data)
            except TimeoutError:
                slow.append(data)
                continue
            status = answer[9:12].decode("latin-1")
            statuses[status] += 1
            if status.startswith("5") or (answer and not answer.startswith(b"HTTP/1.1 ")):
                bad[data] = answer

    started = time.monotonic()
    for part in (left // 3, left // 3, left // 3):
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(send(part // _AT_ONCE))
        sizes.append({name: resident_megabytes(pid) for name, pid in pids.items()})
    for data in slow:
        # A busy machine is slow to answer any of many at once; a request that hangs does so alone as well.
        try:
            await exchange(port, data)
        except TimeoutError:
            bad[data] = b"hangs"
    print(f"{len(slow)} slow: {slow[:5]}")  # noqa: T201 - it tells of the machine
    print(f"{statuses.total()} requests in {time.monotonic() - started:.0f} s: {dict(statuses)}; MB: {sizes}")  # noqa: T201
    assert not bad, list(bad.items())[:5]
    assert {"200", "400", "404"} <= set(statuses)
    assert {name: child.pid for name, child in fuzzed.children.items() if child.is_running} == pids
    for name in pids:
        assert sizes[-1][name] - sizes[0][name] < _MOST_GROWTH_MEGABYTES, sizes
    async with httpx.AsyncClient(base_url=base_url) as http:
        assert (await http.get("/readyz")).status_code == 200
