"""A provider that costs next to nothing: `make bench` asks it directly, through Rostra and through its peers.

It speaks just enough HTTP for that, on bare asyncio protocols. The model's name says how it answers: `bench-50-20`
makes 50 chunks, one every 20 ms; `bench-50-0` makes them as fast as it can, each a write of its own; `bench-50-all`
writes them all at once; without `stream` the answer comes whole and at once. It prints its address.
"""

import asyncio
import json
import re
import sys
import time

import uvloop

MODELS = ("bench-50-0", "bench-50-20", "bench-100-5", "bench-100-20", "bench-100-all")
_STREAMED = re.compile(rb'"stream"\s*:\s*true')
_MODEL = re.compile(rb'"model"\s*:\s*"bench-(\d+)-(\d+|all)"')
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CREATED = 1_700_000_000
_USAGE = {"prompt_tokens": 12, "completion_tokens": 50, "total_tokens": 62}


def _json_answer(document: object) -> bytes:
    body = json.dumps(document, separators=(",", ":")).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def _event(document: object) -> bytes:
    return _http_chunk(b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n")


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _completion_chunk(**members: object) -> dict[str, object]:
    identity = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": _CREATED, "model": "bench"}
    return {**identity, "choices": [], **members}


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


_MODELS_ANSWER = _json_answer(
    {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": _CREATED, "owned_by": "bench"} for name in MODELS],
    }
)
_WHOLE_ANSWER = _json_answer(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": _CREATED,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "The rostra was the speakers' platform of the forum."},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": _USAGE,
    }
)
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_TOKEN = _event(_completion_chunk(choices=[_choice({"content": " token"})]))
_STREAM_END = (
    _event(_completion_chunk(choices=[_choice({}, "stop")]))
    + _event(_completion_chunk(usage=_USAGE))
    + _http_chunk(b"data: [DONE]\n\n")
    + b"0\r\n\r\n"
)


class _Connection(asyncio.Protocol):
    """Answers the requests of one connection, one after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvloop has it
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._received[:head_end]
        length = _LENGTH.search(head)
        end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < end:
            return
        body, self._received = self._received[head_end + 4 : end], self._received[end:]
        self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET"):
            self._transport.write(_MODELS_ANSWER)
        elif not _STREAMED.search(body):
            self._transport.write(_WHOLE_ANSWER)
        else:
            model = _MODEL.search(body)
            assert model, body
            if model[2] == b"all":
                self._transport.write(_STREAM_HEAD + int(model[1]) * _TOKEN + _STREAM_END)
                return
            self._transport.write(_STREAM_HEAD)
            self._write_tokens(int(model[1]), int(model[2]) / 1000, time.perf_counter(), 0)

    def _write_tokens(self, left: int, pause_seconds: float, began: float, written: int) -> None:
        if self._transport.is_closing():
            return
        if not left:
            self._transport.write(_STREAM_END)
            return
        self._transport.write(_TOKEN)
        following = (left - 1, pause_seconds, began, written + 1)
        if not pause_seconds:
            self._loop.call_soon(self._write_tokens, *following)
            return
        # By the clock, so that a late chunk delays none of the others.
        due = began + (written + 1) * pause_seconds - time.perf_counter()
        self._loop.call_later(max(0.0, due), self._write_tokens, *following)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=2048)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
