"""Brings the database's schema up to date, one process at a time."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import rostra_user
from rostra_kit.errors import UnavailableError

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


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(rostra_user.__file__).parent / "migrations"))
    return config
