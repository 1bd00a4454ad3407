"""Chats that are told to end hand their background responses over: nothing is lost, and it does not count as a try."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from rostra_stack.stack import Stack
from support.aftermath import assert_calm_logs, run_tries
from support.background import Clients
from support.follower import Follower, assert_told, text_of
from support.provider import ScriptedProvider
from support.provider_reply import numbered_text
from support.provider_script import hold
from support.stack import eventually, own_stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

_WORDS = 300
_TEXT = numbered_text(_WORDS)
_SAID = 40
_MODEL, _POISON = "held", "stall-after-headers"
_DRAIN_SECONDS = 1.0
# Beyond the drain time: hand over, settle, close.
_EXIT_SECONDS = 5.0
_MAX_RUNS = 5


@asynccontextmanager
async def opened(
    data: Path, gate: asyncio.Event, *, chats: int, max_runs: int
) -> AsyncIterator[tuple[Stack, Clients, ScriptedProvider]]:
    """Run a stack whose chats have a short drain time, and whose model pauses until the gate is open."""
    environment = {
        "ROSTRA_CHAT_SHUTDOWN__DRAIN_SECONDS": str(_DRAIN_SECONDS),
        "ROSTRA_CHAT_BACKGROUND__MAX_RUNS": str(max_runs),
    }
    async with AsyncExitStack() as exits:
        provider = await exits.enter_async_context(ScriptedProvider(models=[_MODEL, _POISON]))
        provider.program(_MODEL, hold(_TEXT, at=_SAID, gate=gate))
        stack = await exits.enter_async_context(
            own_stack(data, provider=provider, environment=environment, gateways=2, chats=chats)
        )
        yield stack, await exits.enter_async_context(Clients.open(stack)), provider


async def all_whole(following: Sequence["asyncio.Task[Follower]"], clients: Clients) -> None:
    """Check that every response completed and that its follower saw just that."""
    async with asyncio.timeout(60):
        for follower in await asyncio.gather(*following):
            response = await clients.get(follower.response_id)
            assert (response["status"], text_of(response)) == ("completed", _TEXT)
            assert_told(follower.frames, response)


async def test_chat_that_is_told_to_end_hands_over_what_runs_and_leaves_what_is_queued(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with opened(tmp_path, gate, chats=1, max_runs=_MAX_RUNS) as (stack, clients, provider):
        chat = stack.children["chat"]
        response_ids = [await clients.create(_MODEL) for _ in range(2 * _MAX_RUNS)]
        following = [clients.follow(response_id) for response_id in response_ids]
        # More handovers than a response has tries.
        for round_number in range(1, 5):
            await provider.wait_for_chats(round_number * _MAX_RUNS, timeout_seconds=20)
            started = time.monotonic()
            assert await chat.stop(timeout_seconds=20) == 0
            assert time.monotonic() - started < _DRAIN_SECONDS + _EXIT_SECONDS
            left = run_tries(tmp_path)
            assert set(left.values()) == {("queued", 0)}
            assert set(left) == set(response_ids)
            await chat.start()
            await chat.wait_ready(timeout_seconds=30)
        gate.set()
        await all_whole(following, clients)
        assert_calm_logs(stack)


async def test_chats_that_are_restarted_one_by_one_lose_nothing(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with opened(tmp_path, gate, chats=3, max_runs=32) as (stack, clients, provider):
        following = [clients.follow(await clients.create(_MODEL)) for _ in range(30)]
        await provider.wait_for_chats(30, timeout_seconds=20)
        for name in ("chat-1", "chat-2", "chat-3"):
            child = stack.children[name]
            await eventually(lambda: all_run(tmp_path), within_seconds=20)
            assert await child.stop(timeout_seconds=20) == 0
            await child.start()
            await child.wait_ready(timeout_seconds=30)
        gate.set()
        await all_whole(following, clients)
        assert_calm_logs(stack)


async def all_run(data: Path) -> bool:
    """Tell whether every response is run by somebody."""
    return {status for status, _ in run_tries(data).values()} == {"in_progress"}


async def test_response_whose_runners_all_die_ends_failed_and_others_run(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with opened(tmp_path, gate, chats=1, max_runs=_MAX_RUNS) as (stack, clients, provider):
        chat = stack.children["chat"]
        response_id = await clients.create(_POISON)
        following = clients.follow(response_id)

        async def is_taken(times: int) -> bool:
            return run_tries(tmp_path)[response_id] == ("in_progress", times)

        for death in range(1, 4):
            await provider.wait_for_chats(death, timeout_seconds=30)
            assert await is_taken(death)
            assert await chat.kill() == -9
            await chat.start()
            await chat.wait_ready(timeout_seconds=30)
        response = await clients.ended(response_id)
        assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
        assert "3 times" in response["error"]["message"]
        assert len(provider.chats) == 3
        async with asyncio.timeout(10):
            assert_told((await following).frames, response)
        assert run_tries(tmp_path) == {}
        gate.set()
        other = await clients.ended(await clients.create(_MODEL))
        assert other["status"] == "completed"
