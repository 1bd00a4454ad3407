"""Streams come, and three of ten are left midway: memory, sockets, tasks, keys and reservations do not grow with them.

`ROSTRA_TEST_MINUTES=10` runs for ten minutes, with the bound on memory that holds then.
"""

import asyncio
import os
import statistics
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import httpx
import pytest

from rostra_kit.usage_queue import OPEN_CALL_EVENTS, USAGE_STREAM
from rostra_stack.stack import Stack
from support.aftermath import assert_calm_logs, held_claims, immortal_keys, redis_of
from support.background import Clients
from support.observed_stack import scrape_all
from support.process_use import open_sockets, resident_bytes
from support.provider import ScriptedProvider
from support.stack import eventually, own_stack

_MINUTES = float(os.environ.get("ROSTRA_TEST_MINUTES", "0.8"))
_IS_LONG = _MINUTES >= 5
_SECONDS = _MINUTES * 60
# Caches and arenas fill at first.
_WARM_UP_SECONDS = min(120.0, _SECONDS / 2)
_CALLERS = 8
_STREAMS_PER_SECOND = 15.0
_LEFT_SHARE = 0.3
# In a minute there are 900 streams at most: the short run's bound is what a leak of 4 kB for each of them comes to.
_MOST_GROWTH_BYTES_PER_MINUTE = 1_000_000 if _IS_LONG else 4_000_000
_SAMPLE_SECONDS = 1.0
# Connections that are kept open have tasks, and there are as many as were ever needed at once.
_MORE_TASKS = 4 * _CALLERS
_BODIES = {
    "/v1/chat/completions": {"model": "ok-40-5", "messages": [{"role": "user", "content": "Count."}], "stream": True},
    "/v1/responses": {"model": "ok-40-5", "input": "Count.", "stream": True, "store": False},
}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(_SECONDS + 120),
    pytest.mark.skipif(sys.platform != "linux", reason="memory and sockets are read from /proc"),
]


async def test_nothing_grows_with_streams_that_come_and_go(tmp_path: Path) -> None:
    async with AsyncExitStack() as exits:
        provider = await exits.enter_async_context(ScriptedProvider(models=["ok-40-5"]))
        environment = {"ROSTRA_GATEWAY_STREAM_HOLD_SECONDS": "5"}
        stack = await exits.enter_async_context(own_stack(tmp_path, provider=provider, environment=environment))
        clients = await exits.enter_async_context(Clients.open(stack))
        await asyncio.gather(*(stream(clients, path, left=False) for path in _BODIES))
        keys_before, tasks_before = await kept_keys(stack), await tasks_of(stack)
        memory: dict[str, list[tuple[float, int]]] = {name: [] for name in stack.children}
        sockets: dict[str, list[int]] = {name: [] for name in stack.children}
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch(stack, memory, sockets))
            asking = [tasks.create_task(keep_asking(clients, Random(number))) for number in range(_CALLERS)]
            await asyncio.wait(asking)
            watching.cancel()
        ended = [each for task in asking for each in task.result()]
        assert 0.6 * len(ended) < sum(ended) < 0.9 * len(ended)

        growth = {name: bytes_per_minute(samples) for name, samples in memory.items()}
        print(f"{len(ended)} streams, {len(ended) - sum(ended)} left")  # noqa: T201 - the measured figures
        for name in stack.children:
            print(f"{name}: {growth[name] / 1e6:+.2f} MB/min, {memory[name][-1][1] / 1e6:.0f} MB resident")  # noqa: T201
        await assert_quiet(stack, keys_before)
        tasks_after = await tasks_of(stack)
        assert all(tasks_after[name] <= count + _MORE_TASKS for name, count in tasks_before.items()), tasks_after
        for name, found in growth.items():
            assert found < _MOST_GROWTH_BYTES_PER_MINUTE, (name, found)
            early, late = (statistics.mean(half) for half in halves(sockets[name]))
            assert late < 1.5 * early + 10, name
        assert_calm_logs(stack)


async def keep_asking(clients: Clients, chance: Random) -> list[bool]:
    """Open one stream after the other, a few in a second, and tell of each whether it came to its end."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + _SECONDS
    ended = []
    while loop.time() < ends_at:
        next_at = loop.time() + _CALLERS / _STREAMS_PER_SECOND
        left = chance.random() < _LEFT_SHARE
        ended.append(await stream(clients, chance.choice(list(_BODIES)), left=left, after=chance.randrange(1, 30)))
        await asyncio.sleep(max(0.0, next_at - loop.time()))
    return ended


async def stream(clients: Clients, path: str, *, left: bool, after: int = 0) -> bool:
    """Read a stream, or leave it after so many lines, and tell whether it came to its end."""
    async with clients.any().stream("POST", path, json=_BODIES[path]) as answer:
        assert answer.status_code == 200, await answer.aread()
        lines = 0
        async for _ in answer.aiter_lines():
            lines += 1
            if left and lines > after:
                return False
    return True


async def watch(stack: Stack, memory: dict[str, list[tuple[float, int]]], sockets: dict[str, list[int]]) -> None:
    """Note what each process has, once it is warm."""
    await asyncio.sleep(_WARM_UP_SECONDS)
    while True:
        for name, child in stack.children.items():
            memory[name].append((time.monotonic(), resident_bytes(child.pid)))
            sockets[name].append(open_sockets(child.pid))
        await asyncio.sleep(_SAMPLE_SECONDS)


def bytes_per_minute(samples: list[tuple[float, int]]) -> float:
    """Return the slope of the line through the samples."""
    times, sizes = zip(*samples, strict=True)
    return statistics.linear_regression(times, sizes).slope * 60


def halves(numbers: list[int]) -> tuple[list[int], list[int]]:
    middle = len(numbers) // 2
    return numbers[:middle], numbers[middle:]


async def tasks_of(stack: Stack) -> dict[str, float]:
    """Return how many tasks each service has, its metric's next sample awaited."""
    await asyncio.sleep(0.5)
    told = await scrape_all(stack)
    return {name: families["rostra_event_loop_tasks"].samples[0].value for name, families in told.items()}


async def kept_keys(stack: Stack) -> set[bytes]:
    """Return the keys of Redis but for those that time itself bounds.

    Reservations are forgotten after two minutes; of the active users there is a key for each five minutes and hour.
    """
    async with redis_of(stack) as redis:
        keys = {key async for key in redis.scan_iter(count=1000)}
        return {key for key in keys if b":reservation:" not in key and not key.startswith(b"{active_users}:")}


async def assert_quiet(stack: Stack, keys_before: set[bytes]) -> None:
    """Check that nothing is open, held or kept of the streams that have gone."""
    async with redis_of(stack) as redis:

        async def is_quiet() -> bool:
            return await held_claims(redis) + await redis.hlen(OPEN_CALL_EVENTS) + await redis.xlen(USAGE_STREAM) == 0

        await eventually(is_quiet, within_seconds=15)
        assert await immortal_keys(redis) == []
        assert len(await kept_keys(stack)) <= len(keys_before) + 2
        # A reservation is known for two minutes after its end: they cannot be more than those of that time.
        seconds = min(_SECONDS, 130.0)
        reservations = [key async for key in redis.scan_iter("*:reservation:*", count=1000)]
        assert len(reservations) <= 3 * _STREAMS_PER_SECOND * seconds + 50
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{stack.gateway_urls[0]}/livez")).status_code == 200
