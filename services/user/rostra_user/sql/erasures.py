"""The notes of what is still to be erased, on SQL."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, or_, select, update

from rostra_user.domain import Erasure
from rostra_user.sql.database import Database
from rostra_user.sql.tables import erasures


class SqlErasureStore:
    """An `ErasureStore` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, *, last_pass_before: datetime, limit: int) -> Sequence[Erasure]:
        """See `ErasureStore.due`."""
        is_due = or_(erasures.c.erase_time.is_(None), erasures.c.mark_time <= last_pass_before)
        statement = select(erasures).where(is_due).order_by(erasures.c.mark_time).limit(limit)
        return [Erasure(**row) for row in await self._database.rows(statement)]

    async def note_erased(self, user_id: str, now: datetime) -> None:
        """See `ErasureStore.note_erased`."""
        await self._database.execute(update(erasures).where(erasures.c.user_id == user_id).values(erase_time=now))

    async def forget(self, user_id: str) -> None:
        """See `ErasureStore.forget`."""
        await self._database.execute(delete(erasures).where(erasures.c.user_id == user_id))
