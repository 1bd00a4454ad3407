"""Connections to the database, with each product's traps defused."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from rostra_user.settings import DatabaseSettings


@asynccontextmanager
async def open_engine(settings: DatabaseSettings) -> AsyncIterator[AsyncEngine]:
    """Open an engine for the database of `settings`, which connects with the first statement, and close it."""
    engine = _create_engine(settings)
    try:
        yield engine
    finally:
        await engine.dispose()


def is_dead_socket(error: BaseException) -> bool:
    """Tell whether uvloop refused to write because the socket is closed."""
    return isinstance(error, RuntimeError) and "closed" in str(error)


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
    engine = create_async_engine(
        url.difference_update_query(["charset"]),
        isolation_level="READ COMMITTED",
        connect_args=_mysql_arguments(settings),
        **options,
    )
    event.listen(engine.sync_engine, "checkout", _ping)
    event.listen(engine.sync_engine, "handle_error", _recognise_dead_socket)
    return engine


def _mysql_arguments(settings: DatabaseSettings) -> dict[str, Any]:
    lock_seconds = max(1, round(settings.lock_timeout_seconds))
    arguments: dict[str, Any] = {
        "charset": "utf8mb4",
        "connect_timeout": settings.connect_timeout_seconds,
        "init_command": f"SET time_zone = '+00:00', SESSION innodb_lock_wait_timeout = {lock_seconds}",
    }
    if settings.tls_ca_file is not None:
        arguments["ssl"] = ssl.create_default_context(cafile=str(settings.tls_ca_file))
    return arguments


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    """Let readers and a writer work side by side, keep references whole, and keep commits through a power cut."""
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _ping(connection: Any, _entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
    """Replace a dead connection before it is used.

    SQLAlchemy's own pre-ping does not recognise what aiomysql raises for a dead socket on uvloop: a `RuntimeError`.
    """
    try:
        connection.ping(reconnect=False)
    except Exception as error:
        # At once: the pool would say goodbye to the server first, which a dead socket refuses.
        connection.driver_connection.close()
        raise DisconnectionError("the connection is dead") from error


def _recognise_dead_socket(context: ExceptionContext) -> None:
    """Drop the connection whose socket died in mid-use; see `_ping`."""
    if is_dead_socket(context.original_exception):
        context.is_disconnect = True
        if context.connection is not None:
            driver_connection: Any = context.connection.connection.driver_connection
            driver_connection.close()
