"""Pages of lists on SQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, RowMapping, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from rostra_user.domain import Page
from rostra_user.errors import UnknownCursorError
from rostra_user.sql.database import Database


async def page_of(
    database: Database, listed: Select[Any], key: Column[str], page: Page
) -> tuple[Sequence[RowMapping], bool]:
    """Return a page of what is `listed` by the order of its unique `key`, and whether another page follows.

    Raises:
        UnknownCursorError: `page.after` is not in the list.
    """
    statement = listed.order_by(key if page.ascending else key.desc())
    if page.after:
        statement = statement.where(key > page.after if page.ascending else key < page.after)

    async def work(connection: AsyncConnection) -> tuple[Sequence[RowMapping], bool]:
        if page.after and (await connection.execute(listed.where(key == page.after))).first() is None:
            raise UnknownCursorError(page.after)
        rows = (await connection.execute(statement.limit(page.size + 1))).mappings().all()
        return rows[: page.size], len(rows) > page.size

    return await database.read(work)
