"""The load of `make bench`: so many callers on connections of their own, on bare asyncio protocols; prints what it saw.

    python bench_caller.py http://127.0.0.1:8080/v1/chat/completions --callers 64 --seconds 5 < request.json

The file has the request's `headers` and `body`; it is written once and sent again and again. Times are in milliseconds:
`total` is a whole call, `first` the time to the first byte of a body, `gap` that between two reads with tokens in them;
a stall is a gap of more than a second.
"""

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_STATUS_AT = len(b"HTTP/1.1 ")
_TOKEN = b'"content":" token"'
_STALL_SECONDS = 1.0


class Seen:
    """What all callers saw together."""

    def __init__(self) -> None:
        self.calls = self.tokens = self.failed = 0
        self.total: list[float] = []
        self.first: list[float] = []
        self.gap: list[float] = []
        self.first_failure = ""


class Caller(asyncio.Protocol):
    """Sends its request whenever the answer to the one before has come whole, until it is told to stop."""

    def __init__(self, request: bytes, seen: Seen, until: float) -> None:
        self._request = request
        self._seen = seen
        self._until = until
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvloop has it
        self._transport = transport
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self._seen.failed += 1
            self._seen.first_failure = self._seen.first_failure or f"connection lost: {exc}"
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._received += data
        if not self._body_at:
            head_end = self._received.find(b"\r\n\r\n")
            if head_end < 0:
                return
            self._body_at = head_end + 4
            length = _LENGTH.search(self._received, 0, head_end)
            self._end_at = self._body_at + int(length[1]) if length else 0
        if len(self._received) > self._body_at:
            self._note(data, now)
        if self._is_whole():
            self._finish(now)

    def _note(self, data: bytes, now: float) -> None:
        if not self._last:
            self._seen.first.append(now - self._began)
        elif _TOKEN in data:
            self._seen.gap.append(now - self._last)
        self._last = now

    def _is_whole(self) -> bool:
        if not self._body_at:
            return False
        if self._end_at:
            return len(self._received) >= self._end_at
        return self._received.endswith(b"0\r\n\r\n")

    def _finish(self, now: float) -> None:
        seen = self._seen
        seen.calls += 1
        seen.tokens += self._received.count(_TOKEN)
        seen.total.append(now - self._began)
        if self._received[_STATUS_AT : _STATUS_AT + 3] != b"200" or (
            not self._end_at and b"[DONE]" not in self._received
        ):
            seen.failed += 1
            seen.first_failure = seen.first_failure or self._received[:600].decode(errors="replace")
        if now < self._until:
            self._send()
        else:
            self.ended.set_result(None)
            self._transport.close()

    def _send(self) -> None:
        self._received = bytearray()
        self._body_at = self._end_at = 0
        self._last = 0.0
        self._began = time.perf_counter()
        self._transport.write(self._request)


def request_bytes(url: str, headers: Mapping[str, str], body: Mapping[str, object]) -> bytes:
    """Return a request as it goes over the wire."""
    split = urlsplit(url)
    data = json.dumps(body).encode()
    all_headers = {
        "host": split.netloc,
        "content-type": "application/json",
        "content-length": str(len(data)),
        **headers,
    }
    lines = [f"POST {split.path} HTTP/1.1", *(f"{name}: {value}" for name, value in all_headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + data


async def call(request: bytes, address: tuple[str, int], *, callers: int, seconds: float, spread: float) -> Seen:
    """Let all callers call for a while; they begin spread over a time, as people do."""
    seen, loop = Seen(), asyncio.get_running_loop()
    until = time.perf_counter() + seconds

    async def one(number: int) -> None:
        await asyncio.sleep(spread * number / callers)
        _, caller = await loop.create_connection(lambda: Caller(request, seen, until), *address)
        await caller.ended

    await asyncio.gather(*(one(number) for number in range(callers)))
    return seen


def _summary(seen: Seen, elapsed: float) -> dict[str, object]:
    return {
        "elapsed": elapsed,
        "calls": seen.calls,
        "tokens": seen.tokens,
        "failed": seen.failed,
        "first_failure": seen.first_failure,
        "total": _percentiles(seen.total),
        "first": _percentiles(seen.first),
        "gap": _percentiles(seen.gap),
        "stalls": sum(gap > _STALL_SECONDS for gap in seen.gap),
    }


def _percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {
        f"p{part}": round(ordered[min(len(ordered) - 1, len(ordered) * part // 100)] * 1000, 3) for part in (50, 90, 99)
    }


def main() -> None:
    """Call, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--callers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--spread", type=float, default=0.0)
    arguments = parser.parse_args()
    told = json.load(sys.stdin)
    split = urlsplit(arguments.url)
    request = request_bytes(arguments.url, told["headers"], told["body"])
    began = time.perf_counter()
    seen = uvloop.run(
        call(
            request,
            (split.hostname or "", split.port or 80),
            callers=arguments.callers,
            seconds=arguments.seconds,
            spread=arguments.spread,
        )
    )
    sys.stdout.write(json.dumps(_summary(seen, time.perf_counter() - began)) + "\n")


if __name__ == "__main__":
    main()
