"""The streams of a gateway that was killed count for no longer than they are held."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from rostra_stack.stack import Stack
from support.openai_error import refusal
from support.provider import ScriptedProvider
from support.stack import create_key, own_stack, register

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

_HOLD_SECONDS = 3.0
_BODY = {"model": "long-500-20", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Yield a stack with two gateways, which hold streams for a few seconds."""
    environment = {"ROSTRA_GATEWAY_STREAM_HOLD_SECONDS": str(_HOLD_SECONDS)}
    async with (
        ScriptedProvider() as provider,
        own_stack(tmp_path_factory.mktemp("hold"), provider=provider, environment=environment, gateways=2) as stack,
    ):
        yield stack


async def test_slots_of_a_killed_gateway_are_free_after_the_hold_and_living_streams_keep_theirs(stack: Stack) -> None:
    url = stack.gateway_urls[1]
    key = create_key(url, register(url), concurrent_streams=2)
    headers = {"authorization": f"Bearer {key}"}
    first, second = (httpx.AsyncClient(base_url=url, headers=headers, timeout=20) for url in stack.gateway_urls)

    async def open_stream(client: httpx.AsyncClient) -> httpx.Response:
        return await client.send(client.build_request("POST", "/v1/chat/completions", json=_BODY), stream=True)

    async with first, second:
        doomed, living = await open_stream(first), await open_stream(second)
        assert (doomed.status_code, living.status_code) == (200, 200)
        killed = time.monotonic()
        await stack.children["gateway-1"].kill()
        while (answer := await open_stream(second)).status_code != 200:
            await answer.aread()
            refusal(answer, 429)
            assert time.monotonic() - killed < _HOLD_SECONDS + 2
            await asyncio.sleep(0.1)
        # One slot came free, not the one of the stream that goes on: it is renewed while it lasts.
        await asyncio.sleep(max(0.0, killed + _HOLD_SECONDS + 1 - time.monotonic()))
        refused = await open_stream(second)
        await refused.aread()
        refusal(refused, 429)
        for stream in (doomed, living, answer):
            await stream.aclose()
