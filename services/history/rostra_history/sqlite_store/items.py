"""Items in SQLite, and how they are appended to a conversation."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from rostra_history.domain import Conversation, Item, Page, PageRequest
from rostra_history.errors import ConversationNotFound, ItemNotFound
from rostra_history.sqlite_store.database import Database
from rostra_history.sqlite_store.rows import insert_items, page_start, to_conversation, to_item, to_links
from rostra_history.thread import Link, path_to, place

_GET_CONVERSATION = "SELECT * FROM conversation WHERE owner = ? AND id = ?"
_EXTEND_CONVERSATION = """
UPDATE conversation SET next_seq = ?, leaf_id = ?, update_time_us = ? WHERE owner = ? AND id = ?
"""
_TOUCH_CONVERSATION = "UPDATE conversation SET update_time_us = ? WHERE owner = ? AND id = ? RETURNING *"
_GET = "SELECT * FROM item WHERE owner = ? AND conversation_id = ? AND id = ? AND NOT deleted"
# The plus leaves the choice of the index to the ids: else all items of the owner would be gone through.
_GET_MANY = "SELECT * FROM item WHERE +owner = ? AND id IN (SELECT value FROM json_each(?)) AND NOT deleted"
_PAGE_START = "SELECT seq FROM item WHERE owner = ? AND conversation_id = ? AND id = ?"
_OLDEST = """
SELECT * FROM item WHERE owner = ? AND conversation_id = ? AND seq > ? AND seq < ? AND NOT deleted
ORDER BY seq LIMIT ?
"""
_NEWEST = """
SELECT * FROM item WHERE owner = ? AND conversation_id = ? AND seq < ? AND seq < ? AND NOT deleted
ORDER BY seq DESC LIMIT ?
"""
_BURY = """
UPDATE item SET deleted = 1, body = '', terms = '[]',
    feedback_rating = NULL, feedback_comment = NULL, feedback_time_us = NULL
WHERE owner = ? AND conversation_id = ? AND id = ? AND NOT deleted
"""
_LINKS = """
SELECT id, parent_id, response_id, conversation_id, seq, deleted FROM item
WHERE owner = ? AND conversation_id = ? AND seq < ? ORDER BY seq
"""
_STEP_BACK = "UPDATE conversation SET leaf_id = ? WHERE owner = ? AND id = ?"
_THREAD = "SELECT * FROM item WHERE owner = ? AND thread_id = ? AND seq < ? ORDER BY seq"


class SqliteItemStore:
    """An `ItemStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, *, owner: str, conversation_id: str, items: Sequence[Item], now_us: int) -> list[Item]:
        """Append items to the conversation."""

        def append(connection: sqlite3.Connection) -> list[Item]:
            conversation = extend_conversation(
                connection, owner=owner, conversation_id=conversation_id, items=items, now_us=now_us
            )
            if conversation is None:
                raise ConversationNotFound(conversation_id)
            placed = place(
                items,
                first_seq=conversation.next_seq,
                parent_id=conversation.leaf_id,
                conversation_id=conversation_id,
            )
            insert_items(connection, placed)
            return placed

        return await self._database.write(append)

    async def get(self, *, owner: str, conversation_id: str, item_id: str) -> Item:
        """Return a member of the conversation."""
        rows = await self._database.fetch(_GET, (owner, conversation_id, item_id))
        if not rows:
            raise ItemNotFound(item_id)
        return to_item(rows[0])

    async def list_page(self, *, owner: str, conversation_id: str, end_seq: int, page: PageRequest) -> Page[Item]:
        """Return a page of the conversation's members."""
        start: tuple[object, ...] = (end_seq,) if page.descending else (-1,)
        if page.after_id is not None:
            start = page_start(await self._database.fetch(_PAGE_START, (owner, conversation_id, page.after_id)))
        query = _NEWEST if page.descending else _OLDEST
        rows = await self._database.fetch(query, (owner, conversation_id, *start, end_seq, page.limit + 1))
        return Page.cut([to_item(row) for row in rows], page.limit)

    async def get_many(self, *, owner: str, item_ids: Sequence[str]) -> list[Item]:
        """Return the owner's items of these ids."""
        rows = await self._database.fetch(_GET_MANY, (owner, json.dumps(list(item_ids))))
        found = {row["id"]: to_item(row) for row in rows}
        return [found[item_id] for item_id in item_ids if item_id in found]

    async def delete(self, *, owner: str, conversation_id: str, item_id: str, now_us: int) -> Conversation:
        """Replace a member by a tombstone."""

        def delete(connection: sqlite3.Connection) -> Conversation:
            values = (now_us, owner, conversation_id)
            rows = connection.execute(_TOUCH_CONVERSATION, values).fetchall()
            if not rows:
                raise ConversationNotFound(conversation_id)
            cursor = connection.execute(_BURY, (owner, conversation_id, item_id))
            if not cursor.rowcount:
                raise ItemNotFound(item_id)
            conversation = to_conversation(rows[0])
            return _step_back(connection, conversation) if conversation.leaf_id == item_id else conversation

        return await self._database.write(delete)

    async def load_thread(self, *, owner: str, thread_id: str, end_seq: int) -> list[Item]:
        """Return the thread's placed items."""
        return [to_item(row) for row in await self._database.fetch(_THREAD, (owner, thread_id, end_seq))]

    async def load_links(self, *, owner: str, conversation_id: str, end_seq: int) -> list[Link]:
        """Return the conversation's members without their bodies."""
        return to_links(await self._database.fetch(_LINKS, (owner, conversation_id, end_seq)))


def extend_conversation(
    connection: sqlite3.Connection,
    *,
    owner: str,
    conversation_id: str,
    items: Sequence[Item],
    now_us: int,
    switch_count: int | None = None,
) -> Conversation | None:
    """Reserve places in the conversation, and return it as it was before, or `None` where there is none.

    The last item becomes the active one, unless there was a switch since the conversation had this `switch_count`.
    """
    rows = connection.execute(_GET_CONVERSATION, (owner, conversation_id)).fetchall()
    if not rows:
        return None
    conversation = to_conversation(rows[0])
    is_aside = switch_count is not None and switch_count != conversation.switch_count
    leaf_id = items[-1].id if items and not is_aside else conversation.leaf_id
    values = (conversation.next_seq + len(items), leaf_id, now_us, owner, conversation_id)
    connection.execute(_EXTEND_CONVERSATION, values)
    return conversation


def _step_back(connection: sqlite3.Connection, conversation: Conversation) -> Conversation:
    """Make the last item that is shown the active one, where that was just deleted."""
    key = (conversation.owner, conversation.id)
    links = to_links(connection.execute(_LINKS, (*key, conversation.next_seq)).fetchall())
    path = path_to(conversation.leaf_id, links)
    stepped_back = replace(conversation, leaf_id=path[-1].id if path else None)
    connection.execute(_STEP_BACK, (stepped_back.leaf_id, *key))
    return stepped_back
