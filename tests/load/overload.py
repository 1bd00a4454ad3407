"""Print how a gateway fares that is asked three times what it can serve: `make load`.

A scripted provider, the whole stack and all callers run on this machine's loopback address. The gateway has places for
so many requests. First as many clients as it has places ask one stream after the other: that is the best it can do.
Then streams begin at three times that rate, whether or not others have ended. What counts are ratios within one run:
the streams that ended in a second, compared with the best; how the others were refused; whether each that was accepted
came to its end; and after how long a single caller is served as fast as before. It fails where less than 80 % of the
best is left, an accepted stream breaks, a refusal does not say when to come back, or recovery takes 5 s.
"""

import argparse
import asyncio
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from rostra_stack.config import StackConfig
from rostra_stack.local_account import local_api_key
from rostra_stack.stack import Stack

TESTS = Path(__file__).parent.parent
MODEL = "ok-25-40"
UNLIMITED = 1_000_000_000
OVERLOAD = 3
PROBES = 5
LEAST_GOODPUT = 0.8
LONGEST_RECOVERY_SECONDS = 5.0


@dataclass
class Figures:
    """What came of the streams of one phase."""

    ended: int = 0
    broken: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    refusal_seconds: list[float] = field(default_factory=list)


async def ask(http: aiohttp.ClientSession, figures: Figures) -> None:
    """Ask for one stream and note what came of it."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Count."}], "stream": True}
    began = time.monotonic()
    try:
        async with http.post("/v1/chat/completions", json=body) as answer:
            if answer.status != 200:
                wait = "with" if "retry-after" in answer.headers else "without"
                figures.refused[f"{answer.status} {wait} Retry-After"] += 1
                figures.refusal_seconds.append(time.monotonic() - began)
                return
            text = await answer.read()
            figures.ended += text.endswith(b"data: [DONE]\n\n")
            figures.broken += not text.endswith(b"data: [DONE]\n\n")
    except aiohttp.ClientError as error:
        figures.refused[type(error).__name__] += 1


async def best(http: aiohttp.ClientSession, *, places: int, seconds: float) -> float:
    """Return how many streams end in a second when every place is taken again at once."""
    figures = Figures()
    began = time.monotonic()

    async def go_on() -> None:
        while time.monotonic() < began + seconds:
            await ask(http, figures)

    await asyncio.gather(*(go_on() for _ in range(places)))
    return figures.ended / (time.monotonic() - began)


async def overload(http: aiohttp.ClientSession, *, rate: float, seconds: float) -> tuple[Figures, float]:
    """Begin streams at a rate, and return what came of them and how many ended in a second of that time."""
    figures, loop = Figures(), asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for number in range(round(rate * seconds)):
            await asyncio.sleep(began + number / rate - loop.time())
            tasks.create_task(ask(http, figures))
    return figures, figures.ended / (loop.time() - began)


async def seconds_of_one(http: aiohttp.ClientSession) -> float:
    """Return how long one stream takes, or infinity when it is refused."""
    figures = Figures()
    began = time.monotonic()
    await ask(http, figures)
    return time.monotonic() - began if figures.ended else float("inf")


async def recovery_seconds(http: aiohttp.ClientSession, usual_seconds: float) -> float:
    """Return after how long a caller begins to be served as fast as before."""
    began = time.monotonic()
    while True:
        asked = time.monotonic()
        if await seconds_of_one(http) < 1.5 * usual_seconds:
            return asked - began


async def measure(*, places: int, seconds: float) -> list[str]:
    """Run the phases, print their figures, and return what does not hold."""
    async with product(places) as http:
        usual = statistics.median([await seconds_of_one(http) for _ in range(PROBES)])
        at_best = await best(http, places=places, seconds=seconds)
        figures, good = await overload(http, rate=OVERLOAD * at_best, seconds=seconds)
        recovered = await recovery_seconds(http, usual)
    lines = (
        f"one stream alone             {usual:.2f} s",
        f"best, {places} at once            {at_best:.1f} streams/s",
        f"{OVERLOAD} times as many begin       {good:.1f} streams/s end: {good / at_best:.0%} of the best",
        f"refused                      {dict(figures.refused)}",
        f"a refusal takes (median)     {statistics.median(figures.refusal_seconds or [0.0]) * 1000:.0f} ms",
        f"accepted and not ended well  {figures.broken}",
        f"recovered after              {recovered:.2f} s",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    held = {
        "nobody was refused": bool(figures.refused),
        "refusals that do not say when to come back": all(" with " in each for each in figures.refused),
        f"less than {LEAST_GOODPUT:.0%} of the best": good >= LEAST_GOODPUT * at_best,
        "accepted streams that broke": not figures.broken,
        f"no recovery within {LONGEST_RECOVERY_SECONDS:.0f} s": recovered < LONGEST_RECOVERY_SECONDS,
    }
    return [failure for failure, is_held in held.items() if not is_held]


@asynccontextmanager
async def product(places: int) -> AsyncIterator[aiohttp.ClientSession]:
    """Run the stack and a provider in a process of its own, and yield a client of the gateway."""
    command = (sys.executable, "-m", "support.provider", "--model", MODEL)
    provider = await asyncio.create_subprocess_exec(*command, cwd=TESTS, stdout=asyncio.subprocess.PIPE)
    try:
        assert provider.stdout
        url = (await provider.stdout.readline()).decode().split()[-1]
        environment = {
            "OPENAI_BASE_URL": url,
            "OPENAI_API_KEY": "sk-scripted",
            "ROSTRA_GATEWAY_REQUEST__MAX_UNDER_WAY": str(places),
            "ROSTRA_GATEWAY_ADDRESS_LIMITS__REQUESTS_PER_MINUTE": str(UNLIMITED),
            "ROSTRA_GATEWAY_ADDRESS_LIMITS__CONCURRENT_STREAMS": str(UNLIMITED),
        }
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder)
            async with Stack(StackConfig(data=data, port=0, environment=os.environ | environment)) as stack:
                lift_limits(data / "user.sqlite3")
                key = await local_api_key(stack.gateway_urls[0], data)
                headers = {"authorization": f"Bearer {key}"}
                connector = aiohttp.TCPConnector(limit=0)
                async with aiohttp.ClientSession(stack.gateway_urls[0], headers=headers, connector=connector) as http:
                    yield http
    finally:
        provider.terminate()
        await provider.wait()


def lift_limits(database: Path) -> None:
    """Lift the plan's limits."""
    limits = ("requests_per_minute", "tokens_per_minute", "concurrent_streams")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f"UPDATE plans SET {', '.join(f'{name} = {UNLIMITED}' for name in limits)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, default=64, help="requests that the gateway has under way at most")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each phase")
    arguments = parser.parse_args()
    failures = asyncio.run(measure(places=arguments.places, seconds=arguments.seconds))
    sys.exit("; ".join(failures) or 0)
