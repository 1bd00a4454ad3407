"""The systems that `make bench` compares: how each is started, and what it does for a request."""

import asyncio
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from bench_provider import MODELS

from rostra_stack.config import StackConfig
from rostra_stack.local_account import local_api_key
from rostra_stack.stack import Stack

CACHE = Path(os.environ.get("ROSTRA_BENCH_CACHE", Path.home() / ".cache" / "rostra" / "bench"))
UNLIMITED = 1_000_000_000
START_SECONDS = 180.0
BODY = {"model": "bench-50-0", "messages": [{"role": "user", "content": "Say something about the Roman forum."}]}


@dataclass(slots=True)
class Running:
    """A system that takes requests.

    Attributes:
        processes: Its processes by name.
    """

    name: str
    url: str
    headers: Mapping[str, str]
    start_seconds: float
    processes: Callable[[], dict[str, int]] = field(default=dict)

    def cpu_seconds(self) -> float:
        """Return the CPU time that its processes have had."""
        return sum(cpu_seconds(pid) for pid in self.processes().values())

    def resident_mib(self) -> dict[str, float]:
        """Return the memory that each of its processes has in use."""
        page = os.sysconf("SC_PAGE_SIZE")
        read = {name: Path(f"/proc/{pid}/statm").read_text() for name, pid in self.processes().items()}
        return {name: int(text.split()[1]) * page / 2**20 for name, text in read.items()}


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has had, to the nanosecond where the kernel counts it so."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:  # a thread that has just ended
            continue
    return total / 1e9


def pin(pid: int, core: int) -> None:
    """Let a process, and what it starts, run on one core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


@asynccontextmanager
async def rostra(provider: str, folder: Path, core: int) -> AsyncIterator[Running]:
    """Run Rostra's four services and its Redis, one process each."""
    limits = {f"ROSTRA_GATEWAY_ADDRESS_LIMITS__{name}": str(UNLIMITED) for name in ("REQUESTS_PER_MINUTE",)}
    limits["ROSTRA_GATEWAY_ADDRESS_LIMITS__CONCURRENT_STREAMS"] = str(UNLIMITED)
    environment = {"OPENAI_BASE_URL": provider, "OPENAI_API_KEY": secrets.token_hex(8), **limits}
    began = time.monotonic()
    async with Stack(StackConfig(data=folder, port=0, environment=environment)) as stack:
        started = time.monotonic() - began
        for child in stack.children.values():
            pin(child.pid, core)
        with closing(sqlite3.connect(folder / "user.sqlite3", timeout=10)) as database, database:
            names = ("requests_per_minute", "tokens_per_minute", "concurrent_streams")
            database.execute(f"UPDATE plans SET {', '.join(f'{name} = {UNLIMITED}' for name in names)}")
        url = stack.gateway_urls[0]
        headers = {"authorization": f"Bearer {await local_api_key(url, folder)}"}
        processes = {name: child.pid for name, child in stack.children.items()}
        yield Running("Rostra", f"{url}/v1/chat/completions", headers, started, lambda: processes)


@asynccontextmanager
async def litellm(provider: str, folder: Path, core: int) -> AsyncIterator[Running]:
    """Run the LiteLLM proxy with one worker and a master key, without a database."""
    key = "sk-" + secrets.token_hex(16)
    models = "".join(
        f"  - model_name: {name}\n    litellm_params: {{model: openai/{name}, api_base: {provider}, api_key: none}}\n"
        for name in MODELS
    )
    config = folder / "litellm.yaml"
    config.write_text(f"model_list:\n{models}general_settings:\n  master_key: {key}\n")
    port = _free_port()
    command = [CACHE / "litellm/venv/bin/litellm", "--config", config, "--port", str(port), "--num_workers", "1"]
    environment = {"LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    async with _process("LiteLLM", command, port, {"authorization": f"Bearer {key}"}, environment, core) as running:
        yield running


@asynccontextmanager
async def portkey(provider: str, _folder: Path, core: int) -> AsyncIterator[Running]:
    """Run the Portkey gateway, which passes on the provider's key and knows no limits."""
    port = _free_port()
    package = CACHE / "portkey/node_modules/@portkey-ai/gateway"
    command = ["node", package / "build/start-server.js", f"--port={port}", "--headless"]
    headers = {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": provider,
        "authorization": f"Bearer {secrets.token_hex(16)}",
    }
    # It asks hosts of the own network only where it is told that they are meant.
    environment = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"}
    async with _process("Portkey", command, port, headers, environment, core) as running:
        yield running


@asynccontextmanager
async def _process(
    name: str, command: list[object], port: int, headers: Mapping[str, str], environment: Mapping[str, str], core: int
) -> AsyncIterator[Running]:
    began = time.monotonic()
    process = subprocess.Popen(  # noqa: ASYNC220 - once, before anything is measured
        ["taskset", "-c", str(core), *map(str, command)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        started = await _until_answers(url, headers, began)
        yield Running(name, url, headers, started, lambda: _family(process.pid))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


async def _until_answers(url: str, headers: Mapping[str, str], began: float) -> float:
    """Return after how many seconds a system answered its first request."""
    async with aiohttp.ClientSession(headers=headers) as http:
        while True:
            try:
                async with http.post(url, json=BODY) as answer:
                    text = await answer.text()
                    if answer.status == 200:
                        return time.monotonic() - began
            except aiohttp.ClientError as error:
                text = repr(error)
            if time.monotonic() - began > START_SECONDS:
                raise TimeoutError(text)
            await asyncio.sleep(0.1)


def _family(pid: int) -> dict[str, int]:
    """Return a process and its descendants."""
    found = {str(pid): pid}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found |= _family(int(child))
    return found


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
