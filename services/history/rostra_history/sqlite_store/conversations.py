"""Conversations in SQLite."""

from collections.abc import Mapping, Sequence

import aiosqlite

from rostra_history.domain import Conversation, Item, Page, PageRequest
from rostra_history.errors import ConversationNotFound
from rostra_history.sqlite_store.database import Database
from rostra_history.sqlite_store.rows import insert_items, metadata_text, page_start, to_conversation

_INSERT = """
INSERT INTO conversation (id, owner, metadata, title, create_time_us, update_time_us, next_seq, leaf_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPDATE = """
UPDATE conversation SET metadata = coalesce(?, metadata), title = coalesce(?, title), update_time_us = ?
WHERE owner = ? AND id = ? RETURNING *
"""
_GET = "SELECT * FROM conversation WHERE owner = ? AND id = ?"
_PAGE_START = "SELECT create_time_us, id FROM conversation WHERE owner = ? AND id = ?"
_OLDEST = """
SELECT * FROM conversation WHERE owner = ? AND (create_time_us, id) > (?, ?) ORDER BY create_time_us, id LIMIT ?
"""
_NEWEST = """
SELECT * FROM conversation WHERE owner = ? AND (create_time_us, id) < (?, ?)
ORDER BY create_time_us DESC, id DESC LIMIT ?
"""
_DELETE_ITEMS = """
DELETE FROM item WHERE owner = :owner AND thread_id = :id AND (response_id IS NULL OR response_id NOT IN (
    SELECT id FROM response WHERE owner = :owner AND thread_id = :id AND status IN ('queued', 'in_progress')))
"""
_DELETE_RESPONSES = """
DELETE FROM response WHERE owner = ? AND thread_id = ? AND status NOT IN ('queued', 'in_progress')
"""


class SqliteConversationStore:
    """A `ConversationStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, conversation: Conversation, items: Sequence[Item]) -> None:
        """Store a new conversation with its first items."""
        values = (
            conversation.id,
            conversation.owner,
            metadata_text(conversation.metadata),
            conversation.title,
            conversation.create_time_us,
            conversation.update_time_us,
            conversation.next_seq,
            conversation.leaf_id,
        )

        async def create(connection: aiosqlite.Connection) -> None:
            await connection.execute(_INSERT, values)
            await insert_items(connection, items)

        await self._database.write(create)

    async def get(self, *, owner: str, conversation_id: str) -> Conversation:
        """Return the conversation."""
        rows = await self._database.fetch(_GET, (owner, conversation_id))
        if not rows:
            raise ConversationNotFound(conversation_id)
        return to_conversation(rows[0])

    async def list_page(self, *, owner: str, page: PageRequest) -> Page[Conversation]:
        """Return a page of the owner's conversations."""
        start: tuple[object, ...] = (2**63 - 1, "") if page.descending else (-1, "")
        if page.after_id is not None:
            start = page_start(await self._database.fetch(_PAGE_START, (owner, page.after_id)))
        query = _NEWEST if page.descending else _OLDEST
        rows = await self._database.fetch(query, (owner, *start, page.limit + 1))
        return Page.cut([to_conversation(row) for row in rows], page.limit)

    async def update(
        self, *, owner: str, conversation_id: str, metadata: Mapping[str, str] | None, title: str | None, now_us: int
    ) -> Conversation:
        """Replace the metadata and the title, each unless it is `None`."""

        async def update(connection: aiosqlite.Connection) -> Conversation:
            pairs = None if metadata is None else metadata_text(metadata)
            values = (pairs, title, now_us, owner, conversation_id)
            rows = list(await connection.execute_fetchall(_UPDATE, values))
            if not rows:
                raise ConversationNotFound(conversation_id)
            return to_conversation(rows[0])

        return await self._database.write(update)

    async def delete(self, *, owner: str, conversation_id: str) -> None:
        """Delete the conversation with its thread."""

        async def delete(connection: aiosqlite.Connection) -> None:
            key = (owner, conversation_id)
            cursor = await connection.execute("DELETE FROM conversation WHERE owner = ? AND id = ?", key)
            if not cursor.rowcount:
                raise ConversationNotFound(conversation_id)
            await connection.execute(_DELETE_ITEMS, {"owner": owner, "id": conversation_id})
            await connection.execute(_DELETE_RESPONSES, key)

        await self._database.write(delete)
