"""What each kind of request may cost, counted: budgets.toml is the most of each.

Of a few requests the cheapest must be within it: what a service does by the clock meanwhile only adds. A budget that is
far above the dearest guards nothing, so that is an error as well, but for what a slow machine has less of, since more
waits there and goes together.
"""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import uvloop

from support.counted_product import counted_product

BUDGETS: dict[str, dict[str, int]] = tomllib.loads(Path(__file__).with_name("budgets.toml").read_text())
REQUESTS = 5
WARM_UP = 2
LESS_WHEN_SLOW = {"function_calls", "grpc_messages", "client_writes", "redis_round_trips"}

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
_ASK = {"messages": [{"role": "user", "content": "Say something about the Roman forum."}]}
_INPUT = {"model": "bench-50-0", "input": "Say something about the Roman forum."}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat_completion": (CHAT, {**_ASK, "model": "bench-50-0"}),
    "stream_of_100_tokens": (CHAT, {**_ASK, "model": "bench-100-5", "stream": True}),
    "stream_of_100_tokens_at_once": (CHAT, {**_ASK, "model": "bench-100-all", "stream": True}),
    "response_not_stored": (RESPONSES, {**_INPUT, "store": False}),
    "response_stored": (RESPONSES, _INPUT),
    "background_response_followed": (RESPONSES, {**_INPUT, "background": True, "stream": True}),
}

Counts = dict[str, dict[str, list[int]]]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Counts:
    """What requests of each kind were counted to cost."""
    return uvloop.run(_count(tmp_path_factory.mktemp("budgets")))


async def _count(data: Path) -> Counts:
    counted: Counts = {}
    async with counted_product(data) as product:
        for kind, (path, body) in KINDS.items():
            for _ in range(WARM_UP):
                await product.cost_of(path, body)
            costs = [await product.cost_of(path, body) for _ in range(REQUESTS)]
            counted[kind] = {name: [cost[name] for cost in costs] for name in BUDGETS[kind]}
    return counted


@pytest.mark.parametrize("kind", KINDS)
def test_request_stays_within_its_budget(counted: Counts, kind: str) -> None:
    budget = BUDGETS[kind]
    over = {name: (counts, budget[name]) for name, counts in counted[kind].items() if min(counts) > budget[name]}
    assert not over, f"counted and allowed: {over}"


@pytest.mark.parametrize("kind", KINDS)
def test_budget_is_not_far_above_what_is_counted(counted: Counts, kind: str) -> None:
    budget = BUDGETS[kind]
    loose = {
        name: (counts, budget[name])
        for name, counts in counted[kind].items()
        if name not in LESS_WHEN_SLOW and budget[name] > 1.5 * max(counts) + 3
    }
    assert not loose, f"counted and allowed: {loose}"
