"""Connections to the database, with each product's traps defused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import Gauge
from sqlalchemy import event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from rostra_user.settings import DatabaseSettings
from rostra_user.sql.mysql import connector


@asynccontextmanager
async def open_engine(settings: DatabaseSettings) -> AsyncIterator[AsyncEngine]:
    """Open an engine for the database of `settings`, which connects with the first statement, and close it."""
    engine = _create_engine(settings)
    try:
        yield engine
    finally:
        await engine.dispose()


def watch_pool(engine: AsyncEngine, connections: Gauge, limit: Gauge) -> None:
    """Have the gauges tell how many connections of the engine are `busy` and how many `idle`, and how many may be."""
    pool: Any = engine.pool
    connections.labels("busy").set_function(pool.checkedout)
    connections.labels("idle").set_function(pool.checkedin)
    limit.set(pool.size() + max(0, pool._max_overflow))  # noqa: SLF001 - SQLAlchemy has no public word for it


def _create_engine(settings: DatabaseSettings) -> AsyncEngine:
    url = make_url(settings.url.get_secret_value())
    options: dict[str, Any] = {
        "pool_size": settings.pool_size,
        "max_overflow": settings.pool_overflow,
        "pool_timeout": settings.pool_timeout_seconds,
        "pool_recycle": settings.pool_recycle_seconds,
        "pool_use_lifo": True,
        # Statements carry hashes and digests, which no log needs.
        "hide_parameters": True,
    }
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, connect_args={"timeout": settings.lock_timeout_seconds}, **options)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        return engine
    return create_async_engine(
        url.difference_update_query(["charset"]),
        isolation_level="READ COMMITTED",
        connect_args=_mysql_arguments(settings),
        # One dead connection makes the pool replace all that are as old.
        pool_pre_ping=True,
        **options,
    )


def _mysql_arguments(settings: DatabaseSettings) -> dict[str, Any]:
    lock_seconds = max(1, round(settings.lock_timeout_seconds))
    return {
        "async_creator_fn": connector(settings),
        "charset": "utf8mb4",
        "connect_timeout": settings.connect_timeout_seconds,
        "init_command": f"SET time_zone = '+00:00', SESSION innodb_lock_wait_timeout = {lock_seconds}",
    }


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    """Let readers and a writer work side by side, keep references whole, and keep commits through a power cut."""
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
