"""Runs for clients that wait for them: a run ends with its listener."""

import asyncio
from collections.abc import AsyncGenerator

from rostra_chat.responses.events import Event
from rostra_chat.responses.run import ResponseRun

# Provider reads that may wait for a slow listener; then the provider has to wait too.
_MAX_WAITING_BATCHES = 16


class Foreground:
    """Executes runs in tasks of their own, so that a run can end in order when its listener is gone."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    async def follow(self, run: ResponseRun) -> AsyncGenerator[list[Event], None]:
        """Execute `run` and yield its events, those that came together in one list.

        Closing the iterator, or cancelling who iterates, cancels the run and waits for nothing.

        Raises:
            AppError: As `ResponseRun.execute` does.
        """
        batches: asyncio.Queue[list[Event] | None] = asyncio.Queue(_MAX_WAITING_BATCHES)
        task = asyncio.create_task(_execute(run, batches))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while (batch := await batches.get()) is not None:
                yield batch
            await task
        finally:
            task.cancel()

    async def drain(self) -> None:
        """Return when every run has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)


async def _execute(run: ResponseRun, batches: asyncio.Queue[list[Event] | None]) -> None:
    """Execute `run`; `None` follows its last events, unless it was cancelled and nobody listens."""
    try:
        await run.execute(batches.put)
    except Exception:
        await batches.put(None)
        raise
    await batches.put(None)
