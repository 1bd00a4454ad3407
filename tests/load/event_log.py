"""Print what background responses and their event log cost: `make load`.

A scripted provider, the whole stack and one caller run on this machine's loopback address. The same answers are made,
32 at once, for clients that wait, in the background, and in the background with a follower each, by turns. What counts
is the processor time of chat and Redis: tokens in each second of it, and how these compare within one round, of which
the median is printed. Figures of one run compare with one another, not with those of another machine.
"""

import argparse
import asyncio
import os
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from rostra_stack.config import StackConfig
from rostra_stack.local_account import local_api_key
from rostra_stack.stack import Stack

TESTS = Path(__file__).parent.parent
SERVERS = Path(os.environ.get("ROSTRA_SERVERS") or "~/.cache/rostra/servers").expanduser() / "bin"
ENDED = ("completed", "failed", "incomplete", "cancelled")
AT_ONCE = 32
UNLIMITED = 1_000_000_000
ADDRESS_LIMIT = {"ROSTRA_GATEWAY_ADDRESS_LIMITS__REQUESTS_PER_MINUTE": str(UNLIMITED)}
POLL_SECONDS = 0.1
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

Ask = Callable[[aiohttp.ClientSession, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Speed:
    """How a model speaks, and how much it says in one answer."""

    name: str
    model: str
    words: int
    answers_each: int


SPEEDS = (Speed("paced at 20 ms", "ok-200-20", 200, 1), Speed("unpaced", "unpaced-1000", 1000, 2))


async def wait(http: aiohttp.ClientSession, model: str) -> None:
    """Ask as a client that waits for its stream."""
    await _stream(http, {"model": model, "input": "Count.", "stream": True})


async def follow(http: aiohttp.ClientSession, model: str) -> None:
    """Ask for a response in the background, and follow it."""
    await _stream(http, {"model": model, "input": "Count.", "stream": True, "background": True})


async def leave(http: aiohttp.ClientSession, model: str) -> None:
    """Ask for a response in the background, and look from time to time whether it has ended."""
    body = {"model": model, "input": "Count.", "background": True}
    async with http.post("/v1/responses", json=body) as answer:
        answer.raise_for_status()
        response = await answer.json()
    while response["status"] not in ENDED:
        await asyncio.sleep(POLL_SECONDS)
        async with http.get(f"/v1/responses/{response['id']}") as answer:
            response = await answer.json()
    _check(response["status"] == "completed")


WAYS: dict[str, Ask] = {"without": wait, "background": leave, "followed": follow}


async def _stream(http: aiohttp.ClientSession, body: dict[str, object]) -> None:
    last = b""
    async with http.post("/v1/responses", json=body) as answer:
        answer.raise_for_status()
        async for data in answer.content.iter_any():
            last = (last + data)[-100_000:]
    _check(b"event: response.completed\n" in last)


def _check(is_whole: bool) -> None:
    if not is_whole:
        raise RuntimeError("an answer is not whole")


def cpu_seconds(stack: Stack) -> float:
    """Return the processor time that chat and Redis have used."""
    ticks = 0
    for name in ("chat", "redis"):
        fields = Path(f"/proc/{stack.children[name].pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_SECOND


async def tokens_per_second(stack: Stack, http: aiohttp.ClientSession, speed: Speed, ask: Ask) -> float:
    """Return how many tokens were made in a second of processor time."""
    before = cpu_seconds(stack)
    for _ in range(speed.answers_each):
        await asyncio.gather(*(ask(http, speed.model) for _ in range(AT_ONCE)))
    return speed.words * speed.answers_each * AT_ONCE / (cpu_seconds(stack) - before)


@asynccontextmanager
async def provider() -> AsyncIterator[str]:
    """Run the scripted provider as a process of its own and yield its base URL."""
    models = [argument for speed in SPEEDS for argument in ("--model", speed.model)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "support.provider", *models, cwd=TESTS, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        yield (await process.stdout.readline()).decode().split()[-1]
    finally:
        process.terminate()
        await process.wait()


def lift_limits(data: Path) -> None:
    """Lift the default plan's limits: they are still reserved and settled, but never reached."""
    limits = ("requests_per_minute", "tokens_per_minute", "concurrent_streams")
    with closing(sqlite3.connect(data / "user.sqlite3")) as database, database:
        database.execute(f"UPDATE plans SET {', '.join(f'{name} = {UNLIMITED}' for name in limits)}")


async def measure(stack: Stack, http: aiohttp.ClientSession, speed: Speed, *, rounds: int) -> None:
    """Go all ways by turns and print the medians, and those of the ratios within a round."""
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(rounds + 1):
        for way, ask in WAYS.items():
            rate = await tokens_per_second(stack, http, speed, ask)
            if number:  # the first one warms up
                rates[way].append(rate)
    for way, found in rates.items():
        ratio = statistics.median(one / other for one, other in zip(found, rates["without"], strict=True))
        sys.stdout.write(f"{speed.name:<16} {way:<12} {statistics.median(found):10,.0f} tokens/s {ratio:8.0%}\n")
        sys.stdout.flush()


async def main(rounds: int) -> None:
    """Measure both speeds, one after the other."""
    # With a real server where there is one: the built-in Redis would be all that is measured.
    os.environ["PATH"] = f"{SERVERS}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as data:
        async with provider() as upstream:
            config = StackConfig(data=Path(data), port=0, environment={"OPENAI_BASE_URL": upstream, **ADDRESS_LIMIT})
            async with Stack(config) as stack:
                lift_limits(config.data)
                gateway = stack.gateway_urls[0]
                headers = {"authorization": f"Bearer {await local_api_key(gateway, config.data)}"}
                connector = aiohttp.TCPConnector(limit=0)
                async with aiohttp.ClientSession(gateway, headers=headers, connector=connector) as http:
                    for speed in SPEEDS:
                        await measure(stack, http, speed, rounds=rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print what background responses and their event log cost.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default: %(default)s)")
    asyncio.run(main(parser.parse_args().rounds))
