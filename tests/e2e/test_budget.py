"""Budgets in money: what is spent never exceeds them, over all replicas."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from rostra_stack.stack import Stack
from support.stack import create_key, eventually, own_stack, register

pytestmark = pytest.mark.e2e

# The answer of `echo` has as many tokens as it may have: a call comes to exactly what was reserved for it.
TOKENS = 9
AFFORDABLE = 8
BUDGET = AFFORDABLE * TOKENS / 2
# A token of the answer costs half a unit of money, and the input nothing.
CATALOGUE = """
models:
  - id: echo
    provider: echo
    context_window: 131072
    max_output_tokens: 16384
    output_price: 500000
    capabilities: [streaming]
    create_time: 2026-11-01
"""


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    catalogue = tmp_path / "models.yaml"
    catalogue.write_text(CATALOGUE)
    environment = {"ROSTRA_CHAT_CATALOGUE_FILE": str(catalogue)}
    async with own_stack(tmp_path / "data", environment=environment, gateways=2, chats=2) as stack:
        with closing(sqlite3.connect(tmp_path / "data" / "user.sqlite3")) as database, database:
            database.execute("UPDATE plans SET budget_micros_per_month = ?", (round(BUDGET * 1_000_000),))
        yield stack


async def test_budget_is_spent_to_the_last_call_and_not_beyond(stack: Stack) -> None:
    headers = register(stack.gateway_urls[0]).key
    body = {"model": "echo", "max_tokens": TOKENS, "messages": [{"role": "user", "content": "Hello there, who is it?"}]}
    clients = [httpx.AsyncClient(base_url=url, headers=headers, timeout=30) for url in stack.gateway_urls]
    try:
        answers = await asyncio.gather(
            *(clients[number % 2].post("/v1/chat/completions", json=body) for number in range(30))
        )
        served = [answer for answer in answers if answer.status_code == 200]
        assert [answer.json()["usage"]["completion_tokens"] for answer in served] == [TOKENS] * len(served)
        assert Counter(answer.status_code for answer in answers) == {200: AFFORDABLE, 429: 30 - AFFORDABLE}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["error"]["code"] == refused.json()["error"]["type"] == "insufficient_quota"
        assert refused.headers["x-should-retry"] == "false"
        assert "retry-after" not in refused.headers

        async def spent() -> bool:
            budget = (await clients[1].get("/v1/usage")).json()["budget"]
            return budget == {"limit": BUDGET, "spent": BUDGET}

        await eventually(spent, within_seconds=5)
    finally:
        await asyncio.gather(*(client.aclose() for client in clients))


async def test_budget_of_a_key_is_spent_to_the_last_call_and_not_beyond(stack: Stack) -> None:
    alice = register(stack.gateway_urls[0])
    affordable = AFFORDABLE // 2
    key = create_key(stack.gateway_urls[0], alice, budget_per_month=affordable * TOKENS / 2)
    headers = {"authorization": f"Bearer {key}"}
    body = {"model": "echo", "max_tokens": TOKENS, "messages": [{"role": "user", "content": "Hello there, who is it?"}]}
    clients = [httpx.AsyncClient(base_url=url, timeout=30) for url in stack.gateway_urls]
    try:
        answers = await asyncio.gather(
            *(clients[number % 2].post("/v1/chat/completions", json=body, headers=headers) for number in range(20))
        )
        assert Counter(answer.status_code for answer in answers) == {200: affordable, 429: 20 - affordable}
        refused = next(answer for answer in answers if answer.status_code == 429).json()["error"]
        assert refused["code"] == "insufficient_quota"
        assert "of the API key" in refused["message"]
        # The user has the rest of theirs.
        rest = [await clients[0].post("/v1/chat/completions", json=body, headers=alice.key) for _ in range(AFFORDABLE)]
        assert Counter(answer.status_code for answer in rest) == {
            200: AFFORDABLE - affordable,
            429: affordable,
        }
    finally:
        await asyncio.gather(*(client.aclose() for client in clients))
