"""Feedback in SQLite: columns of the item's row."""

import sqlite3

from rostra_history.errors import FeedbackNotFound, ItemNotFound
from rostra_history.feedback import Feedback
from rostra_history.sqlite_store.database import Database

_PUT = """
UPDATE item SET feedback_rating = ?, feedback_comment = ?, feedback_time_us = ?
WHERE owner = ? AND conversation_id = ? AND id = ? AND NOT deleted
"""
_GET = "SELECT feedback_rating FROM item WHERE owner = ? AND conversation_id = ? AND id = ? AND NOT deleted"


class SqliteFeedbackStore:
    """A `FeedbackStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, feedback: Feedback, *, owner: str, conversation_id: str, item_id: str) -> None:
        """Keep the feedback."""
        values = (feedback.rating, feedback.comment, feedback.update_time_us, owner, conversation_id, item_id)

        def put(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(_PUT, values)
            if not cursor.rowcount:
                raise ItemNotFound(item_id)

        await self._database.write(put)

    async def delete(self, *, owner: str, conversation_id: str, item_id: str) -> None:
        """Forget the feedback."""
        key = (owner, conversation_id, item_id)

        def delete(connection: sqlite3.Connection) -> None:
            rows = connection.execute(_GET, key).fetchall()
            if not rows:
                raise ItemNotFound(item_id)
            if rows[0]["feedback_rating"] is None:
                raise FeedbackNotFound(item_id)
            connection.execute(_PUT, (None, None, None, *key))

        await self._database.write(delete)
