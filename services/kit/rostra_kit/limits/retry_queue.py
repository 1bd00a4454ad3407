"""Repeats settlements that Redis did not confirm, in the background, for a bounded time and in a bounded number."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

from rostra_kit.limits.errors import LimitsUnavailable
from rostra_kit.tasks import cancel

logger = logging.getLogger(__name__)

Job: TypeAlias = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Entry:
    job: Job
    give_up_at: float
    is_counted: bool


class RetryQueue:
    """Runs idempotent jobs that failed again until they succeed or are too old; an async context manager.

    A job waits at least `delay_seconds`; while jobs keep failing the delay doubles, up to `max_delay_seconds`. On exit
    the rest is tried once more.

    Args:
        on_lost: Called for each counted job that is given up or finds the queue full.
        max_jobs: How many jobs wait at most.
        give_up_seconds: How long a job is tried. Less than the two minutes for which Redis knows that a reservation is
            closed: then a settlement that arrived without our hearing of it is not made twice.
        delay_seconds: How long after a failure the first attempt is made.
        max_delay_seconds: The longest time between two attempts.
        exit_seconds: How long the exit may take.
    """

    def __init__(
        self,
        *,
        on_lost: Callable[[], None],
        max_jobs: int = 10_000,
        give_up_seconds: float = 60.0,
        delay_seconds: float = 0.5,
        max_delay_seconds: float = 5.0,
        exit_seconds: float = 2.0,
    ) -> None:
        self._on_lost = on_lost
        self._max_jobs = max_jobs
        self._give_up_seconds = give_up_seconds
        self._delay_seconds = delay_seconds
        self._max_delay_seconds = max_delay_seconds
        self._exit_seconds = exit_seconds
        self._entries: deque[_Entry] = deque()
        self._filled = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, job: Job, *, is_counted: bool = True) -> None:
        """Have a job run later.

        Args:
            job: Raises LimitsUnavailable while it must be tried again.
            is_counted: Whether anything is amiss when it is lost.
        """
        entry = _Entry(job, time.monotonic() + self._give_up_seconds, is_counted)
        if len(self._entries) >= self._max_jobs:
            self._lose(entry, why="the queue is full")
            return
        self._entries.append(entry)
        self._filled.set()

    async def __aenter__(self) -> Self:
        self._worker = asyncio.create_task(self._work(), name="limits-retry-queue")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._worker is not None:
            await cancel(self._worker)
        try:
            async with asyncio.timeout(self._exit_seconds):
                await self._run_all()
        except TimeoutError:
            logger.warning("Limits did not answer in time to settle the rest")
        while self._entries:
            self._lose(self._entries.popleft(), why="the process ends")

    async def _work(self) -> None:
        delay_seconds = self._delay_seconds
        while True:
            await self._filled.wait()
            await asyncio.sleep(delay_seconds)
            succeeded = await self._run_all()
            delay_seconds = self._delay_seconds if succeeded else min(2 * delay_seconds, self._max_delay_seconds)

    async def _run_all(self) -> bool:
        """Run the jobs, oldest first, until none is left or one fails: then the others would fail as well."""
        while self._entries:
            entry = self._entries[0]
            try:
                await entry.job()
            except LimitsUnavailable:
                self._drop_old()
                return False
            except Exception:  # noqa: BLE001 - whatever is wrong with one job must not keep the others waiting
                self._lose(entry, why="it failed", exc_info=True)
            self._entries.popleft()
        self._filled.clear()
        return True

    def _drop_old(self) -> None:
        while self._entries and self._entries[0].give_up_at <= time.monotonic():
            self._lose(self._entries.popleft(), why="limits were unavailable for too long")

    def _lose(self, entry: _Entry, *, why: str, exc_info: bool = False) -> None:
        if entry.is_counted:
            logger.error(
                "A settlement is lost; its reservation lapses by itself", extra={"why": why}, exc_info=exc_info
            )
            self._on_lost()
