"""Print what a long conversation costs more than a short one, until the first token: `make load`.

A conversation grows turn by turn to three turns and on to 200; at both lengths further turns are asked of it, streamed
and not stored, by turns with a request without any context. CPU time is that of the services, of which history reads
the context and chat makes the provider's messages of it.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from bench_systems import Running, cpu_seconds, rostra

TURNS = (3, 200)
CALLS = 15
WORDS = "Tell me more about the speakers' platform of the Roman forum, and about the prows mounted on it. " * 2


async def first_token_seconds(http: aiohttp.ClientSession, body: dict[str, Any]) -> float:
    """Return after how long a stream had its first piece of text."""
    began, first = time.perf_counter(), 0.0
    async with http.post("/v1/responses", json={**body, "stream": True, "store": False}) as answer:
        assert answer.status == 200, await answer.text()
        async for line in answer.content:
            if not first and line.startswith(b"event: response.output_text.delta"):
                first = time.perf_counter() - began
    return first


async def grow(http: aiohttp.ClientSession, previous: str | None) -> str:
    """Add a turn and return its response's id."""
    body = {"model": "bench-50-0", "input": WORDS, **({"previous_response_id": previous} if previous else {})}
    async with http.post("/v1/responses", json=body) as answer:
        told = await answer.json()
        assert answer.status == 200, told
        return str(told["id"])


async def measure(http: aiohttp.ClientSession, system: Running, turns: int, previous: str) -> str:
    """Return a line of figures of a conversation as long as it is."""
    plain = {"model": "bench-50-0", "input": WORDS}
    bodies = {"none": plain, "context": {**plain, "previous_response_id": previous}}
    seconds: dict[str, list[float]] = {name: [] for name in bodies}
    used: dict[tuple[str, str], float] = {}
    for _ in range(CALLS):
        for name, body in bodies.items():
            before = {process: cpu_seconds(pid) for process, pid in system.processes().items()}
            seconds[name].append(await first_token_seconds(http, body))
            for process, pid in system.processes().items():
                used[name, process] = used.get((name, process), 0.0) + cpu_seconds(pid) - before[process]
    added = {
        process: (used["context", process] - used["none", process]) / CALLS * 1000 for process in ("history", "chat")
    }
    first = {name: statistics.median(found) * 1000 for name, found in seconds.items()}
    return (
        f"{turns:4} turns   first token {first['context']:6.1f} ms, without context {first['none']:6.1f} ms   "
        f"CPU added: history {added['history']:5.2f} ms, chat {added['chat']:5.2f} ms"
    )


async def main(turns: tuple[int, ...]) -> None:
    """Let a conversation grow, and measure on the way."""
    command = [sys.executable, str(Path(__file__).with_name("bench_provider.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as provider:  # noqa: ASYNC220 - once
        assert provider.stdout
        try:
            with tempfile.TemporaryDirectory() as folder:
                async with rostra(provider.stdout.readline().strip(), Path(folder), 0) as system:
                    base = system.url.removesuffix("/v1/chat/completions")
                    async with aiohttp.ClientSession(base, headers=system.headers) as http:
                        previous, length = None, 0
                        for wanted in turns:
                            for _ in range(wanted - length):
                                previous = await grow(http, previous)
                            length = wanted
                            assert previous
                            sys.stdout.write(await measure(http, system, length, previous) + "\n")
        finally:
            provider.terminate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, nargs="+", default=TURNS)
    asyncio.run(main(tuple(parser.parse_args().turns)))
