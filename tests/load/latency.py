"""Print what Rostra adds to a provider's time: `make load`.

A scripted provider, the whole stack and one caller run on this machine's loopback address. The caller asks the provider
directly and through the gateway by turns, so that noise of the machine meets both alike. Figures of one run compare
with one another, not with those of another machine.
"""

import argparse
import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from rostra_stack.config import StackConfig
from rostra_stack.local_account import local_api_key
from rostra_stack.stack import Stack

TESTS = Path(__file__).parent.parent
WARM_UP_CALLS = 30
UNLIMITED = 1_000_000_000
ADDRESS_LIMIT = {"ROSTRA_GATEWAY_ADDRESS_LIMITS__REQUESTS_PER_MINUTE": str(UNLIMITED)}
CHAT = {"model": "ok", "messages": [{"role": "user", "content": "Hello!"}]}
RESPONSE = {"model": "ok", "input": "Hello!"}


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One way to ask: where, with what, and whether the answer is streamed."""

    url: str
    body: dict[str, object]

    async def seconds(self, http: aiohttp.ClientSession) -> float:
        """Ask once and return the time to the whole answer, or to the first byte of a streamed one."""
        started = time.perf_counter()
        async with http.post(self.url, json=self.body) as answer:
            answer.raise_for_status()
            first = await answer.content.readany()
            elapsed = time.perf_counter() - started
            await answer.read()
        if not first:
            message = f"{self.url} answered nothing"
            raise RuntimeError(message)
        return elapsed


@asynccontextmanager
async def provider() -> AsyncIterator[str]:
    """Run the scripted provider as a process of its own and yield its base URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "support.provider", cwd=TESTS, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        yield (await process.stdout.readline()).decode().split()[-1]
    finally:
        process.terminate()
        await process.wait()


def lift_limits(data: Path) -> None:
    """Lift the default plan's limits: they are still reserved and settled, but never reached."""
    with closing(sqlite3.connect(data / "user.sqlite3")) as database, database:
        database.execute("UPDATE plans SET requests_per_minute = ?, tokens_per_minute = ?", (UNLIMITED, UNLIMITED))


async def measure(name: str, direct: Route, through: Route, *, calls: int, headers: dict[str, str]) -> None:
    """Ask both ways by turns and print what the way through Rostra adds."""
    times: dict[Route, list[float]] = {direct: [], through: []}
    async with aiohttp.ClientSession(headers=headers) as http:
        for call in range(WARM_UP_CALLS + calls):
            for route, seconds in times.items():
                elapsed = await route.seconds(http)
                if call >= WARM_UP_CALLS:
                    seconds.append(elapsed)
    added = [percentile(times[through], part) - percentile(times[direct], part) for part in (50, 99)]
    sys.stdout.write(
        f"{name:<38} direct p50 {percentile(times[direct], 50):5.2f} ms   "
        f"added p50 {added[0]:5.2f} ms   added p99 {added[1]:5.2f} ms\n"
    )


def percentile(seconds: list[float], part: int) -> float:
    """Return the percentile in milliseconds."""
    return statistics.quantiles(seconds, n=100)[part - 1] * 1000


async def main(calls: int) -> None:
    """Measure the paths, one after the other."""
    with tempfile.TemporaryDirectory() as data:
        async with provider() as upstream:
            config = StackConfig(data=Path(data), port=0, environment={"OPENAI_BASE_URL": upstream, **ADDRESS_LIMIT})
            async with Stack(config) as stack:
                lift_limits(config.data)
                gateway = stack.gateway_urls[0]
                headers = {"authorization": f"Bearer {await local_api_key(gateway, config.data)}"}
                chat, stored = f"{gateway}/v1/chat/completions", f"{gateway}/v1/responses"
                direct = f"{upstream}/chat/completions"
                stream = {**CHAT, "stream": True}
                whole, streamed = Route(direct, CHAT), Route(direct, stream)
                paths = [
                    ("chat completion", whole, Route(chat, CHAT)),
                    ("chat completion, stream, first byte", streamed, Route(chat, stream)),
                    ("response, not stored", whole, Route(stored, {**RESPONSE, "store": False})),
                    ("response, stored", whole, Route(stored, RESPONSE)),
                ]
                for name, one, other in paths:
                    await measure(name, one, other, calls=calls, headers=headers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print what Rostra adds to a provider's time.")
    parser.add_argument("--calls", type=int, default=300, help="calls of each kind (default: %(default)s)")
    asyncio.run(main(parser.parse_args().calls))
