"""Creates the indexes in a task of its own: one for a large collection takes longer than a call may."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self

from rostra_history.documentdb_store.database import open_database
from rostra_history.documentdb_store.indexes import create_indexes
from rostra_history.settings import DatabaseSettings
from rostra_kit.errors import UnavailableError
from rostra_kit.tasks import cancel

# While an index is built, the server says nothing on that connection; the driver's heartbeats see whether it is there.
_LONGEST_SECONDS = 24 * 3600.0


class IndexBuild:
    """Creates the indexes that are absent, once.

    Args:
        create: Creates them, and takes its time.
        wait_seconds: How long one call of `ended` waits for that.
    """

    def __init__(self, create: Callable[[], Awaitable[None]], *, wait_seconds: float) -> None:
        self._create = create
        self._wait_seconds = wait_seconds
        self._task: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DatabaseSettings) -> AsyncIterator[Self]:
        """Have the indexes created on a connection of their own; at the end it is closed, whatever is under way."""
        patient = settings.model_copy(update={"silence_seconds": _LONGEST_SECONDS})

        async def create() -> None:
            async with open_database(patient) as database:
                await database.cut(create_indexes(database))

        build = cls(create, wait_seconds=settings.silence_seconds)
        try:
            yield build
        finally:
            await build.stop()

    async def ended(self) -> None:
        """Return when all indexes are there; the first call, and the first one after a failure, begins to create them.

        Raises:
            UnavailableError: They are still being created, or could not be.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="indexes")
        try:
            async with asyncio.timeout(self._wait_seconds):
                await asyncio.shield(self._task)
        except TimeoutError as error:
            raise UnavailableError("The indexes are being created.", retry_after_seconds=1) from error

    async def stop(self) -> None:
        """Wait for the indexes no more; the server may go on with the one that it has begun."""
        if self._task is not None:
            await cancel(self._task)

    async def _run(self) -> None:
        try:
            await self._create()
        except BaseException:
            self._task = None
            raise
