"""Operations that end even when nobody waits for them any more."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class PendingOperations:
    """Runs operations shielded from the caller's cancellation, and can wait for those under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, operation: Coroutine[Any, Any, T]) -> T:
        """Run an operation to its end, also when the caller is cancelled, and return what it returns."""
        task = asyncio.create_task(operation)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Return when all operations under way have ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
