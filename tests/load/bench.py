"""Compare Rostra with the LiteLLM proxy and the Portkey gateway, and write docs/performance.md: `make bench`.

All ask the same provider in the same run, one after the other in each of several rounds, each on one core of its own;
provider and callers have the other one. What counts most is CPU time, which other work on the machine disturbs least.

A ratio is printed only when the rounds agree on it: the lowest and the highest are within a fifth of the middle one.
Times are compared only when, besides, nobody else used more than a tenth of the machine.
"""

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench_picture import bars
from bench_systems import BODY, CACHE, Running, cpu_seconds, litellm, portkey, rostra

HERE = Path(__file__).parent
DOCUMENT = HERE.parent.parent / "docs" / "performance.md"
PICTURE = DOCUMENT.parent / "pictures" / "performance.svg"
TEMPLATE = HERE / "performance.md"
SYSTEM_CORE, LOAD_CORE = 0, 1
MOST_FOREIGN_SHARE = 0.1
MOST_DISAGREEMENT = 0.2
REST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """What callers ask for."""

    name: str
    callers: int
    body: dict[str, Any]
    spread_seconds: float = 0.0
    max_rounds: int = 100


PACED = {**BODY, "stream": True, "model": "bench-50-20"}
LOADS = (
    Load("one caller", 1, BODY),
    Load("64 callers", 64, BODY),
    Load("64 streams that burst", 64, {**BODY, "stream": True}),
    Load("100 streams paced at 20 ms", 100, PACED, spread_seconds=1.0),
    # More than any of them can carry on one core; whoever is slowest takes a minute for a round.
    Load("400 streams paced at 20 ms", 400, PACED, spread_seconds=1.0, max_rounds=2),
)


@dataclass
class Figures:
    """What was measured of one system under one load, by rounds."""

    rounds: list[dict[str, float]] = field(default_factory=list)

    def middle(self, name: str) -> float:
        """Return the median of the rounds."""
        return statistics.median(each[name] for each in self.rounds)


Results = dict[str, dict[str, Figures]]


def ask(url: str, headers: dict[str, str], load: Load, seconds: float) -> dict[str, Any]:
    """Let callers call for a while, and return what they saw."""
    command = [sys.executable, HERE / "bench_caller.py", url, "--callers", str(load.callers)]
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


def measure(system: Running, load: Load, seconds: float, provider: subprocess.Popen[str]) -> dict[str, float]:
    """Return one round's figures."""
    began, all_used, used, provided = (
        time.monotonic(),
        machine_seconds(),
        system.cpu_seconds(),
        cpu_seconds(provider.pid),
    )
    children = sum(os.times()[2:4])
    seen = ask(system.url, dict(system.headers), load, seconds)
    elapsed = time.monotonic() - began
    cpu = system.cpu_seconds() - used
    ours = cpu + cpu_seconds(provider.pid) - provided + sum(os.times()[2:4]) - children
    foreign = max(0.0, machine_seconds() - all_used - ours) / (elapsed * (os.cpu_count() or 1))
    figures = {
        "rate": seen["calls"] / seen["elapsed"],
        "cpu_per_1000": cpu / seen["calls"] * 1000,
        "foreign": foreign,
        **{f"total_{name}": value for name, value in seen["total"].items()},
        **{f"first_{name}": value for name, value in seen["first"].items()},
        **{f"gap_{name}": value for name, value in seen["gap"].items()},
    }
    if seen["tokens"]:
        figures["token_rate"] = seen["tokens"] / seen["elapsed"]
        figures["cpu_per_100k_tokens"] = cpu / seen["tokens"] * 100_000
    figures["stalls"] = seen["stalls"]
    figures["memory"] = sum(system.resident_mib().values())
    return figures


@asynccontextmanager
async def all_systems(provider: str) -> AsyncIterator[list[Running]]:
    """Run what is installed."""
    starts: list[tuple[Callable[..., Any], Path]] = [
        (rostra, HERE / "bench.py"),
        (litellm, CACHE / "litellm/venv/bin/litellm"),
        (portkey, CACHE / "portkey/node_modules/@portkey-ai/gateway"),
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


async def main(rounds: int, seconds: float, *, write: bool) -> None:
    """Measure and report."""
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, str(HERE / "bench_provider.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as provider:  # noqa: ASYNC220 - once
        assert provider.stdout
        address = provider.stdout.readline().strip()
        try:
            async with all_systems(address) as systems:
                idle = {system.name: system.resident_mib() for system in systems}
                direct = Running("the provider itself", f"{address}/chat/completions", {}, 0.0)
                results = await asyncio.to_thread(_rounds, [direct, *systems], rounds, seconds, provider)
                await asyncio.sleep(REST_SECONDS)
                after = {system.name: system.resident_mib() for system in systems}
                text = report(systems, results, idle, after, rounds=rounds)
        finally:
            provider.terminate()
    sys.stdout.write(text)
    if write:
        DOCUMENT.write_text(text)
        PICTURE.write_text(picture([system.name for system in systems], results))


def _rounds(systems: Sequence[Running], rounds: int, seconds: float, provider: subprocess.Popen[str]) -> Results:
    for system in systems:  # peers warm up for seconds
        for load in LOADS[1:3]:
            ask(system.url, dict(system.headers), load, min(3.0, seconds))
    results: Results = {load.name: {system.name: Figures() for system in systems} for load in LOADS}
    for number in range(rounds):
        # Turned around every other round, so that nobody is always the one after the heaviest.
        for load in LOADS:
            if number >= load.max_rounds:
                continue
            for system in systems if number % 2 == 0 else reversed(systems):
                results[load.name][system.name].rounds.append(measure(system, load, seconds, provider))
    return results


def ratio(of: Figures, to: Figures, name: str, *, timed: bool = False) -> str:
    """Return how many times `of` is `to`, or that the rounds do not agree."""
    ratios = [one[name] / other[name] for one, other in zip(of.rounds, to.rounds, strict=True)]
    middle = statistics.median(ratios)
    noisy = max(middle - min(ratios), max(ratios) - middle) > MOST_DISAGREEMENT * middle
    foreign = max(each["foreign"] for figures in (of, to) for each in figures.rounds)
    if noisy or (timed and foreign > MOST_FOREIGN_SHARE):
        return "too noisy"
    return f"{middle:.1f}"


Memory = dict[str, dict[str, float]]


def report(systems: Sequence[Running], results: Results, idle: Memory, after: Memory, *, rounds: int) -> str:
    """Return the document."""
    one, many, burst, paced, crowd = (results[load.name] for load in LOADS)
    direct = "the provider itself"
    rows, paced_rows = [], []
    for name in (direct, *(system.name for system in systems)):
        cells = [
            name,
            f"{many[name].middle('rate'):,.0f}",
            "" if name == direct else f"{many[name].middle('cpu_per_1000'):.2f}",
            _added(one[name], one[direct], "total") if name != direct else _plain(one[name], "total"),
            f"{burst[name].middle('token_rate'):,.0f}",
            "" if name == direct else f"{burst[name].middle('cpu_per_100k_tokens'):.2f}",
            "" if name == direct else _memory(idle[name], crowd[name], after[name]),
        ]
        rows.append("| " + " | ".join(cells) + " |")
        cells = [name, "" if name == direct else f"{paced[name].middle('cpu_per_100k_tokens'):.1f}"]
        for figures in (paced, crowd):
            cells += [
                f"{figures[name].middle('token_rate'):,.0f}",
                _added(figures[name], figures[direct], "first") if name != direct else _plain(figures[name], "first"),
                f"{figures[name].middle('gap_p99'):.0f}",
            ]
        cells.append(f"{crowd[name].middle('stalls'):.0f}")
        paced_rows.append("| " + " | ".join(cells) + " |")
    compared = [
        f"| {peer.name} | {ratio(many[peer.name], many['Rostra'], 'cpu_per_1000')} "
        f"| {ratio(burst[peer.name], burst['Rostra'], 'cpu_per_100k_tokens')} "
        f"| {ratio(paced[peer.name], paced['Rostra'], 'cpu_per_100k_tokens')} "
        f"| {ratio(one[peer.name], one['Rostra'], 'total_p50', timed=True)} |"
        for peer in systems
        if peer.name != "Rostra"
    ]
    foreign = [each["foreign"] for load in results.values() for figures in load.values() for each in figures.rounds]
    split = " · ".join(f"{name} {size:.0f} / {after['Rostra'][name]:.0f}" for name, size in idle["Rostra"].items())
    starts = " · ".join(f"{system.name} {system.start_seconds:.1f}" for system in systems)
    return TEMPLATE.read_text().format(
        date=datetime.now(UTC).date(),
        machine=_machine(),
        versions=_versions(),
        rounds=rounds,
        foreign=f"{statistics.median(foreign):.0%}, at most {max(foreign):.0%}",
        rows="\n".join(rows),
        paced_rows="\n".join(paced_rows),
        compared="\n".join(compared),
        split=split,
        starts=starts,
    )


def picture(names: Sequence[str], results: Results) -> str:
    """Return the CPU time that each system takes, as a picture."""
    _, many, burst, paced, _ = (results[load.name] for load in LOADS)
    shown = {
        "for a completion, 64 callers": (many, "cpu_per_1000"),
        "for 100 tokens of 64 streams that burst": (burst, "cpu_per_100k_tokens"),
        "for 100 tokens of 100 streams paced at 20 ms": (paced, "cpu_per_100k_tokens"),
    }
    return bars(
        "Milliseconds of CPU time",
        {title: {name: figures[name].middle(figure) for name in names} for title, (figures, figure) in shown.items()},
    )


def _memory(idle: dict[str, float], loaded: Figures, after: dict[str, float]) -> str:
    return f"{sum(idle.values()):.0f} / {loaded.middle('memory'):.0f} / {sum(after.values()):.0f}"


def _plain(figures: Figures, name: str) -> str:
    return f"{figures.middle(f'{name}_p50'):.1f} / {figures.middle(f'{name}_p99'):.1f}"


def _added(figures: Figures, direct: Figures, name: str) -> str:
    added = [figures.middle(f"{name}_{part}") - direct.middle(f"{name}_{part}") for part in ("p50", "p99")]
    return f"+{added[0]:.1f} / +{added[1]:.1f}"


def _machine() -> str:
    model = next(
        (line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "?",
    )
    return f"{os.cpu_count()} cores of {model}, Linux {platform.release().partition('-')[0]}"


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    found += [f"{name} {importlib.metadata.version(name)}" for name in ("grpcio", "uvicorn", "aiohttp", "redis")]
    pip = CACHE / "litellm/venv/bin/pip"
    if pip.exists():
        shown = subprocess.run([pip, "show", "litellm"], capture_output=True, text=True, check=False).stdout
        found.append("LiteLLM " + next((line[9:] for line in shown.splitlines() if line.startswith("Version: ")), "?"))
    package = CACHE / "portkey/node_modules/@portkey-ai/gateway/package.json"
    if package.exists():
        found.append(f"Portkey gateway {json.loads(package.read_text())['version']}")
    return ", ".join(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each load in each round")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.seconds, write=arguments.write))
