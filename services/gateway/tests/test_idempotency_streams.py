"""Streams with an `Idempotency-Key`: what has passed is played again, and background responses are followed."""

import asyncio

import httpx
import pytest
from redis.asyncio import Redis

from rostra_gateway.settings import IdempotencySettings
from services.gateway.tests.conftest import Services, StartGateway, connect
from services.gateway.tests.fake_background import frame
from services.gateway.tests.test_background import frames

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
REPLAYED = "idempotent-replayed"
KEY = {"idempotency-key": "one"}
HEARTBEAT = ": heartbeat\n\n"


def chat(model: str) -> dict:
    return {"model": model, "messages": [{"role": "user", "content": "x"}], "stream": True}


def background(model: str) -> dict:
    return {"model": model, "input": "x", "stream": True, "background": True}


async def until_free(redis: Redis) -> None:
    async with asyncio.timeout(5):
        while [key async for key in redis.scan_iter("idem:*")]:  # noqa: ASYNC110 - the product has no use for an event
            await asyncio.sleep(0.01)


async def test_stream_is_played_again_without_its_heartbeats(
    start_gateway: StartGateway, alice: str, services: Services
) -> None:
    async with connect(await start_gateway(heartbeat_seconds=0.05), alice) as client:
        async with client.stream("POST", CHAT, json=chat("pauses"), headers=KEY) as stream:
            pieces = stream.aiter_text()
            text = ""
            while HEARTBEAT not in text:
                text += await anext(pieces)
            services.chat.proceed.set()
            text += "".join([piece async for piece in pieces])
        again = await client.post(CHAT, json=chat("pauses"), headers=KEY)
    assert again.text == text.replace(HEARTBEAT, "")
    assert again.text.endswith("data: [DONE]\n\n")
    assert again.headers[REPLAYED] == "true"
    assert again.headers["content-type"] == stream.headers["content-type"]
    assert again.headers["cache-control"] == "no-cache"
    assert len(services.chat.bodies) == 1


async def test_broken_stream_is_not_kept(client: httpx.AsyncClient, services: Services, redis: Redis) -> None:
    for _ in range(2):
        answer = await client.post(CHAT, json=chat("breaks"), headers=KEY)
        assert '"stream_interrupted"' in answer.text
        await until_free(redis)
    assert len(services.chat.bodies) == 2


async def test_stream_that_the_client_left_goes_on_and_is_there_when_it_comes_back(
    client: httpx.AsyncClient, services: Services
) -> None:
    async with client.stream("POST", CHAT, json=chat("pauses"), headers=KEY) as stream:
        await anext(stream.aiter_bytes())
    coming_back = asyncio.create_task(client.post(CHAT, json=chat("pauses"), headers=KEY))
    await asyncio.sleep(0.1)
    assert not services.chat.cancelled.is_set()
    services.chat.proceed.set()
    answer = await coming_back
    assert answer.text.endswith("data: [DONE]\n\n")
    assert answer.headers[REPLAYED] == "true"
    assert len(services.chat.bodies) == 1


@pytest.mark.parametrize("model", ["away", "unknown", "limited"])
async def test_error_before_the_first_byte_is_kept_as_of_any_request(
    client: httpx.AsyncClient, services: Services, model: str
) -> None:
    answers = [await client.post(CHAT, json=chat(model), headers=KEY) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(services.chat.bodies) == (1 if model == "unknown" else 2)


async def test_stream_that_is_too_large_is_not_kept_but_not_made_twice(
    start_gateway: StartGateway, alice: str, services: Services
) -> None:
    async with connect(await start_gateway(idempotency=IdempotencySettings(max_answer_bytes=1000)), alice) as client:
        first = await client.post(CHAT, json=chat("large"), headers=KEY)
        assert len(first.content) > 8_000_000
        answer = await client.post(CHAT, json=chat("large"), headers=KEY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_answer_not_kept")
    assert len(services.chat.bodies) == 1


async def test_key_of_a_long_stream_is_held(start_gateway: StartGateway, alice: str, services: Services) -> None:
    settings = IdempotencySettings(lease_seconds=0.3, wait_seconds=1.0)
    async with connect(await start_gateway(idempotency=settings), alice) as client:
        async with client.stream("POST", CHAT, json=chat("pauses"), headers=KEY) as stream:
            pieces = stream.aiter_text()
            await anext(pieces)
            refused = await client.post(CHAT, json=chat("pauses"), headers=KEY)
            assert refused.json()["error"]["code"] == "idempotency_key_in_use"
            services.chat.proceed.set()
            assert "".join([piece async for piece in pieces]).endswith("data: [DONE]\n\n")
        assert (await client.post(CHAT, json=chat("pauses"), headers=KEY)).headers[REPLAYED] == "true"


async def test_background_stream_is_followed_again_while_it_runs(
    start_gateway: StartGateway, alice: str, services: Services
) -> None:
    first, second = [connect(await start_gateway(), alice) for _ in range(2)]
    async with first, second:
        async with first.stream("POST", RESPONSES, json=background("pauses"), headers=KEY) as stream:
            assert (await anext(stream.aiter_bytes())).startswith(frame(0))
        services.chat.background.responses[next(iter(services.chat.background.responses))].proceed.set()
        again = await second.post(RESPONSES, json=background("pauses"), headers=KEY)
    assert (again.text, again.headers[REPLAYED]) == (frames(), "true")
    assert len(services.chat.background.responses) == 1


async def test_twenty_background_streams_at_once_make_one_response(
    start_gateway: StartGateway, alice: str, services: Services
) -> None:
    first, second = [connect(await start_gateway(), alice) for _ in range(2)]
    async with first, second:
        clients = [first, second] * 10
        answers = await asyncio.gather(
            *(client.post(RESPONSES, json=background("echo"), headers=KEY) for client in clients)
        )
    assert {answer.text for answer in answers} == {frames()}
    assert len(services.chat.background.responses) == 1


async def test_background_response_that_could_not_be_followed_at_once_is_not_made_again(
    client: httpx.AsyncClient, services: Services
) -> None:
    assert (await client.post(RESPONSES, json=background("late"), headers=KEY)).status_code == 503
    again = await client.post(RESPONSES, json=background("late"), headers=KEY)
    assert (again.text, again.headers[REPLAYED]) == (frames(), "true")
    assert len(services.chat.background.responses) == 1
