"""Tells whether the database's schema is up to date.

Alembic is not needed for that: it is large, and only those who migrate import it.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

import rostra_user.migrations.versions
from rostra_kit.errors import UnavailableError
from rostra_user.sql.database import translated_errors

_FOLDER = Path(rostra_user.migrations.versions.__path__[0])
REVISIONS = tuple(sorted(path.name.partition("_")[0] for path in _FOLDER.glob("[0-9]*.py")))
"""All revisions that this code knows, the newest last: their files' names begin with them."""


async def check_schema(engine: AsyncEngine) -> None:
    """Raise `UnavailableError` unless the schema is up to date: see `is_up_to_date`."""
    if not await is_up_to_date(engine):
        raise UnavailableError("The database's schema is not up to date: run `python -m rostra_user.migrate`.")


async def is_up_to_date(engine: AsyncEngine) -> bool:
    """Tell whether the database has the newest revision, or one newer than this code knows.

    During an update old pods meet the new schema: migrations only ever add what old code can ignore.

    Raises:
        UnavailableError: The database cannot be asked.
    """
    with translated_errors():
        async with engine.connect() as connection:
            current = await connection.run_sync(_current_revision)
    return current is not None and current not in REVISIONS[:-1]


def _current_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
