"""64 callers at once, over three gateways and three chats, get what a limit allows: never one more, never one fewer."""

import asyncio
import math
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing

import httpx
import pytest
import pytest_asyncio

from rostra_stack.stack import Stack
from support.ledger import Ledger
from support.openai_error import refusal
from support.stack import create_key, own_stack, register

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

_CALLERS = 64
_AMOUNTS = (1, 7, 100)
_OUTPUT_TOKENS = 200
# The answer of `echo` is cut at its most tokens. A token of it costs half a unit of money, and the input nothing.
_BODY = {
    "model": "echo",
    "messages": [{"role": "user", "content": "word " * (_OUTPUT_TOKENS + 50)}],
    "max_tokens": _OUTPUT_TOKENS,
}
_COST_MICROS = _OUTPUT_TOKENS * 500_000
_CATALOGUE = """
models:
  - id: echo
    provider: echo
    context_window: 131072
    max_output_tokens: 16384
    output_price: 500000
    capabilities: [streaming]
    create_time: 2026-11-01
  - id: seven-for-all
    provider: echo
    upstream_name: echo
    limits: {requests_per_minute: 7}
    create_time: 2026-11-01
  - id: seven-for-each
    provider: echo
    upstream_name: echo
    user_limits: {requests_per_minute: 7}
    create_time: 2026-11-01
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Yield a stack whose plan limits nothing."""
    data = tmp_path_factory.mktemp("exact")
    catalogue = data / "models.yaml"
    catalogue.write_text(_CATALOGUE)
    # Patient: on a busy machine a limit must not be counted by each process alone.
    patience = {f"ROSTRA_{name}_REDIS__LIMITER_TIMEOUT_SECONDS": "10" for name in ("GATEWAY", "CHAT")}
    environment = {"ROSTRA_CHAT_CATALOGUE_FILE": str(catalogue), **patience}
    async with own_stack(data / "stack", environment=environment, gateways=3, chats=3) as stack:
        Ledger(stack.data).lift_limits()
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways(stack: Stack) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Yield a client of each gateway."""
    limits = httpx.Limits(max_connections=_CALLERS)
    async with AsyncExitStack() as exits:
        clients = [httpx.AsyncClient(base_url=url, timeout=60, limits=limits) for url in stack.gateway_urls]
        yield [await exits.enter_async_context(client) for client in clients]


async def ask_until_refused(
    gateways: list[httpx.AsyncClient], api_key: str, *, model: str = "echo"
) -> list[httpx.Response]:
    """Let each caller ask through one gateway after the other until a limit refuses, and return all answers."""
    headers, body = {"authorization": f"Bearer {api_key}"}, _BODY | {"model": model}

    async def ask(number: int) -> list[httpx.Response]:
        answers = [await gateways[number % 3].post("/v1/chat/completions", json=body, headers=headers)]
        while answers[-1].status_code == 200:
            gateway = gateways[(number + len(answers)) % 3]
            answers.append(await gateway.post("/v1/chat/completions", json=body, headers=headers))
        refusal(answers[-1], 429)
        return answers

    return [answer for answers in await asyncio.gather(*map(ask, range(_CALLERS))) for answer in answers]


def served(answers: list[httpx.Response]) -> int:
    """Return how many answers are what was asked for."""
    return sum(answer.status_code == 200 for answer in answers)


@pytest.mark.parametrize("amount", _AMOUNTS)
async def test_requests_per_minute_serve_exactly_the_limit(
    stack: Stack, gateways: list[httpx.AsyncClient], amount: int
) -> None:
    url = stack.gateway_urls[0]
    key = create_key(url, register(url), requests_per_minute=amount)
    began = time.monotonic()
    answers = await ask_until_refused(gateways, key)
    regained = math.floor((time.monotonic() - began) * amount / 60)
    assert amount <= served(answers) <= amount + regained


@pytest.mark.parametrize("amount", _AMOUNTS)
async def test_tokens_per_minute_serve_exactly_the_limit(
    stack: Stack, gateways: list[httpx.AsyncClient], amount: int
) -> None:
    url = stack.gateway_urls[0]
    account = register(url)
    measured = await gateways[0].post("/v1/chat/completions", json=_BODY, headers=account.key)
    used = measured.json()["usage"]["total_tokens"]
    told = measured.headers
    # Nothing else is reserved of this account: what is missing of its limit is what the call reserved.
    reserved = int(told["x-ratelimit-limit-tokens"]) - int(told["x-ratelimit-remaining-tokens"])
    assert used <= reserved
    key = create_key(url, account, tokens_per_minute=amount * reserved)
    began = time.monotonic()
    answers = await ask_until_refused(gateways, key)
    # A call is admitted while what is used and what it reserves fit; the estimate's excess comes back with the answer.
    regained = (time.monotonic() - began) * amount * reserved / 60
    most = 1 + math.floor(((amount - 1) * reserved + regained) / used)
    assert amount <= served(answers) <= most


@pytest.mark.parametrize("amount", _AMOUNTS)
async def test_budget_serves_exactly_what_it_pays_for(
    stack: Stack, gateways: list[httpx.AsyncClient], amount: int
) -> None:
    with closing(sqlite3.connect(stack.data / "user.sqlite3")) as database, database:
        database.execute("UPDATE plans SET budget_micros_per_month = ?", (amount * _COST_MICROS,))
    try:
        answers = await ask_until_refused(gateways, register(stack.gateway_urls[0]).api_key)
    finally:
        with closing(sqlite3.connect(stack.data / "user.sqlite3")) as database, database:
            database.execute("UPDATE plans SET budget_micros_per_month = NULL")
    assert served(answers) == amount
    assert {refusal(each, 429)["code"] for each in answers if each.status_code == 429} == {"insufficient_quota"}


@pytest.mark.parametrize(("model", "served_each"), [("seven-for-all", None), ("seven-for-each", 7)])
async def test_models_own_limit_serves_exactly_its_requests(
    stack: Stack, gateways: list[httpx.AsyncClient], model: str, served_each: int | None
) -> None:
    keys = [register(stack.gateway_urls[0]).api_key for _ in range(2)]
    began = time.monotonic()
    each = await asyncio.gather(*(ask_until_refused(gateways, key, model=model) for key in keys))
    regained = math.floor((time.monotonic() - began) * 7 / 60)
    counts = [served(answers) for answers in each] if served_each else [sum(map(served, each))]
    assert all(7 <= count <= 7 + regained for count in counts), counts
    for answer in (answer for answers in each for answer in answers):
        assert answer.headers["x-ratelimit-limit-requests"] == "7"
        if answer.status_code == 429:
            error = refusal(answer, 429)
            assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
            assert f"Rate limit reached for {model}" in error["message"]
            assert answer.headers["x-ratelimit-remaining-requests"] == "0"
            assert "retry-after" in answer.headers
