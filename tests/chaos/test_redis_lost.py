"""Redis comes back empty while responses run: each ends, its followers hear of it, and everything else recovers."""

import asyncio
import shutil
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from rostra_stack.stack import Stack
from support.aftermath import stored_outputs, waiting_responses
from support.background import Clients
from support.follower import Follower, assert_told, text_of
from support.provider import ScriptedProvider
from support.provider_reply import numbered_text
from support.provider_script import hold
from support.stack import create_key, eventually, own_stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

_RESPONSES = 20
_WORDS = 300
_TEXT = numbered_text(_WORDS)
_SAID = 40
_MODEL = "held"
_ENDS_SECONDS = 30.0


@pytest.mark.parametrize("with_a_chat", [False, True])
async def test_every_response_ends_when_redis_comes_back_empty(tmp_path: Path, with_a_chat: bool) -> None:
    async with AsyncExitStack() as exits:
        provider = await exits.enter_async_context(ScriptedProvider(models=[_MODEL, "ok"]))
        gate = asyncio.Event()
        provider.program(_MODEL, hold(_TEXT, at=_SAID, gate=gate))
        stack = await exits.enter_async_context(own_stack(tmp_path, provider=provider, gateways=2, chats=2))
        clients = await exits.enter_async_context(Clients.open(stack))
        response_ids = [await clients.create(_MODEL) for _ in range(_RESPONSES)]
        followers = [Follower(each, next_client=clients.any) for each in response_ids * 2]
        following = [asyncio.create_task(follower.run()) for follower in followers]
        await eventually(lambda: all_heard(followers, f"word-{_SAID}"), within_seconds=20)
        await lose_redis(stack, gate, also="chat-1" if with_a_chat else None)
        returned = time.monotonic()
        responses = {each: await clients.ended(each, within_seconds=_ENDS_SECONDS) for each in response_ids}
        assert time.monotonic() - returned < _ENDS_SECONDS
        async with asyncio.timeout(_ENDS_SECONDS):
            await asyncio.gather(*following)
        for follower in followers:
            check(follower, responses[follower.response_id], may_fail=with_a_chat)
        assert waiting_responses(tmp_path) == 0
        outputs = stored_outputs(tmp_path)
        assert all(outputs[each["id"]] == len(each["output"]) for each in responses.values())
        await check_recovery(stack, clients)


async def all_heard(followers: list[Follower], word: str) -> bool:
    """Tell whether every follower has heard so much."""
    return all(follower.has_heard(word) for follower in followers)


async def lose_redis(stack: Stack, gate: asyncio.Event, *, also: str | None) -> None:
    """Kill Redis, and a chat with it, and start both again; what a real server kept on disk is taken away."""
    redis = stack.children["redis"]
    assert await redis.kill() == -9
    if also:
        assert await stack.children[also].kill() == -9
    gate.set()  # the models speak on while Redis is away
    shutil.rmtree(stack.data / "redis", ignore_errors=True)
    (stack.data / "redis").mkdir()
    await redis.start()
    await redis.wait_ready(timeout_seconds=30)
    if also:
        await stack.children[also].start()
        await stack.children[also].wait_ready(timeout_seconds=30)


def check(follower: Follower, response: dict[str, Any], *, may_fail: bool) -> None:
    """Check that a response ended well, or says why not, and what its follower was told."""
    if response["status"] == "completed":
        assert text_of(response) == _TEXT
        assert_told(follower.frames, response)
        return
    # Its runner died with the only copy of what was published.
    assert may_fail
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    assert response["error"]["message"]
    assert follower.refusal == "events_not_kept"


async def check_recovery(stack: Stack, clients: Clients) -> None:
    """Check that keys, sessions, signing in and limits work as before."""
    account = clients.account
    async with httpx.AsyncClient(base_url=stack.gateway_urls[1], timeout=30) as http:
        credentials = {"email": account.email, "password": account.password}

        async def signs_in() -> bool:
            answer = await http.post("/v1/auth/login", json=credentials)
            assert answer.status_code == 200 or (answer.status_code == 503 and answer.headers["retry-after"])
            return answer.status_code == 200

        # A gateway that has not asked Redis since does not know yet that limits can be checked again.
        await eventually(signs_in, within_seconds=5)
        assert (await http.get("/v1/me", headers=account.session)).status_code == 200
        body = {"model": "ok", "input": "Hi"}
        assert (await http.post("/v1/responses", json=body, headers=account.key)).status_code == 200
        limited = {"authorization": f"Bearer {create_key(stack.gateway_urls[0], account, requests_per_minute=2)}"}
        statuses = [
            (await gateway.post("/v1/responses", json=body, headers=limited)).status_code
            for gateway in (*clients.gateways, *clients.gateways)
        ]
        assert statuses == [200, 200, 429, 429]
