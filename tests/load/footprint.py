"""Print what each service's process needs in memory and CPU, idle and under load: `make footprint`.

The chart's requests and limits come from it. The whole stack and its callers run on this machine's loopback address,
with the model `echo`; each load is bounded in time. With --databases user and history use MySQL and a MongoDB-wire
server, as in production, where hack/install-servers has put them. CPU is in thousandths of a core, memory the largest
resident set seen.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
from latency import ADDRESS_LIMIT, TESTS, UNLIMITED
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from rostra_stack.child import Child
from rostra_stack.config import StackConfig
from rostra_stack.local_account import local_api_key
from rostra_stack.stack import Stack

sys.path.insert(0, str(TESTS))
from support.mongodb_server import mongodb_server
from support.process_use import cpu_seconds
from support.server_database import fresh_database
from support.sql_server import mysql_server

SAMPLE_SECONDS = 0.5
ENVIRONMENT = ADDRESS_LIMIT | {
    "ROSTRA_GATEWAY_ADDRESS_LIMITS__SIGN_INS_PER_MINUTE": str(UNLIMITED),
    "ROSTRA_GATEWAY_ADDRESS_LIMITS__LOG_INS_PER_ACCOUNT": str(UNLIMITED),
    "ROSTRA_GATEWAY_ADDRESS_LIMITS__CONCURRENT_STREAMS": str(UNLIMITED),
}
WORDS = " ".join(f"word-{number}" for number in range(400))
Load = Callable[[], Awaitable[object]]


def resident_mib(child: Child) -> float:
    """Return the process's resident memory now."""
    status = Path(f"/proc/{child.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


@contextmanager
def databases(data: Path, *, as_in_production: bool) -> Iterator[dict[str, str]]:
    """Yield the variables that name user's and history's databases: servers' own, or files in the folder."""
    if not as_in_production:
        yield {"ROSTRA_USER_DATABASE__URL": f"sqlite+aiosqlite:///{data}/user.sqlite3"}
        return
    with ExitStack() as stack:
        mysql, mongodb = (stack.enter_context(server()) for server in (mysql_server, mongodb_server))
        user_database = {"ROSTRA_USER_DATABASE__URL": stack.enter_context(fresh_database(mysql))}
        migrate = [sys.executable, "-m", "rostra_user.migrate"]  # as the chart does, in a process of its own
        subprocess.run(migrate, env=os.environ | user_database, check=True, timeout=120)
        yield user_database | {
            "ROSTRA_HISTORY_DATABASE__URL": stack.enter_context(fresh_database(mongodb)),
        }


async def lift_limits(database_url: str) -> None:
    """Let one account do all that the measurement does."""
    names = ("requests_per_minute", "tokens_per_minute", "concurrent_streams")
    engine = create_async_engine(database_url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text(f"UPDATE plans SET {', '.join(f'{name} = {UNLIMITED}' for name in names)}"))


async def measure(name: str, stack: Stack, load: Load, *, callers: int, seconds: float) -> None:
    """Let `callers` call again and again for a time, and print what each process needed meanwhile."""
    calls = 0
    ending = time.monotonic() + seconds

    async def repeat() -> None:
        nonlocal calls
        while time.monotonic() < ending:
            await load()
            calls += 1

    before = {child: cpu_seconds(child.pid) for child in stack.children.values()}
    started = time.monotonic()
    most = dict.fromkeys(before, 0.0)
    running = asyncio.gather(*(repeat() for _ in range(callers)))
    while time.monotonic() < ending:
        most = {child: max(found, resident_mib(child)) for child, found in most.items()}
        await asyncio.sleep(SAMPLE_SECONDS)
    elapsed = time.monotonic() - started
    figures = "   ".join(
        f"{child.plan.name} {most[child]:4.0f} MiB {1000 * (cpu_seconds(child.pid) - used) / elapsed:4.0f} m"
        for child, used in before.items()
    )
    await running
    sys.stdout.write(f"{name:<28} {calls / elapsed:6.1f}/s   {figures}\n")


async def idle_second() -> None:
    """Be a load that is none."""
    await asyncio.sleep(1)


async def main(seconds: float, *, as_in_production: bool) -> None:
    """Measure an idle stack, then one load after the other."""
    with (
        tempfile.TemporaryDirectory() as data,
        databases(Path(data), as_in_production=as_in_production) as stores,
    ):
        config = StackConfig(data=Path(data), port=0, environment=ENVIRONMENT | stores)
        async with Stack(config) as stack:
            await lift_limits(stores["ROSTRA_USER_DATABASE__URL"])
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
    parser.add_argument("--databases", action="store_true", help="use MySQL and a MongoDB-wire server")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.seconds, as_in_production=arguments.databases))
