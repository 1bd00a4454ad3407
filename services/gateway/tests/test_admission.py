"""Limits of requests and of open streams."""

import asyncio
import math
import re
import time
from collections import Counter

import httpx
import pytest
from redis.asyncio import Redis

from rostra.common.v1.caller_pb2 import Limits
from rostra_gateway.settings import AddressLimits, RequestSettings
from services.gateway.tests.conftest import Services, StartGateway, bearer, connect

CHAT = "/v1/chat/completions"
STREAM = {"model": "endless", "messages": [{"role": "user", "content": "x"}], "stream": True}


@pytest.fixture
def twenty(services: Services) -> str:
    """The API key of somebody with 20 requests per minute."""
    return services.user.add_key(services.user.add_user(limits=Limits(requests_per_minute=20)))


async def test_fifty_at_once_through_two_gateways_get_exactly_twenty_answers(
    start_gateway: StartGateway, twenty: str
) -> None:
    urls = [(await start_gateway()).url for _ in range(2)]
    began = time.monotonic()
    async with httpx.AsyncClient(headers=bearer(twenty), timeout=30) as client:
        answers = await asyncio.gather(*(client.get(f"{urls[number % 2]}/v1/models") for number in range(50)))
    assert_twenty_served(answers, since=began)
    waits = {int(answer.headers["retry-after"]) for answer in answers if answer.status_code == 429}
    assert waits <= {1, 2, 3}


async def test_answers_say_where_the_limit_stands(start_gateway: StartGateway, twenty: str) -> None:
    gateway = await start_gateway()
    async with connect(gateway, twenty) as client:
        answer = await client.get("/v1/models")
    assert answer.headers["x-ratelimit-limit-requests"] == "20"
    assert answer.headers["x-ratelimit-remaining-requests"] == "19"
    assert re.fullmatch(r"3s|2\.9\d*s", answer.headers["x-ratelimit-reset-requests"])


async def test_refusal_is_in_openais_words(start_gateway: StartGateway, services: Services) -> None:
    key = services.user.add_key(services.user.add_user(limits=Limits(requests_per_minute=1)))
    gateway = await start_gateway()
    async with connect(gateway, key) as client:
        await client.get("/v1/models")
        answer = await client.get("/v1/models")
    assert answer.status_code == 429
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
    assert "Limit 1, Used 1, Requested 1. Please try again in" in error["message"]
    assert 58 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    assert gateway.metric("rostra_gateway_refusals_total", limit="requests") == 1


async def test_limit_of_a_key_leaves_other_keys_of_the_user(start_gateway: StartGateway, services: Services) -> None:
    user = services.user.add_user(limits=Limits(requests_per_minute=100))
    narrow = services.user.add_key(user, limits=Limits(requests_per_minute=1))
    wide = services.user.add_key(user)
    gateway = await start_gateway()
    async with connect(gateway) as client:
        statuses = [(await client.get("/v1/models", headers=bearer(key))).status_code for key in (narrow, narrow, wide)]
        answer = await client.get("/v1/models", headers=bearer(wide))
    assert statuses == [200, 429, 200]
    assert answer.headers["x-ratelimit-limit-requests"] == "100"


@pytest.mark.parametrize(("of_user", "of_key"), [(5, 100), (100, 5)])
async def test_answers_tell_of_the_nearest_limit(
    start_gateway: StartGateway, services: Services, of_user: int, of_key: int
) -> None:
    user = services.user.add_user(limits=Limits(requests_per_minute=of_user))
    key = services.user.add_key(user, limits=Limits(requests_per_minute=of_key))
    async with connect(await start_gateway(), key) as client:
        answer = await client.get("/v1/models")
    assert answer.headers["x-ratelimit-limit-requests"] == "5"
    assert answer.headers["x-ratelimit-remaining-requests"] == "4"


async def test_wrong_requests_count_as_well(start_gateway: StartGateway, twenty: str) -> None:
    gateway = await start_gateway()
    async with connect(gateway, twenty) as client:
        answer = await client.post(CHAT, content=b"{")
        assert (answer.status_code, answer.headers["x-ratelimit-remaining-requests"]) == (400, "19")
        answer = await client.post(CHAT, json={"model": 1})
        assert (answer.status_code, answer.headers["x-ratelimit-remaining-requests"]) == (400, "18")


async def test_address_is_limited_whoever_calls(start_gateway: StartGateway, services: Services) -> None:
    gateway = await start_gateway(address_limits=AddressLimits(requests_per_minute=3))
    keys = [services.user.add_key(services.user.add_user()) for _ in range(5)]
    async with connect(gateway) as client:
        statuses = [(await client.get("/v1/models", headers=bearer(key))).status_code for key in keys]
    assert statuses == [200, 200, 200, 429, 429]


async def test_what_the_address_may_not_do_counts_against_nobody_else(
    start_gateway: StartGateway, services: Services, twenty: str
) -> None:
    gateway = await start_gateway(address_limits=AddressLimits(requests_per_minute=2))
    async with connect(gateway, twenty) as client:
        statuses = [(await client.get("/v1/models")).status_code for _ in range(6)]
    assert statuses == [200, 200, 429, 429, 429, 429]
    assert gateway.metric("rostra_gateway_refusals_total", limit="requests") == 4
    elsewhere = await start_gateway(request=RequestSettings(trusted_proxies=1))
    async with connect(elsewhere, twenty) as client:
        answer = await client.get("/v1/models", headers={"x-forwarded-for": "192.0.2.7"})
    assert int(answer.headers["x-ratelimit-remaining-requests"]) >= 17


@pytest.mark.parametrize("credential", ["sk-rostra-guess", "a.b.c"])
async def test_guessing_credentials_is_limited_by_address(start_gateway: StartGateway, credential: str) -> None:
    gateway = await start_gateway(address_limits=AddressLimits(requests_per_minute=3))
    async with connect(gateway, credential) as client:
        answers = [await client.get("/v1/models") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"


async def test_guesses_and_requests_count_once_each_against_their_address(
    start_gateway: StartGateway, services: Services, alice: str
) -> None:
    gateway = await start_gateway(address_limits=AddressLimits(requests_per_minute=4))
    async with connect(gateway) as client:
        keys = ["sk-rostra-guess", alice, "sk-rostra-guess", alice, alice]
        answers = [await client.get("/v1/models", headers=bearer(key)) for key in keys]
    assert [answer.status_code for answer in answers] == [401, 200, 401, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["3", "2", "1", "0", "0"]


async def test_guessing_passwords_is_limited_by_address(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(address_limits=AddressLimits(sign_ins_per_minute=3))
    guess = {"email": "alice@example.com", "password": "guess"}
    async with connect(gateway) as client:
        statuses = [(await client.post("/v1/auth/login", json=guess)).status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]


async def test_guessing_one_password_is_limited_over_all_addresses_and_spellings(
    start_gateway: StartGateway, services: Services, redis: Redis
) -> None:
    gateway = await start_gateway(address_limits=AddressLimits(log_ins_per_account=2))
    services.user.add_user("bob@example.com", password="right")
    emails = ["alice@example.com", "ALICE@example.com ", "Alice@example.com", "alice@example.com"]
    async with connect(gateway) as client:
        guesses = [await client.post("/v1/auth/login", json={"email": email, "password": "g"}) for email in emails]
        assert [guess.status_code for guess in guesses] == [401, 401, 429, 429]
        assert int(guesses[-1].headers["retry-after"]) <= 30
        other = await client.post("/v1/auth/login", json={"email": "bob@example.com", "password": "right"})
    assert other.status_code == 200
    assert not [key for key in await redis.keys() if b"alice" in key.lower()]


async def test_stream_slot_is_free_again_once_the_client_has_left(
    start_gateway: StartGateway, services: Services
) -> None:
    key = services.user.add_key(services.user.add_user(limits=Limits(concurrent_streams=1)))
    gateway = await start_gateway()
    async with connect(gateway, key) as client:
        async with client.stream("POST", CHAT, json=STREAM) as stream:
            pieces = stream.aiter_bytes()
            await anext(pieces)
            refused = await client.post(CHAT, json=STREAM)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert gateway.metric("rostra_gateway_open_streams") == 1
        await asyncio.wait_for(services.chat.cancelled.wait(), 2)
        await asyncio.wait_for(until_admitted(client), 2)


async def test_stream_refused_to_its_user_leaves_no_slot_of_the_address_taken(
    start_gateway: StartGateway, services: Services
) -> None:
    keys = [services.user.add_key(services.user.add_user(limits=Limits(concurrent_streams=1))) for _ in range(2)]
    gateway = await start_gateway(address_limits=AddressLimits(concurrent_streams=2))
    async with connect(gateway, keys[0]) as client, client.stream("POST", CHAT, json=STREAM) as stream:
        pieces = stream.aiter_bytes()
        await anext(pieces)
        refusals = [(await client.post(CHAT, json=STREAM)).status_code for _ in range(3)]
        assert refusals == [429] * 3
        other = await client.post(CHAT, json=STREAM | {"model": "echo"}, headers=bearer(keys[1]))
        assert other.status_code == 200


async def test_stream_counts_for_as_long_as_it_is_open(start_gateway: StartGateway, services: Services) -> None:
    key = services.user.add_key(services.user.add_user(limits=Limits(concurrent_streams=1)))
    gateway = await start_gateway(stream_hold_seconds=0.6)
    async with connect(gateway, key) as client, client.stream("POST", CHAT, json=STREAM) as stream:
        pieces = stream.aiter_bytes()
        began = asyncio.get_running_loop().time()
        async for _ in pieces:
            refused = await client.post(CHAT, json=STREAM)
            assert refused.status_code == 429
            if asyncio.get_running_loop().time() > began + 1.2:
                break


@pytest.mark.parametrize("model", ["echo", "away", "breaks"])
async def test_stream_slot_is_free_again_after_every_ending(
    start_gateway: StartGateway, services: Services, model: str
) -> None:
    key = services.user.add_key(services.user.add_user(limits=Limits(concurrent_streams=1)))
    gateway = await start_gateway()
    async with connect(gateway, key) as client:
        for _ in range(3):
            answer = await client.post(CHAT, json=STREAM | {"model": model})
            assert answer.status_code != 429
        answer = await client.post(CHAT, json=STREAM | {"messages": "wrong"})
        assert answer.status_code == 400
        await asyncio.wait_for(until_admitted(client), 2)


async def test_requests_are_counted_by_the_pod_alone_while_redis_is_away(
    start_gateway: StartGateway, twenty: str
) -> None:
    gateway = await start_gateway(redis={"url": "redis://127.0.0.1:1/0"})
    began = time.monotonic()
    async with connect(gateway, twenty) as client:
        answers = await asyncio.gather(*(client.get("/v1/models") for _ in range(30)))
    assert_twenty_served(answers, since=began)
    assert gateway.metric("rostra_gateway_limiter_fallbacks_total") >= 30


async def test_passwords_cannot_be_guessed_while_redis_is_away(start_gateway: StartGateway, services: Services) -> None:
    services.user.refresh_tokens["known"] = services.user.add_session(services.user.add_user())
    gateway = await start_gateway(redis={"url": "redis://127.0.0.1:1/0"})
    form = {"email": "bob@example.com", "password": "correct horse"}
    async with connect(gateway) as client:
        for path in ("register", "login"):
            answer = await client.post(f"/v1/auth/{path}", json=form)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "limits_unavailable")
            assert answer.headers["retry-after"] == "1"
        answer = await client.post("/v1/auth/refresh", json={"refresh_token": "known"})
        assert answer.status_code == 200


async def test_keys_in_redis_of_one_user_share_a_hash_tag(
    start_gateway: StartGateway, services: Services, redis: Redis
) -> None:
    user = services.user.add_user(limits=Limits(requests_per_minute=5, concurrent_streams=5))
    key = services.user.add_key(user, limits=Limits(requests_per_minute=5))
    gateway = await start_gateway()
    async with connect(gateway, key) as client:
        await client.get("/v1/models")
    keys = [name.decode() for name in await redis.keys("limit:*")]
    assert sum(f"{{{user}}}" in name for name in keys) >= 2
    assert all("{127.0.0.1}" in name or f"{{{user}}}" in name for name in keys)


def assert_twenty_served(answers: list[httpx.Response], *, since: float) -> None:
    """Check that the twenty requests of the minute were served, and no more than were regained since they began."""
    statuses = Counter(answer.status_code for answer in answers)
    regained = math.floor((time.monotonic() - since) * 20 / 60)
    assert statuses.keys() <= {200, 429}
    assert 20 <= statuses[200] <= 20 + regained


async def until_admitted(client: httpx.AsyncClient) -> None:
    answer = None
    while answer is None or answer.status_code == 429:
        answer = await client.post(CHAT, json=STREAM | {"model": "echo"})
