"""The store in Amazon DocumentDB, or in any server that speaks its part of MongoDB's protocol.

There are no transactions: each document changes atomically, and writes that belong together are made in an order in
which a crash between them leaves nothing that was acknowledged undone and nothing visible half done:

- What is new is inserted before the document that makes it visible: items before their conversation or response.
- What is deleted is first marked, which hides it, then emptied, then removed; deleting again finishes a deletion.
- Items appended to a conversation get their places first (one atomic update of the conversation) and are inserted then;
  where a writer dies in between, places stay empty, over which every path leads within its branch, as the conversation
  remembers what they follow (`rostra_history.documentdb_store.places`).
- How a response ends is decided first, in its own document; see `rostra_history.documentdb_store.ending`.

Only operators and options that Amazon DocumentDB 5.0 has are used, every order is asked for, and no text of an error is
interpreted.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from rostra_history.documentdb_store.chat_completions import DocumentdbChatCompletionStore
from rostra_history.documentdb_store.conversations import DocumentdbConversationStore
from rostra_history.documentdb_store.database import Database, open_database
from rostra_history.documentdb_store.feedback import DocumentdbFeedbackStore
from rostra_history.documentdb_store.index_build import IndexBuild
from rostra_history.documentdb_store.items import DocumentdbItemStore
from rostra_history.documentdb_store.queue import DocumentdbResponseQueue
from rostra_history.documentdb_store.responses import DocumentdbResponseStore
from rostra_history.documentdb_store.search import DocumentdbSearchStore
from rostra_history.documentdb_store.shares import DocumentdbShareStore
from rostra_history.settings import DatabaseSettings

__all__ = ["DocumentdbHistoryStore", "open_documentdb_store"]


class DocumentdbHistoryStore:
    """A `HistoryStore` on Amazon DocumentDB."""

    def __init__(self, database: Database, index_build: IndexBuild) -> None:
        self._database = database
        self._index_build = index_build
        self.conversations = DocumentdbConversationStore(database)
        self.items = DocumentdbItemStore(database)
        self.responses = DocumentdbResponseStore(database)
        self.queue = DocumentdbResponseQueue(database)
        self.shares = DocumentdbShareStore(database)
        self.feedback = DocumentdbFeedbackStore(database)
        self.chat_completions = DocumentdbChatCompletionStore(database)
        self.search = DocumentdbSearchStore(database)

    async def delete_owner(self, *, owner: str) -> None:
        """Delete everything that the owner has."""

        async def delete() -> None:
            database = self._database
            visible = (database.shares, database.conversations, database.responses, database.chat_completions)
            for collection in (*visible, database.items):
                await collection.delete_many({"owner": owner})

        await self._database.write(delete())

    async def ping(self) -> None:
        """Return when the database answers and has the indexes, which the first call begins to create."""
        await self._database.ping()
        await self._index_build.ended()


@asynccontextmanager
async def open_documentdb_store(
    settings: DatabaseSettings, registry: CollectorRegistry | None = None
) -> AsyncIterator[DocumentdbHistoryStore]:
    """Open the store; it connects with the first call. `registry` takes what is measured."""
    async with open_database(settings, registry) as database, IndexBuild.open(settings) as index_build:
        yield DocumentdbHistoryStore(database, index_build)
