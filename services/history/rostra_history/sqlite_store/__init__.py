"""The store in one SQLite file: for one replica, with nothing to install.

Every write is one transaction, so nothing is ever half done, and it is synchronized to disk before the call returns.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from rostra_history.sqlite_store.chat_completions import SqliteChatCompletionStore
from rostra_history.sqlite_store.conversations import SqliteConversationStore
from rostra_history.sqlite_store.database import Database, open_database
from rostra_history.sqlite_store.feedback import SqliteFeedbackStore
from rostra_history.sqlite_store.items import SqliteItemStore
from rostra_history.sqlite_store.queue import SqliteResponseQueue
from rostra_history.sqlite_store.responses import SqliteResponseStore
from rostra_history.sqlite_store.search import SqliteSearchStore
from rostra_history.sqlite_store.shares import SqliteShareStore

__all__ = ["SqliteHistoryStore", "open_sqlite_store"]


class SqliteHistoryStore:
    """A `HistoryStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.conversations = SqliteConversationStore(database)
        self.items = SqliteItemStore(database)
        self.responses = SqliteResponseStore(database)
        self.queue = SqliteResponseQueue(database)
        self.shares = SqliteShareStore(database)
        self.feedback = SqliteFeedbackStore(database)
        self.chat_completions = SqliteChatCompletionStore(database)
        self.search = SqliteSearchStore(database)

    async def delete_owner(self, *, owner: str) -> None:
        """Delete everything that the owner has."""

        def delete(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM conversation WHERE owner = ?", (owner,))
            connection.execute("DELETE FROM response WHERE owner = ?", (owner,))
            connection.execute("DELETE FROM item WHERE owner = ?", (owner,))
            connection.execute("DELETE FROM chat_completion WHERE owner = ?", (owner,))

        await self._database.write(delete)

    async def ping(self) -> None:
        """Return when the database answers."""
        await self._database.fetch("SELECT 1")


@asynccontextmanager
async def open_sqlite_store(path: Path, registry: CollectorRegistry | None = None) -> AsyncIterator[SqliteHistoryStore]:
    """Open the store in the file `path`, making the file and its folder where they are absent.

    Args:
        path: The file.
        registry: Takes what is measured.
    """
    async with open_database(path, registry) as database:
        yield SqliteHistoryStore(database)
