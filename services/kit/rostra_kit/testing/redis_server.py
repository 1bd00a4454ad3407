"""A Redis server as a child process: a real one where it is installed, the embedded stack's otherwise."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from rostra_kit.ports import LOOPBACK, free_port
from rostra_kit.redis_batch import RedisBatch

_START_SECONDS = 20.0


class RedisServer:
    """A server process that can be stopped hard and started again on its port, empty.

    Args:
        command: The command that serves `port`.
        port: The port on 127.0.0.1.
    """

    def __init__(self, command: Sequence[str], *, port: int) -> None:
        self.port = port
        self.url = f"redis://{LOOPBACK}:{port}/0"
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self._command[0]} did not start")
            time.sleep(0.02)

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Have the process accept everything and answer nothing, as behind a broken network."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # a stop takes effect a little later
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with Redis(host=LOOPBACK, port=self.port, socket_timeout=1.0) as redis:
                return bool(redis.ping())
        except (RedisError, OSError):
            return False


def installed_redis() -> str | None:
    """Return the path of a real server, or `None` where there is none."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


def fakeredis_command(port: int) -> list[str]:
    """Return the command that serves the embedded stack's Redis, fakeredis, on a port of 127.0.0.1."""
    return [sys.executable, "-m", "rostra_stack.embedded_redis", str(port)]


def redis_command(executable: str, port: int) -> list[str]:
    """Return the command that serves a real Redis or Valkey on a port of 127.0.0.1, in memory only."""
    return [executable, "--port", str(port), "--bind", LOOPBACK, "--save", "", "--appendonly", "no"]


@contextmanager
def running_redis(executable: str | None = None) -> Iterator[RedisServer]:
    """Run a server on a free port: a real one by its executable, else fakeredis."""
    port = free_port()
    server = RedisServer(redis_command(executable, port) if executable else fakeredis_command(port), port=port)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@asynccontextmanager
async def redis_client(url: str, **options: Any) -> AsyncIterator[AsyncRedis]:
    """Open a client, and close it with what is sent in batches."""
    async with AsyncRedis.from_url(url, **options) as client:
        try:
            yield client
        finally:
            await RedisBatch.of(client).close()
