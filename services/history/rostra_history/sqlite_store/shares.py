"""Shares in SQLite: each goes with its conversation by the row's foreign key."""

import sqlite3
from typing import Any

from rostra_history.domain import Page, PageRequest
from rostra_history.errors import ConversationNotFound, ShareNotFound
from rostra_history.share import Share
from rostra_history.sqlite_store.database import Database
from rostra_history.sqlite_store.rows import fields_of, page_start

_INSERT = """
INSERT INTO share (id, owner, conversation_id, leaf_id, end_seq, title, create_time_us, expire_time_us)
SELECT ?, owner, id, ?, ?, ?, ?, ? FROM conversation WHERE owner = ? AND id = ?
"""
_FIND = "SELECT * FROM share WHERE id = ?"
_GET = "SELECT * FROM share WHERE owner = ? AND id = ?"
_DELETE = "DELETE FROM share WHERE owner = ? AND id = ?"
_PAGE_START = "SELECT create_time_us, id FROM share WHERE {of} AND id = ?"
_OLDEST = "SELECT * FROM share WHERE {of} AND (create_time_us, id) > (?, ?) ORDER BY create_time_us, id LIMIT ?"
_NEWEST = (
    "SELECT * FROM share WHERE {of} AND (create_time_us, id) < (?, ?) ORDER BY create_time_us DESC, id DESC LIMIT ?"
)


class SqliteShareStore:
    """A `ShareStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, share: Share) -> None:
        """Store a new share."""
        values = (
            share.id,
            share.leaf_id,
            share.end_seq,
            share.title,
            share.create_time_us,
            share.expire_time_us,
            share.owner,
            share.conversation_id,
        )

        def create(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(_INSERT, values)
            if not cursor.rowcount:
                raise ConversationNotFound(share.conversation_id)

        await self._database.write(create)

    async def get(self, *, owner: str, share_id: str) -> Share:
        """Return the share."""
        return await self._one(_GET, (owner, share_id), share_id)

    async def find(self, *, share_id: str) -> Share:
        """Return the share, whoever owns it."""
        return await self._one(_FIND, (share_id,), share_id)

    async def list_page(self, *, owner: str, conversation_id: str | None, page: PageRequest) -> Page[Share]:
        """Return a page of the owner's shares."""
        of, names = "owner = ?", [owner]
        if conversation_id is not None:
            of, names = "owner = ? AND conversation_id = ?", [owner, conversation_id]
        start: tuple[object, ...] = (2**63 - 1, "") if page.descending else (-1, "")
        if page.after_id is not None:
            start = page_start(await self._database.fetch(_PAGE_START.format(of=of), (*names, page.after_id)))
        query = (_NEWEST if page.descending else _OLDEST).format(of=of)
        rows = await self._database.fetch(query, (*names, *start, page.limit + 1))
        return Page.cut([Share(**fields_of(row)) for row in rows], page.limit)

    async def delete(self, *, owner: str, share_id: str) -> None:
        """Delete the share."""

        def delete(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(_DELETE, (owner, share_id))
            if not cursor.rowcount:
                raise ShareNotFound(share_id)

        await self._database.write(delete)

    async def _one(self, query: str, parameters: tuple[Any, ...], share_id: str) -> Share:
        rows = await self._database.fetch(query, parameters)
        if not rows:
            raise ShareNotFound(share_id)
        return Share(**fields_of(rows[0]))
