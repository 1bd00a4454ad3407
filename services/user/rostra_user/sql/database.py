"""Transactions: one function, one transaction, and errors that mean the same on every database."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from typing import Any, TypeVar

from sqlalchemy import Delete, RowMapping, Select, Update
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from rostra_kit.errors import AlreadyExistsError, AppError, ConflictError, InternalError, UnavailableError
from rostra_kit.tasks import uninterrupted

ResultT = TypeVar("ResultT")
Work = Callable[[AsyncConnection], Awaitable[ResultT]]

# The drivers' codes: numbers on MySQL and MariaDB, names on SQLite.
_DUPLICATE = {1062, "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}
_BROKEN_REFERENCE = {1216, 1217, 1451, 1452, "SQLITE_CONSTRAINT_FOREIGNKEY"}
_DEADLOCK = 1213
# Drivers call these operational, too, but trying again would not help: an unknown column, a value that does not fit.
_MISTAKES = {1054, 1366, 3819, 4025, "SQLITE_ERROR"}

_ATTEMPTS = 5


class MissingParentError(ConflictError):
    """A row refers, or would refer, to one that is gone."""


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise what a driver raises as one of our own errors."""
    try:
        yield
    except SQLAlchemyError as error:
        raise _meaning(error) from error


class Database:
    """Runs functions inside transactions.

    Args:
        engine: Where connections come from.
        waiting: Entered while a transaction waits for its connection.
    """

    def __init__(
        self, engine: AsyncEngine, waiting: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self._engine = engine
        self._waiting = waiting

    async def read(self, work: Work[ResultT]) -> ResultT:
        """Return what `work` reads.

        Raises:
            UnavailableError: The database cannot be reached.
        """
        with translated_errors():
            async with self._connected() as connection:
                return await work(connection)

    async def row(self, statement: Select[Any]) -> RowMapping | None:
        """Return the one row of a query, `None` when there is none."""
        rows = await self.rows(statement)
        return rows[0] if rows else None

    async def rows(self, statement: Select[Any]) -> Sequence[RowMapping]:
        """Return the rows of a query."""

        async def work(connection: AsyncConnection) -> Sequence[RowMapping]:
            rows: Sequence[RowMapping] = (await connection.execute(statement)).mappings().all()
            return rows

        return await self.read(work)

    async def execute(self, statement: Update | Delete) -> int:
        """Run one statement as a transaction and return how many rows it was for."""

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(statement)).rowcount

        return await self.write(work)

    async def write(self, work: Work[ResultT]) -> ResultT:
        """Return what `work` does in one transaction, which is committed when this returns.

        `work` runs again when it was the victim of a deadlock, and to its end when the caller is cancelled: aiomysql
        would close the connection, and whether the transaction was committed would be left to chance.

        Raises:
            AlreadyExistsError: A unique value is taken.
            MissingParentError: A row refers to one that is gone.
            UnavailableError: The database cannot be reached.
        """
        return await uninterrupted(self._write(work))

    async def _write(self, work: Work[ResultT]) -> ResultT:
        with translated_errors():
            for attempt in range(1, _ATTEMPTS):
                try:
                    return await self._once(work)
                except OperationalError as error:
                    if _code(error) != _DEADLOCK:
                        raise
                await asyncio.sleep(random.uniform(0, 0.02 * attempt))  # noqa: S311 - spreads retries, guards nothing
            return await self._once(work)

    async def _once(self, work: Work[ResultT]) -> ResultT:
        async with self._connected() as connection, connection.begin():
            return await work(connection)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        async with AsyncExitStack() as stack:
            with self._waiting():
                connection = await stack.enter_async_context(self._engine.connect())
            yield connection


def _meaning(error: SQLAlchemyError) -> AppError:
    if isinstance(error, IntegrityError) and _code(error) in _DUPLICATE:
        return AlreadyExistsError("This exists already.")
    if isinstance(error, IntegrityError) and _code(error) in _BROKEN_REFERENCE:
        return MissingParentError("Something that this refers to does not exist any more.")
    if _is_outage(error):
        return UnavailableError("The database cannot be reached right now.", retry_after_seconds=1)
    return InternalError("The database refused a statement.")


def _is_outage(error: SQLAlchemyError) -> bool:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, OperationalError):
        return _code(error) not in _MISTAKES
    return isinstance(error, InterfaceError | PoolTimeoutError)


def _code(error: DBAPIError) -> int | str | None:
    name: str | None = getattr(error.orig, "sqlite_errorname", None)
    if name is not None:
        return name
    arguments = error.orig.args if error.orig is not None else ()
    return arguments[0] if arguments and isinstance(arguments[0], int) else None
