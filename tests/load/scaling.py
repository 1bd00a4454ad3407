"""Print what a request costs each service, with one, two and four processes of each: `make load`.

Everything shares this machine's cores: services, provider and callers. So the rates tell little once the cores are
full; what tells how Rostra scales is whether a request costs more CPU where there are more processes.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

from bench import HERE, LOAD_CORE, ask
from bench_loads import BURST, MANY, PACED, STORED, Load
from bench_systems import cpu_seconds, unlimited_stack

from rostra_stack.stack import Stack

REPLICAS = (1, 2, 4)
LOADS = (MANY, BURST, PACED, STORED)
ROUNDS, SECONDS, WARM_UP_SECONDS = 3, 4.0, 2.0
SERVICES = ("gateway", "chat", "history", "user", "redis")


def ask_all(stack: Stack, headers: dict[str, str], load: Load, seconds: float) -> tuple[float, float]:
    """Let the load's callers share the gateways; return the calls and the tokens that they had."""
    path = "/v1/responses" if load.stored else "/v1/chat/completions"
    callers = load.callers // len(stack.gateway_urls)
    with ThreadPoolExecutor(len(stack.gateway_urls)) as threads:
        seen = list(
            threads.map(lambda url: ask(url + path, headers, load, seconds, callers=callers), stack.gateway_urls)
        )
    return sum(each["calls"] for each in seen), sum(each["tokens"] for each in seen)


def used(stack: Stack) -> dict[str, float]:
    """Return the CPU seconds that each service has had."""
    return {
        service: sum(cpu_seconds(child.pid) for name, child in stack.children.items() if name.startswith(service))
        for service in SERVICES
    }


def measure(stacks: Sequence[tuple[Stack, dict[str, str]]]) -> None:
    """Ask all by turns, and print the medians."""
    for load in LOADS:
        figures: list[list[tuple[float, dict[str, float]]]] = [[] for _ in stacks]
        for number in range(ROUNDS + 1):
            for index, (stack, headers) in enumerate(stacks):
                before = used(stack)
                calls, tokens = ask_all(stack, headers, load, SECONDS if number else WARM_UP_SECONDS)
                after = used(stack)
                done = tokens if load is PACED else calls
                if number:
                    cost = {name: (after[name] - before[name]) * 1000 / done for name in SERVICES}
                    figures[index].append((done / SECONDS, cost))
        sys.stdout.write(f"{load.name}, ms of CPU for each {'token' if load is PACED else 'call'}\n")
        for replicas, rounds in zip(REPLICAS, figures, strict=True):
            costs = {name: statistics.median(cost[name] for _, cost in rounds) for name in SERVICES}
            rate = statistics.median(rate for rate, _ in rounds)
            parts = "  ".join(f"{name} {cost:.3f}" for name, cost in costs.items())
            sys.stdout.write(f"  {replicas} of each: {rate:8.0f}/s  in all {sum(costs.values()):.3f}  {parts}\n")
        sys.stdout.flush()


async def main() -> None:
    """Run a stack of each size beside the others, and ask them by turns."""
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, str(HERE / "bench_provider.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as provider:  # noqa: ASYNC220 - once
        assert provider.stdout
        address = provider.stdout.readline().strip()
        try:
            async with AsyncExitStack() as exits:
                stacks = []
                for replicas in REPLICAS:
                    folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
                    running = unlimited_stack(address, folder, replicas=replicas)
                    stacks.append(await exits.enter_async_context(running))
                await asyncio.to_thread(measure, stacks)
        finally:
            provider.terminate()


if __name__ == "__main__":
    asyncio.run(main())
