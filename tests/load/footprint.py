"""Print what each service's process needs in memory and CPU, idle and under load: `make footprint`.

The chart's requests and limits come from it. The whole stack and its callers run on this machine's loopback address,
with the model `echo`; each load is bounded in time. CPU is in thousandths of a core, memory the largest resident set
seen.
"""

import argparse
import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import aiohttp
from latency import ADDRESS_LIMIT, UNLIMITED, lift_limits

from rostra_stack.child import Child
from rostra_stack.config import StackConfig
from rostra_stack.local_account import local_api_key
from rostra_stack.stack import Stack

SAMPLE_SECONDS = 0.5
ENVIRONMENT = ADDRESS_LIMIT | {
    "ROSTRA_GATEWAY_ADDRESS_LIMITS__SIGN_INS_PER_MINUTE": str(UNLIMITED),
    "ROSTRA_GATEWAY_ADDRESS_LIMITS__CONCURRENT_STREAMS": str(UNLIMITED),
}
WORDS = " ".join(f"word-{number}" for number in range(400))
Load = Callable[[], Awaitable[object]]


def resident_mib(child: Child) -> float:
    """Return the process's resident memory now."""
    status = Path(f"/proc/{child.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def cpu_seconds(child: Child) -> float:
    """Return the CPU time that the process has had."""
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lift_streams(data: Path) -> None:
    """Let one account have as many streams as the measurement opens."""
    with closing(sqlite3.connect(data / "user.sqlite3")) as database, database:
        database.execute("UPDATE plans SET concurrent_streams = ?", (UNLIMITED,))


async def measure(name: str, stack: Stack, load: Load, *, callers: int, seconds: float) -> None:
    """Let `callers` call again and again for a time, and print what each process needed meanwhile."""
    calls = 0
    ending = time.monotonic() + seconds

    async def repeat() -> None:
        nonlocal calls
        while time.monotonic() < ending:
            await load()
            calls += 1

    before = {child: cpu_seconds(child) for child in stack.children.values()}
    started = time.monotonic()
    most = dict.fromkeys(before, 0.0)
    running = asyncio.gather(*(repeat() for _ in range(callers)))
    while time.monotonic() < ending:
        most = {child: max(found, resident_mib(child)) for child, found in most.items()}
        await asyncio.sleep(SAMPLE_SECONDS)
    elapsed = time.monotonic() - started
    figures = "   ".join(
        f"{child.plan.name} {most[child]:4.0f} MiB {1000 * (cpu_seconds(child) - used) / elapsed:4.0f} m"
        for child, used in before.items()
    )
    await running
    sys.stdout.write(f"{name:<28} {calls / elapsed:6.1f}/s   {figures}\n")


async def idle_second() -> None:
    """Be a load that is none."""
    await asyncio.sleep(1)


async def main(seconds: float) -> None:
    """Measure an idle stack, then one load after the other."""
    with tempfile.TemporaryDirectory() as data:
        config = StackConfig(data=Path(data), port=0, environment=ENVIRONMENT)
        async with Stack(config) as stack:
            lift_limits(config.data)
            lift_streams(config.data)
            gateway = stack.gateway_urls[0]
            headers = {"authorization": f"Bearer {await local_api_key(gateway, config.data)}"}
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(gateway, headers=headers, connector=connector) as http:

                def post(path: str, body: dict[str, object], *, status: int = 200) -> Load:
                    async def call() -> None:
                        async with http.post(path, json=body) as answer:
                            assert answer.status == status, await answer.text()
                            await answer.read()

                    return call

                chat = {"model": "echo", "messages": [{"role": "user", "content": WORDS}]}
                response = {"model": "echo", "input": "Hello!"}
                sign_in = {"email": "nobody@example.com", "password": "not-the-password"}
                await measure("idle", stack, idle_second, callers=1, seconds=seconds)
                streams = post("/v1/chat/completions", chat | {"stream": True})
                loads = [
                    ("50 open streams", 50, streams),
                    ("200 open streams", 200, streams),
                    ("completions, 8 callers", 8, post("/v1/chat/completions", chat)),
                    ("stored responses, 8 callers", 8, post("/v1/responses", response)),
                    ("sign-ins, 8 callers", 8, post("/v1/auth/login", sign_in, status=401)),
                ]
                for name, callers, load in loads:
                    await measure(name, stack, load, callers=callers, seconds=seconds)
                await measure("idle again", stack, idle_second, callers=1, seconds=seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print what each service needs.")
    parser.add_argument("--seconds", type=float, default=15, help="time of each load (default: %(default)s)")
    asyncio.run(main(parser.parse_args().seconds))
