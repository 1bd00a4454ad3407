"""Compare Rostra with LiteLLM, Portkey and Llama Stack, and write docs/performance.md with its pictures: `make bench`.

All ask the same provider in the same run, one after the other in each of several rounds, each on one core of its own;
provider and callers have the other one. What counts most is CPU time, which other work on the machine disturbs least.
"""

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench_figures import Figures, Memory, Results, largest
from bench_loads import LOADS, WARM_UP, Load
from bench_plots import pictures
from bench_report import DIRECT, Run, document
from bench_systems import CACHE, Running, cpu_seconds, litellm, llama_stack, portkey, rostra

HERE = Path(__file__).parent
DOCUMENT = HERE.parent.parent / "docs/performance.md"
SYSTEM_CORE, LOAD_CORE = 0, 1
WARM_UP_SECONDS, REST_SECONDS = 3.0, 10.0


def ask(url: str, headers: dict[str, str], load: Load, seconds: float, *, callers: int | None = None) -> dict[str, Any]:
    """Let callers call for a while, as many as the load has unless told otherwise, and return what they saw."""
    command = [sys.executable, HERE / "bench_caller.py", url, "--callers", str(callers or load.callers)]
    command += ["--seconds", str(seconds), "--spread", str(load.spread_seconds)]
    told = json.dumps({"headers": headers, "body": load.body})
    pinned = ["taskset", "-c", str(LOAD_CORE), *map(str, command)]
    done = subprocess.run(pinned, input=told, capture_output=True, text=True, check=True, timeout=seconds + 120)
    seen: dict[str, Any] = json.loads(done.stdout)
    if seen["failed"]:
        raise RuntimeError(f"{seen['failed']} of {seen['calls']} calls of {url} failed: {seen['first_failure']}")
    return seen


def machine_seconds() -> float:
    """Return the CPU time that anybody has had on this machine."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def measure(system: Running, load: Load, seconds: float, provider: int) -> dict[str, float]:
    """Return one round's figures.

    Args:
        provider: The provider's process.
    """
    began, all_used, used = time.monotonic(), machine_seconds(), system.cpu_seconds()
    asking = cpu_seconds(provider) + sum(os.times()[2:4])
    seen = ask(system.url_of(load), dict(system.headers), load, seconds)
    elapsed, cpu = time.monotonic() - began, system.cpu_seconds() - used
    asking = cpu_seconds(provider) + sum(os.times()[2:4]) - asking
    foreign = max(0.0, machine_seconds() - all_used - cpu - asking) / (elapsed * (os.cpu_count() or 1))
    figures = {
        "rate": seen["calls"] / seen["elapsed"],
        "cpu_per_1000": cpu / seen["calls"] * 1000,
        "foreign": foreign,
        "load_share": asking / elapsed,
        "stalls": seen["stalls"],
        **{f"{what}_{part}": value for what in ("total", "first", "gap") for part, value in seen[what].items()},
    }
    if seen["tokens"]:
        figures["token_rate"] = seen["tokens"] / seen["elapsed"]
        figures["cpu_per_100k_tokens"] = cpu / seen["tokens"] * 100_000
    return figures


@asynccontextmanager
async def all_systems(provider: str) -> AsyncIterator[list[Running]]:
    """Run what is installed."""
    starts: list[tuple[Callable[..., Any], Path]] = [
        (rostra, HERE / "bench.py"),
        (litellm, CACHE / "litellm/venv/bin/litellm"),
        (portkey, CACHE / "portkey/node_modules/@portkey-ai/gateway"),
        (llama_stack, CACHE / "llama-stack/venv/bin/llama"),
    ]
    async with AsyncExitStack() as stack:
        systems = []
        for start, needed in starts:
            if not needed.exists():
                sys.stdout.write(f"{start.__name__} is left out: there is no {needed} (hack/install-peers)\n")
                continue
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            systems.append(await stack.enter_async_context(start(provider, folder, SYSTEM_CORE)))
            sys.stdout.write(f"{systems[-1].name} answers after {systems[-1].start_seconds:.1f} s\n")
        yield systems


def run_rounds(systems: Sequence[Running], rounds: int, seconds: float, provider: int) -> tuple[Results, Memory]:
    """Warm systems up and measure them by turns; the first is the provider, asked directly."""
    idle = {system.name: system.resident_mib() for system in systems[1:]}
    loaded = dict(idle)
    asked = {load: [system for system in systems if system.url_of(load)] for load in LOADS}
    for load in WARM_UP:
        for system in asked[load]:
            ask(system.url_of(load), dict(system.headers), load, min(WARM_UP_SECONDS, seconds))
    results = {load: {system.name: Figures() for system in asked[load]} for load in LOADS}
    for number in range(rounds):
        for load in LOADS:
            # Turned around every other round, so that nobody is always the one after the heaviest.
            for system in asked[load] if number % 2 == 0 else reversed(asked[load]):
                results[load][system.name].rounds.append(measure(system, load, seconds, provider))
                if system.name in loaded:
                    loaded[system.name] = largest(loaded[system.name], system.resident_mib())
    time.sleep(REST_SECONDS)
    return results, Memory(idle, loaded, {system.name: system.resident_mib() for system in systems[1:]})


async def main(rounds: int, seconds: float, *, write: bool) -> None:
    """Measure and report."""
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, str(HERE / "bench_provider.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as provider:  # noqa: ASYNC220 - once
        assert provider.stdout
        address = provider.stdout.readline().strip()
        direct = Running(DIRECT, f"{address}/chat/completions", {}, 0.0)
        try:
            async with all_systems(address) as systems:
                measured = await asyncio.to_thread(run_rounds, [direct, *systems], rounds, seconds, provider.pid)
        finally:
            provider.terminate()
    about = {
        "date": datetime.now(UTC).date(),
        "machine": _machine(),
        "versions": _versions(systems),
        "rounds": rounds,
        "rest": REST_SECONDS,
    }
    run = Run(*measured, {system.name: system.start_seconds for system in systems}, about)
    sys.stdout.write(document(run))
    if write:
        DOCUMENT.write_text(document(run))
        for name, drawn in pictures(run).items():
            (DOCUMENT.parent / "pictures" / name).write_text(drawn)


def _machine() -> str:
    model = next(
        (line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "?",
    )
    return f"{os.cpu_count()} cores of {model}, Linux {platform.release().partition('-')[0]}"


def _versions(systems: Sequence[Running]) -> str:
    found = [f"Python {platform.python_version()}"]
    found += [f"{name} {importlib.metadata.version(name)}" for name in ("grpcio", "uvicorn", "httptools", "redis")]
    return ", ".join(found + [f"{system.name} {system.version}" for system in systems if system.version])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each load in each round")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and its pictures")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.seconds, write=arguments.write))
