"""Responses in SQLite."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from rostra_history.domain import Item, Page, PageRequest, Response, ResponseStatus
from rostra_history.errors import LeaseLost, ResponseNotFound
from rostra_history.leases import Job
from rostra_history.sqlite_store.database import Database
from rostra_history.sqlite_store.items import extend_conversation
from rostra_history.sqlite_store.rows import insert_items, page_start, to_item, to_links, to_response
from rostra_history.thread import place, unneeded
from rostra_kit.errors import AlreadyExistsError

_INSERT = """
INSERT INTO response (id, owner, thread_id, status, body, create_time_us, previous_response_id, conversation_id,
    leaf_id, next_seq, switch_count, background, attempt)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
_INSERT_RUN = """
INSERT INTO run (response_id, claim_time_us, lease_end_us, tries, cancel_requested, request_body, caller)
VALUES (?, ?, 0, 0, 0, ?, ?)
"""
_GET = "SELECT * FROM response WHERE owner = ? AND id = ?"
_AGE = "SELECT create_time_us, id FROM response WHERE owner = ? AND id = ?"
_OLDEST_RESPONSES = """
SELECT * FROM response WHERE owner = ? AND (create_time_us, id) > (?, ?) ORDER BY create_time_us, id LIMIT ?
"""
_NEWEST_RESPONSES = """
SELECT * FROM response WHERE owner = ? AND (create_time_us, id) < (?, ?)
ORDER BY create_time_us DESC, id DESC LIMIT ?
"""
_FINISH = "UPDATE response SET status = ?, body = ?, leaf_id = ?, next_seq = ? WHERE owner = ? AND id = ?"
_PLACE_ITEM = "UPDATE item SET seq = ?, parent_id = ?, conversation_id = ? WHERE owner = ? AND id = ?"
_INPUT = "SELECT * FROM item WHERE owner = ? AND response_id = ? AND kind = 'input' ORDER BY position"
_OUTPUT = """
SELECT * FROM item WHERE owner = ? AND response_id = ? AND kind = 'output' AND NOT deleted ORDER BY position
"""
_PAGE_START = "SELECT position FROM item WHERE owner = ? AND response_id = ? AND kind = 'input' AND id = ?"
_OLDEST = """
SELECT * FROM item WHERE owner = ? AND response_id = ? AND kind = 'input' AND position > ? AND NOT deleted
ORDER BY position LIMIT ?
"""
_NEWEST = """
SELECT * FROM item WHERE owner = ? AND response_id = ? AND kind = 'input' AND position < ? AND NOT deleted
ORDER BY position DESC LIMIT ?
"""
_DELETE = "DELETE FROM response WHERE owner = ? AND id = ? RETURNING *"
_LINKS = """
SELECT id, parent_id, response_id, conversation_id, seq, deleted FROM item WHERE owner = ? AND thread_id = ?
"""
_CONVERSATION = "SELECT id FROM conversation WHERE owner = ? AND id = ?"
_LEAVES = "SELECT id, leaf_id FROM response WHERE owner = ? AND thread_id = ?"


class SqliteResponseStore:
    """A `ResponseStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, response: Response, items: Sequence[Item], *, claim_time_us: int, job: Job | None = None
    ) -> None:
        """Store a response that is queued or in progress, with its input."""
        values = (
            response.id,
            response.owner,
            response.thread_id,
            response.status,
            response.body,
            response.create_time_us,
            response.previous_response_id,
            response.conversation_id,
            response.leaf_id,
            response.next_seq,
            response.switch_count,
            response.background,
            response.attempt,
        )
        job_values = (job.request_body, job.caller) if job else (None, None)

        def create(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(_INSERT, values)
            if cursor.rowcount:
                insert_items(connection, items)
                connection.execute(_INSERT_RUN, (response.id, claim_time_us, *job_values))
            elif not connection.execute(_GET, (response.owner, response.id)).fetchall():
                raise AlreadyExistsError(f"The id '{response.id}' is taken.")

        await self._database.write(create)

    async def get(self, *, owner: str, response_id: str) -> Response:
        """Return the response."""
        rows = await self._database.fetch(_GET, (owner, response_id))
        if not rows:
            raise ResponseNotFound(response_id)
        return to_response(rows[0])

    async def list_page(self, *, owner: str, page: PageRequest) -> Page[Response]:
        """Return a page of the owner's responses."""
        start: tuple[object, ...] = (2**63 - 1, "") if page.descending else (-1, "")
        if page.after_id is not None:
            start = page_start(await self._database.fetch(_AGE, (owner, page.after_id)))
        query = _NEWEST_RESPONSES if page.descending else _OLDEST_RESPONSES
        rows = await self._database.fetch(query, (owner, *start, page.limit + 1))
        return Page.cut([to_response(row) for row in rows], page.limit)

    async def list_output(self, *, owner: str, response_id: str) -> list[Item]:
        """Return the output of a response that has ended."""
        return [to_item(row) for row in await self._database.fetch(_OUTPUT, (owner, response_id))]

    async def list_input_page(self, *, owner: str, response_id: str, page: PageRequest) -> Page[Item]:
        """Return a page of the response's input."""
        start: tuple[object, ...] = (2**63 - 1,) if page.descending else (-1,)
        if page.after_id is not None:
            start = page_start(await self._database.fetch(_PAGE_START, (owner, response_id, page.after_id)))
        query = _NEWEST if page.descending else _OLDEST
        rows = await self._database.fetch(query, (owner, response_id, *start, page.limit + 1))
        return Page.cut([to_item(row) for row in rows], page.limit)

    async def finish(self, response: Response, output: Sequence[Item], *, now_us: int) -> None:
        """End the stored response."""

        def finish(connection: sqlite3.Connection) -> None:
            rows = connection.execute(_GET, (response.owner, response.id)).fetchall()
            if not rows:
                raise ResponseNotFound(response.id)
            stored = to_response(rows[0])
            if stored.attempt != response.attempt or stored.status is ResponseStatus.QUEUED:
                raise LeaseLost(response.id)
            if stored.status.is_final:
                return
            insert_items(connection, output)
            ended = _join(connection, response, output, now_us) if response.joins_conversation else response
            values = (ended.status, ended.body, ended.leaf_id, ended.next_seq, ended.owner, ended.id)
            connection.execute(_FINISH, values)
            connection.execute("DELETE FROM run WHERE response_id = ?", (ended.id,))

        await self._database.write(finish)

    async def delete(self, *, owner: str, response_id: str) -> None:
        """Delete the response, and the items that nobody needs any more."""

        def delete(connection: sqlite3.Connection) -> None:
            rows = connection.execute(_DELETE, (owner, response_id)).fetchall()
            if not rows:
                raise ResponseNotFound(response_id)
            _sweep(connection, to_response(rows[0]))

        await self._database.write(delete)


def _join(connection: sqlite3.Connection, response: Response, output: Sequence[Item], now_us: int) -> Response:
    """Make input and output members of the conversation, and return the response with its path.

    Where the conversation is gone they become a path of their own, so that the response can still be continued.
    """
    owner, conversation_id = response.owner, response.conversation_id or ""
    rows = connection.execute(_INPUT, (owner, response.id)).fetchall()
    items = [*map(to_item, rows), *output]
    conversation = extend_conversation(
        connection,
        owner=owner,
        conversation_id=conversation_id,
        items=items,
        now_us=now_us,
        switch_count=response.switch_count,
    )
    if conversation is None:
        leaf_id, first_seq, member_of = None, 0, None
    else:
        is_aside = response.switch_count != conversation.switch_count
        leaf_id = response.leaf_id if is_aside else conversation.leaf_id
        first_seq, member_of = conversation.next_seq, conversation.id
    placed = place(items, first_seq=first_seq, parent_id=leaf_id, conversation_id=member_of)
    response = replace(response, leaf_id=leaf_id, next_seq=first_seq)
    values = [(item.seq, item.parent_id, item.conversation_id, owner, item.id) for item in placed]
    connection.executemany(_PLACE_ITEM, values)
    return response.followed_by(placed)


def _sweep(connection: sqlite3.Connection, deleted: Response) -> None:
    thread = (deleted.owner, deleted.thread_id)
    links = to_links(connection.execute(_LINKS, thread).fetchall())
    leaves = {row["id"]: row["leaf_id"] for row in connection.execute(_LEAVES, thread).fetchall()}
    conversations = connection.execute(_CONVERSATION, thread).fetchall()
    doomed = unneeded(links, deleted=deleted, leaf_ids_by_response=leaves, keep_members=bool(conversations))
    values = [(deleted.owner, item_id) for item_id in doomed]
    connection.executemany("DELETE FROM item WHERE owner = ? AND id = ?", values)
