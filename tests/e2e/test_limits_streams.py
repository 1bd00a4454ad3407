"""Open streams are counted over all gateways, and a slot is free again whatever ends its stream."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from support.openai_error import refusal
from support.stack import Account, SharedStack, create_key

pytestmark = pytest.mark.e2e

_PATHS = ("/v1/chat/completions", "/v1/responses")
_LONG, _SHORT = "long-500-20", "ok"


class Streams:
    """The streams that one key has open, over all gateways."""

    def __init__(self, urls: list[str], api_key: str) -> None:
        headers = {"authorization": f"Bearer {api_key}"}
        self._clients = [httpx.AsyncClient(base_url=url, headers=headers, timeout=30) for url in urls]
        self._open: list[httpx.Response] = []

    async def open(self, model: str = _LONG, *, path: str = _PATHS[0], gateway: int = 0) -> httpx.Response:
        """Ask for a stream and return the answer once its first bytes are there, or the refusal, read to its end."""
        client = self._clients[gateway]
        body = {"model": model, "stream": True, "input": "Hi"}
        if path == _PATHS[0]:
            body["messages"] = [{"role": "user", "content": body.pop("input")}]
        answer = await client.send(client.build_request("POST", path, json=body), stream=True)
        if answer.status_code == 200:
            self._open.append(answer)
        else:
            await answer.aread()
        return answer

    async def until_admitted(self, *, timeout_seconds: float) -> None:
        """Ask until a stream is admitted."""
        started = time.monotonic()
        while (answer := await self.open()).status_code != 200:
            assert time.monotonic() - started < timeout_seconds, answer.text
            await asyncio.sleep(0.05)

    async def complete(self) -> httpx.Response:
        """Ask for an answer that is not streamed."""
        return await self._clients[0].post(
            _PATHS[0], json={"model": _SHORT, "messages": [{"role": "user", "content": "Hi"}]}
        )

    async def close(self) -> None:
        """Leave all of them."""
        for answer in self._open:
            await answer.aclose()
        for client in self._clients:
            await client.aclose()


@pytest.fixture
async def streams(stack: SharedStack, account: Account) -> AsyncIterator[Streams]:
    key = create_key(stack.gateway_urls[0], account, concurrent_streams=3)
    async with AsyncExitStack() as exit_stack:
        streams = Streams(stack.gateway_urls, key)
        exit_stack.push_async_callback(streams.close)
        yield streams


@pytest.mark.parametrize("path", _PATHS)
async def test_one_stream_too_many_is_refused_on_every_gateway(streams: Streams, path: str) -> None:
    for number in range(3):
        assert (await streams.open(path=path, gateway=number % 2)).status_code == 200
    for gateway in (0, 1):
        answer = await streams.open(path=path, gateway=gateway)
        error = refusal(answer, 429)
        assert error["code"] == "rate_limit_exceeded"
        assert "Too many streams are open at once: Limit 3." in error["message"]
        assert answer.headers["retry-after"] == "1"
        assert "x-should-retry" not in answer.headers


async def test_streams_at_once_are_admitted_up_to_the_limit(streams: Streams) -> None:
    answers = await asyncio.gather(*(streams.open(gateway=number % 2) for number in range(9)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 6


async def test_slot_is_free_when_a_stream_ends(streams: Streams) -> None:
    await streams.open()
    await streams.open()
    last = await streams.open(_SHORT, gateway=1)
    assert (await last.aread()).endswith(b"data: [DONE]\n\n")
    await streams.until_admitted(timeout_seconds=2)


async def test_slot_is_free_when_a_client_leaves(streams: Streams) -> None:
    await streams.open()
    await streams.open()
    leaving = await streams.open(gateway=1)
    assert (await streams.open()).status_code == 429
    await leaving.aclose()
    await streams.until_admitted(timeout_seconds=2)


@pytest.mark.parametrize("model", ["status-500", "close-mid-stream", "no-such-model"])
async def test_slot_is_free_when_a_stream_fails(streams: Streams, model: str) -> None:
    for number in range(6):
        answer = await streams.open(model, gateway=number % 2)
        assert answer.status_code != 429, answer.text
        await answer.aread()


async def test_answers_that_are_not_streamed_need_no_slot(streams: Streams) -> None:
    for number in range(3):
        await streams.open(gateway=number % 2)
    answer = await streams.complete()
    assert answer.status_code == 200, answer.text
