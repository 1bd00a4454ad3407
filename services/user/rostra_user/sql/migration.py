"""Brings the database's schema up to date, one process at a time, and tells whether it is."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import rostra_user
from rostra_kit.errors import UnavailableError
from rostra_user.sql.database import translated_errors

NEWEST = "head"
NOTHING = "base"

_LOCK_SECONDS = 120


async def upgrade(engine: AsyncEngine, revision: str = NEWEST) -> None:
    """Apply the migrations up to `revision` that are not applied yet, while no other process does the same.

    Raises:
        UnavailableError: Another process has been migrating for two minutes.
    """
    async with _locked(engine) as connection:
        await connection.run_sync(partial(_run, command.upgrade, revision))


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    """Take the migrations after `revision` back, and the data in their tables with them."""
    async with _locked(engine) as connection:
        await connection.run_sync(partial(_run, command.downgrade, revision))


async def check_schema(engine: AsyncEngine) -> None:
    """Raise `UnavailableError` unless the database has the newest revision, or one newer than this code knows.

    During an update old pods meet the new schema: migrations only ever add what old code can ignore.
    """
    with translated_errors():
        async with engine.connect() as connection:
            current = await connection.run_sync(_current_revision)
    scripts = ScriptDirectory.from_config(_config())
    known = {script.revision for script in scripts.walk_revisions()}
    if current is None or (current in known and current != scripts.get_current_head()):
        raise UnavailableError("The database's schema is not up to date: run `python -m rostra_user.migrate`.")


@asynccontextmanager
async def _locked(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # One transaction around all of it: a migration that fails leaves nothing behind.
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            await connection.commit()
            return
        driver: Any = (await connection.get_raw_connection()).driver_connection
        driver.read_timeout_seconds = None  # a large table takes its time
        lock = {"name": f"rostra_user.migrate.{engine.url.database}"[:64], "seconds": _LOCK_SECONDS}
        try:
            if await connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), lock) != 1:
                raise UnavailableError("Another process is migrating the database.")
            yield connection
            await connection.commit()
        finally:
            # The lock ends with its connection, also where that is lost already.
            await connection.invalidate()


def _run(migrate: Callable[[Config, str], None], revision: str, connection: Connection) -> None:
    migrate(_config(connection), revision)


def _current_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(rostra_user.__file__).parent / "migrations"))
    return config
