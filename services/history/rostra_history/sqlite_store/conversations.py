"""Conversations in SQLite."""

import sqlite3
from collections.abc import Sequence

from rostra_history.domain import Conversation, ConversationChanges, ConversationFilter, Item, Page, PageRequest
from rostra_history.errors import ConversationNotFound, ItemNotFound
from rostra_history.sqlite_store.database import Database
from rostra_history.sqlite_store.rows import insert_items, metadata_text, page_start, terms_text, to_conversation
from rostra_history.terms import terms_of

_INSERT = """
INSERT INTO conversation (id, owner, metadata, title, create_time_us, update_time_us, archived, next_seq, leaf_id,
    switch_count, terms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPDATE = """
UPDATE conversation SET metadata = coalesce(?, metadata), title = coalesce(?, title), archived = coalesce(?, archived),
    terms = coalesce(?, terms), update_time_us = ?
WHERE owner = ? AND id = ? RETURNING *
"""
_NAME = """
UPDATE conversation SET title = ?, terms = ?, update_time_us = ? WHERE owner = ? AND id = ? AND title = ''
"""
_SWITCH = """
UPDATE conversation SET leaf_id = :leaf_id, switch_count = switch_count + 1
WHERE owner = :owner AND id = :id AND leaf_id IS NOT :leaf_id
"""
_MEMBER = "SELECT 1 FROM item WHERE owner = ? AND conversation_id = ? AND id = ? AND NOT deleted"
_GET = "SELECT * FROM conversation WHERE owner = ? AND id = ?"
# `{time}` is the column by which the list is ordered.
_PAGE_START = "SELECT {time}, id FROM conversation WHERE owner = ? AND id = ?"
_OLDEST = """
SELECT * FROM conversation WHERE owner = ? AND archived = ? AND ({time}, id) > (?, ?)
    AND create_time_us >= ? AND create_time_us < ?
ORDER BY {time}, id LIMIT ?
"""
_NEWEST = """
SELECT * FROM conversation WHERE owner = ? AND archived = ? AND ({time}, id) < (?, ?)
    AND create_time_us >= ? AND create_time_us < ?
ORDER BY {time} DESC, id DESC LIMIT ?
"""
_LATEST_US = 2**63 - 1
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
            conversation.archived,
            conversation.next_seq,
            conversation.leaf_id,
            conversation.switch_count,
            terms_text(terms_of(conversation.title)),
        )

        def create(connection: sqlite3.Connection) -> None:
            connection.execute(_INSERT, values)
            insert_items(connection, items)

        await self._database.write(create)

    async def get(self, *, owner: str, conversation_id: str) -> Conversation:
        """Return the conversation."""
        rows = await self._database.fetch(_GET, (owner, conversation_id))
        if not rows:
            raise ConversationNotFound(conversation_id)
        return to_conversation(rows[0])

    async def list_page(self, *, owner: str, wanted: ConversationFilter, page: PageRequest) -> Page[Conversation]:
        """Return a page of the owner's conversations."""
        time = wanted.order_by.value
        start: tuple[object, ...] = (_LATEST_US, "") if page.descending else (-1, "")
        if page.after_id is not None:
            start = page_start(await self._database.fetch(_PAGE_START.format(time=time), (owner, page.after_id)))
        bounds = (
            -1 if wanted.min_create_time_us is None else wanted.min_create_time_us,
            _LATEST_US if wanted.max_create_time_us is None else wanted.max_create_time_us,
        )
        query = (_NEWEST if page.descending else _OLDEST).format(time=time)
        rows = await self._database.fetch(query, (owner, wanted.archived, *start, *bounds, page.limit + 1))
        return Page.cut([to_conversation(row) for row in rows], page.limit)

    async def update(
        self, *, owner: str, conversation_id: str, changes: ConversationChanges, now_us: int
    ) -> Conversation:
        """Change what is given."""
        pairs = None if changes.metadata is None else metadata_text(changes.metadata)
        terms = None if changes.title is None else terms_text(terms_of(changes.title))
        values = (pairs, changes.title, changes.archived, terms, now_us, owner, conversation_id)

        def update(connection: sqlite3.Connection) -> Conversation:
            if changes.active_item_id is not None:
                _switch(connection, owner, conversation_id, changes.active_item_id or None)
            rows = connection.execute(_UPDATE, values).fetchall()
            if not rows:
                raise ConversationNotFound(conversation_id)
            return to_conversation(rows[0])

        return await self._database.write(update)

    async def name(self, *, owner: str, conversation_id: str, title: str, now_us: int) -> None:
        """Give the conversation a title if it has none."""
        values = (title, terms_text(terms_of(title)), now_us, owner, conversation_id)
        await self._database.write(lambda connection: connection.execute(_NAME, values))

    async def delete(self, *, owner: str, conversation_id: str) -> None:
        """Delete the conversation with its thread."""

        def delete(connection: sqlite3.Connection) -> None:
            key = (owner, conversation_id)
            cursor = connection.execute("DELETE FROM conversation WHERE owner = ? AND id = ?", key)
            if not cursor.rowcount:
                raise ConversationNotFound(conversation_id)
            connection.execute(_DELETE_ITEMS, {"owner": owner, "id": conversation_id})
            connection.execute(_DELETE_RESPONSES, key)

        await self._database.write(delete)


def _switch(connection: sqlite3.Connection, owner: str, conversation_id: str, leaf_id: str | None) -> None:
    """Make another item the active one, in a conversation that may not be there."""
    if leaf_id is not None and not connection.execute(_MEMBER, (owner, conversation_id, leaf_id)).fetchall():
        if not connection.execute(_GET, (owner, conversation_id)).fetchall():
            raise ConversationNotFound(conversation_id)
        raise ItemNotFound(leaf_id)
    connection.execute(_SWITCH, {"leaf_id": leaf_id, "owner": owner, "id": conversation_id})
