"""The systems that `make bench` compares: how each is started, and what it does for a request."""

import asyncio
import importlib.metadata
import json
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
from bench_loads import BODY, STORED_BODY, Load
from bench_provider import MODELS

from rostra_stack.config import StackConfig
from rostra_stack.local_account import local_api_key
from rostra_stack.stack import Stack

CACHE = Path(os.environ.get("ROSTRA_BENCH_CACHE", Path.home() / ".cache" / "rostra" / "bench"))
UNLIMITED = 1_000_000_000
START_SECONDS = 180.0


@dataclass(slots=True)
class Running:
    """A system that takes requests.

    Attributes:
        url: Where it takes chat completions; empty when it is not asked for any.
        responses_url: Where it takes responses; likewise.
        processes: Its processes by name.
    """

    name: str
    url: str
    headers: Mapping[str, str]
    start_seconds: float
    processes: Callable[[], dict[str, int]] = field(default=dict)
    responses_url: str = ""
    version: str = ""

    def url_of(self, load: Load) -> str:
        """Return where it takes what a load asks for; empty when it is not asked for that."""
        return self.responses_url if load.stored else self.url

    def cpu_seconds(self) -> float:
        """Return the CPU time that its processes have had."""
        return sum(cpu_seconds(pid) for pid in self.processes().values())

    def resident_mib(self) -> dict[str, float]:
        """Return the memory that each of its processes has in use."""
        page = os.sysconf("SC_PAGE_SIZE")
        read = {name: Path(f"/proc/{pid}/statm").read_text() for name, pid in self.processes().items()}
        return {name: int(text.split()[1]) * page / 2**20 for name, text in read.items()}


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has had, threads that have ended included, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2)  # which is what Linux' clock_getcpuclockid makes of it


def pin(pid: int, core: int) -> None:
    """Let a process, and what it starts, run on one core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


@asynccontextmanager
async def rostra(provider: str, folder: Path, core: int) -> AsyncIterator[Running]:
    """Run Rostra's four services and its Redis, one process each."""
    began = time.monotonic()
    async with unlimited_stack(provider, folder) as (stack, headers):
        started = time.monotonic() - began
        for child in stack.children.values():
            pin(child.pid, core)
        url, processes = stack.gateway_urls[0], {name: child.pid for name, child in stack.children.items()}
        yield Running(
            "Rostra", f"{url}/v1/chat/completions", headers, started, lambda: processes, f"{url}/v1/responses"
        )


@asynccontextmanager
async def unlimited_stack(
    provider: str, folder: Path, *, replicas: int = 1
) -> AsyncIterator[tuple[Stack, dict[str, str]]]:
    """Run Rostra with so many processes of each service, and yield it with the headers of somebody without limits."""
    limits = {f"ROSTRA_GATEWAY_ADDRESS_LIMITS__{name}": str(UNLIMITED) for name in ("REQUESTS_PER_MINUTE",)}
    limits["ROSTRA_GATEWAY_ADDRESS_LIMITS__CONCURRENT_STREAMS"] = str(UNLIMITED)
    environment = {"OPENAI_BASE_URL": provider, "OPENAI_API_KEY": secrets.token_hex(8), **limits}
    counts = dict.fromkeys(("gateways", "chats", "histories", "users"), replicas)
    async with Stack(StackConfig(data=folder, port=0, environment=environment, **counts)) as stack:
        with closing(sqlite3.connect(folder / "user.sqlite3", timeout=10)) as database, database:
            names = ("requests_per_minute", "tokens_per_minute", "concurrent_streams")
            database.execute(f"UPDATE plans SET {', '.join(f'{name} = {UNLIMITED}' for name in names)}")
        yield stack, {"authorization": f"Bearer {await local_api_key(stack.gateway_urls[0], folder)}"}


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
    headers = {"authorization": f"Bearer {key}"}
    async with _process(command, environment, core) as process:
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        started = await _until_answers(url, headers, BODY)
        yield Running("LiteLLM", url, headers, started, process, version=_installed("litellm"))


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
    async with _process(command, environment, core) as process:
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        started = await _until_answers(url, headers, BODY)
        version = json.loads((package / "package.json").read_text())["version"]
        yield Running("Portkey", url, headers, started, process, version=version)


@asynccontextmanager
async def llama_stack(provider: str, folder: Path, core: int) -> AsyncIterator[Running]:
    """Run Llama Stack with its agents and their store of responses, without authentication, safety and telemetry."""
    port = _free_port()
    config = Path(__file__).with_name("llama-stack.yaml")
    python = CACHE / "llama-stack/venv/bin/python"
    command = [python, "-m", "llama_stack.distribution.server.server", "--config", config, "--port", str(port)]
    environment = {"BENCH_PROVIDER": provider, "BENCH_FOLDER": str(folder)}
    environment |= {"HOME": str(folder), "LLAMA_STACK_LOGGING": "all=error"}
    async with _process(command, environment, core) as process:
        url = f"http://127.0.0.1:{port}/v1/openai/v1/responses"
        started = await _until_answers(url, {}, STORED_BODY)
        yield Running("Llama Stack", "", {}, started, process, url, _installed("llama-stack"))


@asynccontextmanager
async def _process(
    command: list[object], environment: Mapping[str, str], core: int
) -> AsyncIterator[Callable[[], dict[str, int]]]:
    """Run a command on one core; yield what returns its processes."""
    process = subprocess.Popen(  # noqa: ASYNC220 - once, before anything is measured
        ["taskset", "-c", str(core), *map(str, command)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield lambda: _family(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


async def _until_answers(url: str, headers: Mapping[str, str], body: Mapping[str, object]) -> float:
    """Return after how many seconds a system that was just started answered its first request."""
    began = time.monotonic()
    async with aiohttp.ClientSession(headers=headers) as http:
        while True:
            try:
                async with http.post(url, json=body) as answer:
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


def _installed(package: str) -> str:
    """Return the version of a package in the environment that is named after it."""
    site = next((CACHE / package / "venv/lib").glob("python*/site-packages"))
    return next(iter(importlib.metadata.distributions(name=package, path=[str(site)]))).version


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
