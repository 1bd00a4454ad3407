"""The whole product on real servers: a golden journey, and limits and budgets to the last call."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from rostra_stack.stack import Stack
from support.stack import Account, create_key, eventually, own_stack, register, said, sdk
from support.stack_servers import settings_on

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

_CALLERS, _AMOUNT, _OUTPUT_TOKENS = 24, 7, 9
# A token of the answer costs half a unit of money, and the input nothing.
_CATALOGUE = """
models:
  - id: echo
    provider: echo
    context_window: 131072
    max_output_tokens: 16384
    output_price: 500000
    capabilities: [streaming]
    create_time: 2026-11-01
"""
_CHAT = {"model": "echo", "max_tokens": _OUTPUT_TOKENS, "messages": [{"role": "user", "content": "word " * 20}]}


@dataclass(frozen=True)
class Place:
    """A stack, an account there, and a client of each gateway."""

    stack: Stack
    account: Account
    gateways: list[httpx.AsyncClient]

    async def post_all(self, body: dict[str, Any], *, api_key: str) -> Counter[int]:
        """Let many callers ask at once, over all gateways, and count the statuses."""
        headers = {"authorization": f"Bearer {api_key}"}
        posts = [self.gateways[n % 2].post("/v1/chat/completions", json=body, headers=headers) for n in range(_CALLERS)]
        return Counter(answer.status_code for answer in await asyncio.gather(*posts))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["MySQL MongoDB Redis", "MariaDB MongoDB Valkey"])
async def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """Yield a stack of two gateways and two chats, whose databases are all real servers'."""
    data = tmp_path_factory.mktemp("place")
    (data / "models.yaml").write_text(_CATALOGUE)
    async with AsyncExitStack() as exits:
        environment = {
            "ROSTRA_CHAT_CATALOGUE_FILE": str(data / "models.yaml"),
            # Patient: on a busy machine a limit must not be counted by each process alone.
            **{f"ROSTRA_{name}_REDIS__LIMITER_TIMEOUT_SECONDS": "10" for name in ("GATEWAY", "CHAT")},
            **exits.enter_context(settings_on(request.param.split())),
        }
        stack = await exits.enter_async_context(own_stack(data / "stack", environment=environment, gateways=2, chats=2))
        gateways = [
            await exits.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60)) for url in stack.gateway_urls
        ]
        yield Place(stack, register(stack.gateway_urls[0]), gateways)


async def test_golden_journey(place: Place) -> None:
    first, second = (sdk(url, place.account.api_key) for url in place.stack.gateway_urls)
    async with first, second:
        completion = await first.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "Hello"}], max_tokens=_OUTPUT_TOKENS
        )
        assert completion.usage
        assert completion.usage.completion_tokens == _OUTPUT_TOKENS
        one = await first.responses.create(model="echo", input="My name is Ada.")
        two = await second.responses.create(model="echo", input="And now?", previous_response_id=one.id)
        assert (await second.responses.retrieve(one.id)).output_text == one.output_text
        assert one.usage
        assert two.usage
        assert two.usage.input_tokens > one.usage.input_tokens + one.usage.output_tokens
        conversation = await second.conversations.create()
        stream = await first.responses.create(model="echo", input="Hi", conversation=conversation.id, stream=True)
        assert [event.type async for event in stream][-1] == "response.completed"
        items = (await second.conversations.items.list(conversation.id, order="asc")).data
        assert [role for role, _ in said(items)] == ["user", "assistant"]
        background = await second.responses.create(model="echo", input="Later", background=True)

        async def is_completed() -> bool:
            return (await first.responses.retrieve(background.id)).status == "completed"

        await eventually(is_completed, within_seconds=30)


async def test_requests_per_minute_serve_exactly_the_limit(place: Place) -> None:
    key = create_key(place.stack.gateway_urls[0], place.account, requests_per_minute=_AMOUNT)
    began = time.monotonic()
    statuses = await place.post_all(_CHAT, api_key=key)
    regained = math.floor((time.monotonic() - began) * _AMOUNT / 60)
    assert _AMOUNT <= statuses[200] <= _AMOUNT + regained
    assert statuses[200] + statuses[429] == _CALLERS


async def test_budget_serves_exactly_what_it_pays_for(place: Place) -> None:
    cost = _OUTPUT_TOKENS / 2
    key = create_key(place.stack.gateway_urls[1], place.account, budget_per_month=_AMOUNT * cost)
    assert await place.post_all(_CHAT, api_key=key) == {200: _AMOUNT, 429: _CALLERS - _AMOUNT}

    async def is_in_ledger() -> bool:
        headers = {"authorization": f"Bearer {key}"}
        return (await place.gateways[0].get("/v1/usage", headers=headers)).json()["budget"]["spent"] >= _AMOUNT * cost

    await eventually(is_in_ledger, within_seconds=30)


async def test_deleted_account_is_gone_everywhere(place: Place) -> None:
    account = register(place.stack.gateway_urls[1])
    assert (await place.gateways[0].get("/v1/me", headers=account.key)).status_code == 200
    assert (await place.gateways[1].delete("/v1/me", headers=account.session)).status_code == 204

    async def is_refused() -> bool:
        return (await place.gateways[0].get("/v1/me", headers=account.key)).status_code == 401

    await eventually(is_refused, within_seconds=5)
