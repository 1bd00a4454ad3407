"""What clients are answered, what headers, metrics and ledger say: the same numbers, whoever asks."""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rostra_stack.stack import Stack
from support.openai_error import refusal
from support.stack import Account, create_key, eventually, own_stack, register

pytestmark = pytest.mark.e2e

_OUTPUT_TOKENS = 20
_BUDGET, _REQUESTS = 1000.0, 60
# A million tokens of the input cost 3 units, of the answer 500,000: half a unit each.
_CATALOGUE = """
models:
  - id: echo
    provider: echo
    context_window: 131072
    max_output_tokens: 16384
    input_price: 3
    output_price: 500000
    capabilities: [streaming]
    create_time: 2026-11-01
"""
_TEXT = "word " * (_OUTPUT_TOKENS + 10)
_CHAT = {"model": "echo", "messages": [{"role": "user", "content": _TEXT}], "max_tokens": _OUTPUT_TOKENS}
_RESPONSE = {"model": "echo", "input": _TEXT, "max_output_tokens": _OUTPUT_TOKENS}
_STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", _CHAT),
    ("/v1/chat/completions", _CHAT | _STREAMED),
    ("/v1/responses", _RESPONSE),
    ("/v1/responses", _RESPONSE | {"stream": True}),
]
_ROUNDS = 4


@pytest.fixture
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Yield a stack of which two of each sort meet clients and models."""
    data = tmp_path_factory.mktemp("numbers")
    catalogue = data / "models.yaml"
    catalogue.write_text(_CATALOGUE)
    patience = {f"ROSTRA_{name}_REDIS__LIMITER_TIMEOUT_SECONDS": "10" for name in ("GATEWAY", "CHAT")}
    environment = {"ROSTRA_CHAT_CATALOGUE_FILE": str(catalogue), **patience}
    async with own_stack(data / "stack", environment=environment, gateways=2, chats=2) as stack:
        yield stack


def usage_in(answer: httpx.Response) -> tuple[int, int]:
    """Return what the answer, streamed or not, says that input and output came to."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        data = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
        usage = next(found for each in reversed(data) if (found := find_usage(json.loads(each))))
    else:
        usage = answer.json()["usage"]
    if "prompt_tokens" in usage:
        return usage["prompt_tokens"], usage["completion_tokens"]
    return usage["input_tokens"], usage["output_tokens"]


def find_usage(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return the usage that a chunk or an event holds."""
    usage: dict[str, Any] | None = event.get("usage") or (event.get("response") or {}).get("usage")
    return usage


async def measured(stack: Stack, name: str, *labels: str) -> Counter[tuple[str, ...]]:
    """Return what all processes together count under a name, by the values of some of its labels."""
    sums: Counter[tuple[str, ...]] = Counter()
    async with httpx.AsyncClient(timeout=20) as http:
        for child in stack.children.values():
            lines = [json.loads(line) for line in child.log.read_text().splitlines() if line.startswith("{")]
            port = next((line["metrics_port"] for line in reversed(lines) if line["message"] == "listening"), None)
            if port is None:
                continue  # Redis, which has no metrics of this kind
            text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    if sample.name == name:
                        sums[tuple(sample.labels[label] for label in labels)] += round(sample.value)
    return sums


async def test_answers_headers_metrics_and_ledger_tell_the_same_numbers(stack: Stack) -> None:
    account = register(stack.gateway_urls[0])
    key = create_key(stack.gateway_urls[0], account, requests_per_minute=_REQUESTS, budget_per_month=_BUDGET)
    headers = {"authorization": f"Bearer {key}"}
    async with AsyncExitStack() as exits:
        gateways = [
            await exits.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60)) for url in stack.gateway_urls
        ]
        began = time.monotonic()
        posts = [
            gateways[number % 2].post(path, json=body, headers=headers)
            for number, (path, body) in enumerate(_CALLS * _ROUNDS)
        ]
        answers = await asyncio.gather(*posts)
        wrong = await gateways[0].post("/v1/chat/completions", json=_CHAT | {"model": "none"}, headers=headers)
        refusal(wrong, 404)
        last = await gateways[1].post("/v1/chat/completions", json=_CHAT, headers=headers)
        answers.append(last)
        assert {answer.status_code for answer in answers} == {200}
        calls = len(answers)

        used = [usage_in(answer) for answer in answers]
        input_tokens, output_tokens = sum(each for each, _ in used), sum(each for _, each in used)
        assert {each for _, each in used} == {_OUTPUT_TOKENS}
        cost_micros = sum(3 * each + 500_000 * made for each, made in used)

        # All but the last had been settled when it was admitted. What was held for the last is what it came to, but for
        # its input, which is only estimated beforehand.
        left = float(last.headers["x-ratelimit-remaining-budget"]) / 1_000_000
        assert float(last.headers["x-ratelimit-limit-budget"]) / 1_000_000 == _BUDGET
        assert math.isclose(_BUDGET - left, cost_micros / 1_000_000, abs_tol=3 * 100 / 1_000_000)
        # Refilled by one a second; the wrong request counts as well.
        taken = _REQUESTS - int(last.headers["x-ratelimit-remaining-requests"])
        assert calls + 1 - (time.monotonic() - began) * _REQUESTS / 60 - 1 <= taken <= calls + 1

        await eventually(lambda: in_ledger(gateways[0], account, calls), within_seconds=30)
        answer = (await gateways[1].get("/v1/usage", headers=headers)).json()
        [bucket] = answer["data"]
        assert (bucket["requests"], bucket["input_tokens"], bucket["output_tokens"]) == (
            calls,
            input_tokens,
            output_tokens,
        )
        assert round(bucket["cost"] * 1_000_000) == cost_micros

    assert await measured(stack, "rostra_chat_tokens_total", "direction", "model") == {
        ("input", "echo"): input_tokens,
        ("output", "echo"): output_tokens,
    }
    assert await measured(stack, "rostra_chat_cost_micros_total", "model") == {("echo",): cost_micros}
    answered = await measured(stack, "rostra_gateway_requests_total", "method", "route", "status")
    assert answered["POST", "/v1/chat/completions", "200"] + answered["POST", "/v1/responses", "200"] == calls
    assert answered["POST", "/v1/chat/completions", "404"] == 1


async def in_ledger(http: httpx.AsyncClient, account: Account, calls: int) -> bool:
    """Tell whether so many calls are in the ledger."""
    data = (await http.get("/v1/usage", headers=account.session)).json()["data"]
    return bool(data) and data[0]["requests"] == calls
