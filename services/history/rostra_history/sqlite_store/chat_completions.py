"""Stored chat completions in SQLite: a row for each, one for each of its messages, and one for each of its tags."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from sqlite3 import Row
from typing import Any

from rostra_history.chat_completion_store import ChatCompletion
from rostra_history.domain import Page, PageRequest
from rostra_history.errors import ChatCompletionNotFound
from rostra_history.sqlite_store.database import Database
from rostra_history.sqlite_store.rows import metadata_text, page_start
from rostra_kit.errors import AlreadyExistsError

_INSERT = """
INSERT INTO chat_completion (id, owner, models, metadata, body, message_count, create_time_us)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_MESSAGE = "INSERT INTO chat_message (owner, completion_id, position, body) VALUES (?, ?, ?, ?)"
_INSERT_TAG = "INSERT INTO chat_completion_tag (owner, tag, create_time_us, completion_id) VALUES (?, ?, ?, ?)"
_DELETE_TAGS = "DELETE FROM chat_completion_tag WHERE owner = ? AND completion_id = ?"
_GET = "SELECT * FROM chat_completion WHERE owner = ? AND id = ?"
_UPDATE = "UPDATE chat_completion SET metadata = ? WHERE owner = ? AND id = ? RETURNING *"
_DELETE = "DELETE FROM chat_completion WHERE owner = ? AND id = ?"
_MESSAGES = """
SELECT body FROM chat_message WHERE owner = ? AND completion_id = ? AND position >= ? ORDER BY position LIMIT ?
"""
_PAGE_START = "SELECT create_time_us, id FROM chat_completion WHERE owner = ? AND id = ?"
_HAS_TAG = """
EXISTS (SELECT 1 FROM chat_completion_tag AS other WHERE other.owner = completion.owner AND other.tag = ?
    AND other.create_time_us = completion.create_time_us AND other.completion_id = completion.id)
"""


class SqliteChatCompletionStore:
    """A `ChatCompletionStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, completion: ChatCompletion, messages: Sequence[str]) -> None:
        """Store a completion with its messages."""
        key = (completion.owner, completion.id)
        values = (
            completion.id,
            completion.owner,
            json.dumps(list(completion.models)),
            metadata_text(completion.metadata),
            completion.body,
            completion.message_count,
            completion.create_time_us,
        )

        def create(connection: sqlite3.Connection) -> None:
            for row in connection.execute(_GET, key).fetchall():
                if row["body"] == completion.body:
                    return
                raise AlreadyExistsError(f"The id '{completion.id}' is taken.")
            connection.execute(_INSERT, values)
            rows = [(*key, position, body) for position, body in enumerate(messages)]
            connection.executemany(_INSERT_MESSAGE, rows)
            _insert_tags(connection, completion)

        await self._database.write(create)

    async def get(self, *, owner: str, completion_id: str) -> ChatCompletion:
        """Return the completion."""
        rows = await self._database.fetch(_GET, (owner, completion_id))
        if not rows:
            raise ChatCompletionNotFound(completion_id)
        return _to_completion(rows[0])

    async def list_page(self, *, owner: str, page: PageRequest, tags: Sequence[str] = ()) -> Page[ChatCompletion]:
        """Return a page of the owner's completions that have all of `tags`."""
        start: tuple[Any, ...] = (2**63 - 1, "") if page.descending else (-1, "")
        if page.after_id is not None:
            start = page_start(await self._database.fetch(_PAGE_START, (owner, page.after_id)))
        query = _page_query(tag_count=len(tags), descending=page.descending)
        rows = await self._database.fetch(query, (owner, *tags[:1], *start, *tags[1:], page.limit + 1))
        return Page.cut([_to_completion(row) for row in rows], page.limit)

    async def update(self, *, owner: str, completion_id: str, metadata: Mapping[str, str]) -> ChatCompletion:
        """Replace the metadata, and the tags with it."""

        def update(connection: sqlite3.Connection) -> ChatCompletion:
            values = (metadata_text(metadata), owner, completion_id)
            rows = connection.execute(_UPDATE, values).fetchall()
            if not rows:
                raise ChatCompletionNotFound(completion_id)
            completion = _to_completion(rows[0])
            connection.execute(_DELETE_TAGS, (owner, completion_id))
            _insert_tags(connection, completion)
            return completion

        return await self._database.write(update)

    async def delete(self, *, owner: str, completion_id: str) -> None:
        """Delete the completion with its messages."""

        def delete(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(_DELETE, (owner, completion_id))
            if not cursor.rowcount:
                raise ChatCompletionNotFound(completion_id)

        await self._database.write(delete)

    async def list_messages(self, *, owner: str, completion_id: str, first: int, limit: int) -> list[str]:
        """Return up to `limit` messages from the place `first` on."""
        rows = await self._database.fetch(_MESSAGES, (owner, completion_id, first, limit))
        if not rows:
            await self.get(owner=owner, completion_id=completion_id)
        return [row["body"] for row in rows]


def _insert_tags(connection: sqlite3.Connection, completion: ChatCompletion) -> None:
    place = (completion.create_time_us, completion.id)
    connection.executemany(_INSERT_TAG, [(completion.owner, tag, *place) for tag in completion.tags])


def _page_query(*, tag_count: int, descending: bool) -> str:
    """Return the query for a page: it reads along the first tag's postings, or all completions, and checks the rest."""
    beyond, direction = ("<", "DESC") if descending else (">", "ASC")
    if tag_count:
        listed = (
            "chat_completion_tag AS listed CROSS JOIN chat_completion AS completion "
            "ON completion.owner = listed.owner AND completion.id = listed.completion_id "
            "WHERE listed.owner = ? AND listed.tag = ?"
        )
        place = "listed.create_time_us", "listed.completion_id"
    else:
        listed = "chat_completion AS completion WHERE completion.owner = ?"
        place = "completion.create_time_us", "completion.id"
    others = "".join([f" AND {_HAS_TAG}"] * (tag_count - 1))
    return (
        f"SELECT completion.* FROM {listed} AND ({place[0]}, {place[1]}) {beyond} (?, ?){others} "  # noqa: S608 - constants
        f"ORDER BY {place[0]} {direction}, {place[1]} {direction} LIMIT ?"
    )


def _to_completion(row: Row) -> ChatCompletion:
    return ChatCompletion(
        id=row["id"],
        owner=row["owner"],
        models=json.loads(row["models"]),
        metadata=json.loads(row["metadata"]),
        body=row["body"],
        message_count=row["message_count"],
        create_time_us=row["create_time_us"],
    )
