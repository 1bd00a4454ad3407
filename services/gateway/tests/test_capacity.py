"""A gateway that has as many requests under way as it may refuses others at once, and serves what it accepted."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest

from rostra_gateway.settings import RequestSettings
from services.gateway.tests.conftest import Gateway, Services, StartGateway, connect

CHAT = "/v1/chat/completions"
STREAM = {"model": "endless", "messages": [{"role": "user", "content": "x"}], "stream": True}
PLACES = 4


@pytest.fixture
async def small(start_gateway: StartGateway) -> Gateway:
    return await start_gateway(request=RequestSettings(max_under_way=PLACES))


async def test_refusals_that_have_not_happened_yet_are_shown_as_zero(small: Gateway) -> None:
    assert small.registry.get_sample_value("rostra_gateway_refusals_total", {"limit": "under_way"}) == 0


async def test_twelve_streams_of_a_gateway_with_four_places_are_four_and_eight_refusals(
    small: Gateway, alice: str, services: Services
) -> None:
    async with connect(small, alice) as client, AsyncExitStack() as open_streams:

        async def ask() -> httpx.Response:
            return await client.send(client.build_request("POST", CHAT, json=STREAM), stream=True)

        answers = await asyncio.gather(*(ask() for _ in range(12)))
        for answer in answers:
            open_streams.push_async_callback(answer.aclose)
        accepted = [answer for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code == 503]
        assert (len(accepted), len(refused)) == (PLACES, 8)
        for answer in refused:
            error = httpx.Response(503, content=await answer.aread()).json()["error"]
            assert (error["type"], error["code"]) == ("server_error", "server_is_overloaded")
            assert answer.headers["retry-after"] == "1"
            assert "x-should-retry" not in answer.headers
        assert small.metric("rostra_gateway_requests_under_way") == PLACES
        assert small.metric("rostra_gateway_refusals_total", limit="under_way") == 8
        assert [(await client.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 200]
        # Those that were accepted go on.
        for answer in accepted:
            pieces = answer.aiter_bytes()
            assert await anext(pieces)
        # One place comes free, and is somebody's.
        await accepted[0].aclose()
        async with asyncio.timeout(5):
            while (await client.get("/v1/models")).status_code != 200:  # noqa: ASYNC110 - a client polls
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("model", ["echo", "away", "breaks"])
async def test_place_is_free_again_after_every_ending(small: Gateway, alice: str, model: str) -> None:
    async with connect(small, alice) as client:
        for _ in range(2 * PLACES):
            answer = await client.post(CHAT, json=STREAM | {"model": model})
            assert "server_is_overloaded" not in answer.text
            answer = await client.post(CHAT, content=b"{")
            assert answer.status_code == 400
    async with asyncio.timeout(5):
        while small.metric("rostra_gateway_requests_under_way"):  # noqa: ASYNC110 - a gauge offers no event
            await asyncio.sleep(0.01)
