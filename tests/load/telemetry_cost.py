"""Print what telemetry costs in CPU time: `make load`.

Stacks that differ in nothing but their telemetry run at the same time on this machine's loopback address, and are asked
by turns, so that noise of the machine meets all alike: one that logs only errors and traces nothing, one with the
defaults and a collector, one that records every request, and one whose collector never answers. Of each, the CPU time
of all Rostra's processes per request is compared with the first's. Figures of one run compare with one another only.
"""

import argparse
import asyncio
import socket
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from latency import ADDRESS_LIMIT, CHAT, TESTS, lift_limits, provider

from rostra_stack.config import StackConfig
from rostra_stack.local_account import local_api_key
from rostra_stack.stack import Stack

sys.path.insert(0, str(TESTS))
from support.process_use import cpu_seconds
from support.trace_receiver import trace_receiver

SERVICES = ("gateway", "chat", "history", "user")
QUIET = {f"ROSTRA_{service.upper()}_LOG_LEVEL": "error" for service in SERVICES}
ALL = {"OTEL_TRACES_SAMPLER": "parentbased_always_on"}
CALLERS = 4


@dataclass(slots=True, eq=False)
class Arm:
    """A stack, and what each of its rounds cost in CPU seconds per request."""

    name: str
    stack: Stack
    headers: dict[str, str]
    costs: list[float] = field(default_factory=list)

    def cpu_seconds(self) -> float:
        """Return the CPU time of all Rostra's processes until now."""
        return sum(cpu_seconds(self.stack.children[service].pid) for service in SERVICES)

    async def round(self, calls: int, *, stream: bool) -> float:
        """Ask for completions, some at a time, and return the CPU time of each."""
        url = f"{self.stack.gateway_urls[0]}/v1/chat/completions"
        left = iter(range(calls))
        before = self.cpu_seconds()
        async with aiohttp.ClientSession(headers=self.headers) as http:

            async def ask() -> None:
                for _ in left:
                    async with http.post(url, json={**CHAT, "stream": stream}) as answer:
                        answer.raise_for_status()
                        await answer.read()

            await asyncio.gather(*(ask() for _ in range(CALLERS)))
        return (self.cpu_seconds() - before) / calls


@contextmanager
def silent_collector() -> Iterator[str]:
    """Yield the address of a collector that never answers: connections to it are made, and nobody takes them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


async def open_arm(name: str, folder: Path, environment: dict[str, str], exit_stack: AsyncExitStack) -> Arm:
    """Start a stack."""
    config = StackConfig(data=folder / name, port=0, environment=environment)
    stack = await exit_stack.enter_async_context(Stack(config))
    lift_limits(config.data)
    key = await local_api_key(stack.gateway_urls[0], config.data)
    return Arm(name, stack, {"authorization": f"Bearer {key}"})


async def main(rounds: int, calls: int) -> None:
    """Measure, and print each arm's cost beside the first one's."""
    async with AsyncExitStack() as exit_stack:
        folder = Path(exit_stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = await exit_stack.enter_async_context(provider())
        receiver = await exit_stack.enter_async_context(trace_receiver(folder / "spans"))
        silent = exit_stack.enter_context(silent_collector())
        common = {"OPENAI_BASE_URL": upstream, **ADDRESS_LIMIT}
        collected, unheard = ({"OTEL_EXPORTER_OTLP_ENDPOINT": url} for url in (receiver.url, silent))
        arms = [
            await open_arm(name, folder, common | own, exit_stack)
            for name, own in (
                ("no traces, no access log", QUIET),
                ("defaults, one trace in ten", collected),
                ("every trace", collected | ALL),
                ("every trace, silent collector", unheard | ALL),
            )
        ]
        for stream in (False, True):
            await compare(arms, rounds=rounds, calls=calls, stream=stream)


async def compare(arms: list[Arm], *, rounds: int, calls: int, stream: bool) -> None:
    """Let the arms take turns, then print the medians of their rounds."""
    for arm in arms:
        arm.costs.clear()
        await arm.round(calls, stream=stream)
    for number in range(rounds):
        for arm in arms[number % len(arms) :] + arms[: number % len(arms)]:
            arm.costs.append(await arm.round(calls, stream=stream))
    sys.stdout.write(f"{'streamed' if stream else 'whole'} completions, {rounds} rounds of {calls}\n")
    base = arms[0].costs
    for arm in arms:
        ratios = [first / cost for first, cost in zip(base, arm.costs, strict=True)]
        sys.stdout.write(
            f"  {arm.name:<32} {statistics.median(arm.costs) * 1000:5.2f} ms of CPU each   "
            f"throughput {statistics.median(ratios):4.0%}\n"
        )
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print what telemetry costs in CPU time.")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of each stack (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=25, help="requests in a round (default: %(default)s)")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.calls))
