"""`python -m rostra_stack` starts everything, says what is wrong, and leaves no process behind."""

import asyncio
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.e2e

_START_SECONDS = 60.0
_END_SECONDS = 25.0
_CHILDREN = {"redis", "history", "chat", "user", "gateway"}


class Command:
    """A run of the command, and what it printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""

    async def ready(self) -> None:
        """Return when the command says that Rostra is ready."""
        async with asyncio.timeout(_START_SECONDS):
            while "Stop with Ctrl-C." not in self.output:
                assert self.process.stdout
                line = await self.process.stdout.readline()
                assert line, f"ended with {await self.process.wait()}: {self.output}{await self.errors()}"
                self.output += line.decode()

    async def errors(self) -> str:
        """Return what was printed to stderr, once the command has ended."""
        assert self.process.stderr
        return (await self.process.stderr.read()).decode()

    async def end(self) -> int:
        """Return the exit code."""
        async with asyncio.timeout(_END_SECONDS):
            return await self.process.wait()

    @property
    def url(self) -> str:
        """Return the gateway's address."""
        return self._found(r"API +(http://\S+)/v1")

    @property
    def api_key(self) -> str:
        """Return the API key."""
        return self._found(r"Key +(sk-rostra-\S+)")

    def children(self) -> dict[str, int]:
        """Return the ids of the processes that the command started, by what they are."""
        found = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(path.read_text().rpartition(") ")[2].split()[1])
                words = (path.parent / "cmdline").read_bytes().split(b"\0")
            except (OSError, IndexError):
                continue
            if parent == self.process.pid:
                name = next(name for name in _CHILDREN if any(name.encode() in word for word in words))
                found[name] = int(path.parent.name)
        return found

    def _found(self, pattern: str) -> str:
        match = re.search(pattern, self.output)
        assert match, self.output
        return match[1]


@asynccontextmanager
async def command(data: Path, *, port: int = 0) -> AsyncIterator[Command]:
    """Run the command on `data`, and end it at the end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "ROSTRA"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rostra_stack", "--port", str(port), "--data", str(data)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        yield Command(process)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all runs share, so that only the first one has to make its databases."""
    return tmp_path_factory.mktemp("stack-command")


async def wait_ended(pids: dict[str, int], *, timeout_seconds: float) -> None:
    """Return when these processes are no more."""
    deadline = time.monotonic() + timeout_seconds
    while left := {name: pid for name, pid in pids.items() if _runs(pid)}:
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.05)


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_stack_ends_at_a_signal_and_goes_on_from_there_at_the_next_start(data: Path) -> None:
    async with command(data) as first:
        await first.ready()
        children = first.children()
        assert set(children) == _CHILDREN
        headers = {"authorization": f"Bearer {first.api_key}"}
        async with httpx.AsyncClient(base_url=first.url, headers=headers) as http:
            stored = (await http.post("/v1/responses", json={"model": "echo", "input": "Remember me"})).json()
        first.process.send_signal(signal.SIGINT)
        assert await first.end() == 0
        assert await first.errors() == ""
        await wait_ended(children, timeout_seconds=1)
    async with command(data) as second:
        await second.ready()
        children = second.children()
        assert second.api_key == first.api_key
        async with httpx.AsyncClient(base_url=second.url, headers=headers) as http:
            assert (await http.get(f"/v1/responses/{stored['id']}")).json() == stored
        second.process.send_signal(signal.SIGTERM)
        assert await second.end() == 0
        await wait_ended(children, timeout_seconds=1)


async def test_second_stack_on_the_same_data_is_refused(data: Path) -> None:
    async with command(data) as running:
        await running.ready()
        async with command(data) as second:
            assert await second.end() == 1
            told = await second.errors()
        assert f"A stack is running on {data} already. Choose another folder" in told
        assert "Traceback" not in told
        async with httpx.AsyncClient(base_url=running.url) as http:
            assert (await http.get("/readyz")).status_code == 200


async def test_taken_port_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with command(tmp_path, port=port) as refused:
            assert await refused.end() == 1
            told = await refused.errors()
    assert told.strip() == f"Port {port} is taken. Choose another one: make run PORT={port + 1}"


async def test_child_that_dies_ends_the_stack_and_is_named(data: Path) -> None:
    async with command(data) as running:
        await running.ready()
        children = running.children()
        os.kill(children["history"], signal.SIGKILL)
        assert await running.end() == 1
        told = await running.errors()
        assert f"history ended unexpectedly with exit code -9. Its log: {data}/logs/history.log" in told
        assert "Traceback" not in told
        await wait_ended(children, timeout_seconds=1)


async def test_killed_stack_takes_its_children_with_it(data: Path) -> None:
    async with command(data) as running:
        await running.ready()
        children = running.children()
        running.process.kill()
        await running.end()
        await wait_ended(children, timeout_seconds=_END_SECONDS)


async def test_child_that_cannot_start_is_named(data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "history.sqlite3").mkdir(parents=True)
    async with command(broken) as refused:
        assert await refused.end() == 1
        told = await refused.errors()
    assert re.search(rf"history ended with exit code \d+ while starting\. Its log: {broken}/logs/history\.log", told)
    assert "Traceback" not in told
    assert (broken / "logs" / "history.log").read_text()
