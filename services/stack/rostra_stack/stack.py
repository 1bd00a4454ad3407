"""A running stack: all its processes, started together, ended together."""

import asyncio
import fcntl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from rostra_kit.ports import is_taken
from rostra_stack.child import Child, ChildFailed
from rostra_stack.config import StackConfig
from rostra_stack.plan import plan_stack
from rostra_stack.targets import TARGETS_FILE, prometheus_targets

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class StackRefused(Exception):
    """The stack cannot be started here; the message says what to do."""


class Stack:
    """A running stack, as an async context manager.

    Args:
        config: What it consists of.
        on_ready: Called with a process's name and the seconds it took, as each becomes ready.
    """

    def __init__(self, config: StackConfig, *, on_ready: Callable[[str, float], None] = lambda *_: None) -> None:
        self._config = config
        self._on_ready = on_ready
        self._exit = AsyncExitStack()
        self.children: dict[str, Child] = {}

    @property
    def data(self) -> Path:
        """Return the folder that holds databases, keys and logs."""
        return self._config.data

    @property
    def gateway_urls(self) -> list[str]:
        """Return the address of each gateway, without `/v1`."""
        return [f"http://{child.plan.address}" for name, child in self.children.items() if name.startswith("gateway")]

    async def __aenter__(self) -> Self:
        """Start everything and return when it is ready.

        Raises:
            StackRefused: The port or the data folder is in use.
            ChildFailed: A process did not start.
        """
        config = self._config
        if config.port and is_taken(config.port):
            message = f"Port {config.port} is taken. Choose another one: make run PORT={config.port + 1}"
            raise StackRefused(message)
        config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        async with AsyncExitStack() as exit_stack:
            exit_stack.enter_context(self._lock())
            exit_stack.push_async_callback(self._stop)
            plans = plan_stack(config)
            (config.data / TARGETS_FILE).write_text(prometheus_targets(plans))
            self.children = {plan.name: Child(plan, config.data / "logs") for plan in plans}
            await self._start()
            self._exit = exit_stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End everything, the gateways first."""
        await self._exit.aclose()

    async def wait_failed(self) -> None:
        """Return never; raise ChildFailed when a process ends."""
        waits = {asyncio.create_task(child.wait_ended()): child for child in self.children.values()}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            ended = done.pop()
            raise ChildFailed(waits[ended], f"ended unexpectedly with exit code {ended.result()}")
        finally:
            for wait in waits:
                wait.cancel()

    async def _start(self) -> None:
        for child in self.children.values():
            await child.start()
        await asyncio.gather(*(self._report_ready(child) for child in self.children.values()))

    async def _report_ready(self, child: Child) -> None:
        self._on_ready(child.plan.name, await child.wait_ready(timeout_seconds=_START_SECONDS))

    async def _stop(self) -> None:
        # Gateways first, so that nobody asks for what has ended; each kind of process together.
        for kind in ("gateway", "chat", "history", "user", "redis"):
            children = [child for name, child in self.children.items() if name.startswith(kind)]
            await asyncio.gather(*(child.stop(timeout_seconds=_STOP_SECONDS) for child in children))

    def _lock(self) -> TextIO:
        lock = (self._config.data / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            message = f"A stack is running on {self._config.data} already. Choose another folder: make run DATA=..."
            raise StackRefused(message) from error
        return lock
