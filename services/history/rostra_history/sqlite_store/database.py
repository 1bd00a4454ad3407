"""Connections to one SQLite file: one that writes, in transactions, and some that read at the same time."""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from rostra_history.pending_operations import PendingOperations
from rostra_history.sqlite_store.schema import upgrade
from rostra_kit.errors import AlreadyExistsError, UnavailableError
from rostra_kit.telemetry.database import DatabaseMetrics

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_READERS = 3
_PRAGMAS = (
    # Together these make a returned write survive the death of the process and of the machine, and let readers read on.
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA busy_timeout = 5000",
    # A response's run is deleted with it, and a conversation's shares.
    "PRAGMA foreign_keys = ON",
)


class Database:
    """Runs queries and transactions.

    Args:
        writer: The connection of all transactions, one at a time; others on the same file wait by SQLite's own lock.
        readers: Connections for queries. Each sees what was committed when its query began.
        metrics: Measures both.
    """

    def __init__(self, writer: "_Connection", readers: Iterable["_Connection"], metrics: DatabaseMetrics) -> None:
        self._writer = writer
        self._readers = itertools.cycle(readers)
        self._metrics = metrics
        self._transactions = PendingOperations()

    async def fetch(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        with _translated_errors(), self._metrics.statement("select", "sqlite"):
            return await next(self._readers).run(lambda connection: connection.execute(query, parameters).fetchall())

    async def write(self, work: Work[T]) -> T:
        """Do `work` in a transaction, to its end even when the caller is cancelled, and return what it returns.

        It is done in a thread of the database's own, as a whole: there and back takes longer than most statements. The
        transaction is on disk when the call returns; when `work` raises, nothing of it is.
        """
        with _translated_errors():
            return await self._transactions.run(self._transaction(work))

    async def drain(self) -> None:
        """Return when all transactions under way have ended."""
        await self._transactions.drain()

    async def _transaction(self, work: Work[T]) -> T:
        with self._metrics.statement("transaction", "sqlite"):
            return await self._writer.run(lambda connection: _in_transaction(connection, work))


def _in_transaction(connection: sqlite3.Connection, work: Work[T]) -> T:
    # Taking the write lock late would let two processes read the same state and both write.
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return result


@asynccontextmanager
async def open_database(path: Path, registry: CollectorRegistry | None = None) -> AsyncIterator[Database]:
    """Open the file `path`, made and upgraded as needed; `registry` takes what is measured."""
    metrics = DatabaseMetrics(registry or CollectorRegistry())
    path.parent.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(_connection(path)) for _ in range(1 + _READERS)]
        database = Database(connections[0], connections[1:], metrics)
        stack.push_async_callback(database.drain)
        await database.write(upgrade)
        yield database


class _Connection:
    """A connection and its thread, which waits for the disk in place of the event loop."""

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    async def run(self, work: Work[T]) -> T:
        """Return what `work` returns; it goes on to its end when the caller is cancelled."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._connection)


@asynccontextmanager
async def _connection(path: Path) -> AsyncIterator[_Connection]:
    with ThreadPoolExecutor(1, "sqlite") as thread:
        connection = await asyncio.get_running_loop().run_in_executor(thread, _connect, path)
        try:
            yield _Connection(connection, thread)
        finally:
            await asyncio.get_running_loop().run_in_executor(thread, connection.close)


def _connect(path: Path) -> sqlite3.Connection:
    # Without an isolation level the driver begins no transactions of its own.
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    return connection


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise AlreadyExistsError("Something of this name exists already.") from error
    except sqlite3.OperationalError as error:
        raise UnavailableError("The history cannot be reached right now.", retry_after_seconds=1) from error
