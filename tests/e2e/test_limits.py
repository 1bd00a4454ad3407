"""Requests and tokens per minute hold exactly, however many processes a caller reaches."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from support.openai_error import refusal
from support.stack import Account, SharedStack, create_key

pytestmark = pytest.mark.e2e

# Echo repeats its input, so with a long one `max_tokens` is both what is reserved and what is used.
_CHAT = {"model": "echo", "messages": [{"role": "user", "content": "word " * 50}], "max_tokens": 10}
_RESPONSE = {"model": "echo", "input": "word " * 50, "max_output_tokens": 16}


@dataclass
class Crowd:
    """Many clients at once, spread over all gateways."""

    gateways: list[httpx.AsyncClient]

    async def post(self, path: str, body: dict[str, Any], *, api_key: str, times: int = 1) -> list[httpx.Response]:
        """Send `body` so many times at once and return the answers."""
        headers = {"authorization": f"Bearer {api_key}"}
        gateways = [self.gateways[number % len(self.gateways)] for number in range(times)]
        return await asyncio.gather(*(gateway.post(path, json=body, headers=headers) for gateway in gateways))


@pytest.fixture
async def crowd(stack: SharedStack) -> AsyncIterator[Crowd]:
    limits = httpx.Limits(max_connections=100)
    first, second = (httpx.AsyncClient(base_url=url, timeout=30, limits=limits) for url in stack.gateway_urls)
    async with first, second:
        yield Crowd([first, second])


def split(answers: list[httpx.Response]) -> tuple[list[httpx.Response], list[httpx.Response]]:
    """Return the answers that were admitted, and those that a limit refused."""
    admitted = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(admitted) + len(refused) == len(answers), [answer.text for answer in answers]
    return admitted, refused


def assert_exact(admitted: int, *, limit: int, period_seconds: float, elapsed_seconds: float) -> None:
    """Check that no more were admitted than the limit, and what it regains while the crowd is served."""
    regained = math.floor(elapsed_seconds * limit / period_seconds)
    assert limit <= admitted <= limit + regained


async def test_requests_per_minute_admit_exactly_the_limit_over_all_gateways(
    crowd: Crowd, stack: SharedStack, account: Account
) -> None:
    key = create_key(stack.gateway_urls[0], account, requests_per_minute=20)
    started = time.monotonic()
    answers = await crowd.post("/v1/chat/completions", _CHAT, api_key=key, times=50)
    admitted, refused = split(answers)
    assert_exact(len(admitted), limit=20, period_seconds=60, elapsed_seconds=time.monotonic() - started)
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {"20"}
    remaining = sorted(int(answer.headers["x-ratelimit-remaining-requests"]) for answer in admitted)
    assert remaining[:20] == list(range(20)) or len(admitted) > 20
    for answer in refused:
        error = refusal(answer, 429)
        assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
        assert "Limit 20, Used 20, Requested 1. Please try again in " in error["message"]
        assert 1 <= int(answer.headers["retry-after"]) <= 3
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        assert answer.headers["x-ratelimit-reset-requests"].endswith("s")
        assert "x-should-retry" not in answer.headers


async def test_request_after_retry_after_is_admitted(crowd: Crowd, stack: SharedStack, account: Account) -> None:
    key = create_key(stack.gateway_urls[0], account, requests_per_minute=30)
    _, refused = split(await crowd.post("/v1/chat/completions", _CHAT, api_key=key, times=40))
    wait_seconds = int(refused[-1].headers["retry-after"])
    await asyncio.sleep(wait_seconds)
    (answer,) = await crowd.post("/v1/chat/completions", _CHAT, api_key=key)
    assert answer.status_code == 200


async def test_all_credentials_of_an_account_share_its_plan(crowd: Crowd, stack: SharedStack, account: Account) -> None:
    me = await crowd.gateways[0].get("/v1/me", headers=account.session)
    limit = me.json()["limits"]["requests_per_minute"]
    credentials = (account.api_key, account.access_token, create_key(stack.gateway_urls[0], account))
    places = asyncio.Semaphore(50)

    async def ask(number: int) -> httpx.Response:
        headers = {"authorization": f"Bearer {credentials[number % len(credentials)]}"}
        async with places:
            return await crowd.gateways[number % 2].get("/v1/me", headers=headers)

    started = time.monotonic()
    answers = await asyncio.gather(*(ask(number) for number in range(limit + 100)))
    elapsed_seconds = time.monotonic() - started
    admitted, refused = split(answers)
    # Making two keys and asking for the limit were requests as well.
    already, per_second = 3, limit / 60
    assert limit - already <= len(admitted) <= limit + math.floor((elapsed_seconds + 10) * per_second)
    assert all(refusal(answer, 429)["type"] == "requests" for answer in refused)


async def test_refused_requests_cost_nothing(crowd: Crowd, stack: SharedStack, account: Account) -> None:
    key = create_key(stack.gateway_urls[0], account, requests_per_minute=30)
    for _ in range(2):
        split(await crowd.post("/v1/chat/completions", _CHAT, api_key=key, times=40))
    (refused,) = await crowd.post("/v1/chat/completions", _CHAT, api_key=key)
    if refused.status_code == 429:
        # However many were refused, the next place is as near as if none had been.
        assert int(refused.headers["retry-after"]) <= 2


@pytest.mark.parametrize(
    ("path", "body", "input_count"),
    [("/v1/chat/completions", _CHAT, "prompt_tokens"), ("/v1/responses", _RESPONSE, "input_tokens")],
)
async def test_tokens_per_minute_admit_exactly_the_limit_over_all_gateways(
    crowd: Crowd, stack: SharedStack, account: Account, path: str, body: dict[str, Any], input_count: str
) -> None:
    (measured,) = await crowd.post(path, body, api_key=account.api_key)
    reserved = measured.json()["usage"][input_count] + (body.get("max_tokens") or body["max_output_tokens"])
    # What all of them give back must not make room for another one.
    assert 20 * (reserved - measured.json()["usage"]["total_tokens"]) < reserved
    key = create_key(stack.gateway_urls[0], account, tokens_per_minute=20 * reserved)
    started = time.monotonic()
    answers = await crowd.post(path, body, api_key=key, times=32)
    admitted, refused = split(answers)
    assert_exact(len(admitted), limit=20, period_seconds=60, elapsed_seconds=time.monotonic() - started)
    assert {answer.headers["x-ratelimit-limit-tokens"] for answer in answers} == {str(20 * reserved)}
    assert min(int(answer.headers["x-ratelimit-remaining-tokens"]) for answer in admitted) < reserved
    for answer in refused:
        error = refusal(answer, 429)
        assert (error["type"], error["code"]) == ("tokens", "rate_limit_exceeded")
        assert f"Limit {20 * reserved}, Used " in error["message"]
        assert f"Requested {reserved}. Please try again in " in error["message"]
        assert int(answer.headers["x-ratelimit-remaining-tokens"]) < reserved
        assert answer.headers["x-ratelimit-reset-tokens"].endswith("s")
        assert 1 <= int(answer.headers["retry-after"]) <= 3
        assert "x-should-retry" not in answer.headers
    await asyncio.sleep(int(refused[-1].headers["retry-after"]))
    (again,) = await crowd.post(path, body, api_key=key)
    assert again.status_code == 200


async def test_tokens_reserved_and_not_used_are_given_back(crowd: Crowd, stack: SharedStack, account: Account) -> None:
    key = create_key(stack.gateway_urls[0], account, tokens_per_minute=1500)
    generous = _CHAT | {"max_tokens": 1000}
    for _ in range(4):
        (answer,) = await crowd.post("/v1/chat/completions", generous, api_key=key)
        assert answer.status_code == 200, answer.text


async def test_request_that_can_never_pass_is_called_too_large(
    crowd: Crowd, stack: SharedStack, account: Account
) -> None:
    key = create_key(stack.gateway_urls[0], account, tokens_per_minute=500)
    for path, body in (
        ("/v1/chat/completions", _CHAT | {"max_tokens": 1000}),
        ("/v1/responses", _RESPONSE | {"max_output_tokens": 1000}),
        ("/v1/chat/completions", _CHAT | {"max_tokens": 1000, "stream": True}),
    ):
        (answer,) = await crowd.post(path, body, api_key=key)
        error = refusal(answer, 429)
        assert error["message"].startswith("Request too large for echo on tokens per min (TPM): Limit 500, Requested ")
        assert error["type"] == "tokens"
        assert answer.headers["x-should-retry"] == "false"
        assert "retry-after" not in answer.headers
    (small,) = await crowd.post("/v1/chat/completions", _CHAT, api_key=key)
    assert small.status_code == 200
