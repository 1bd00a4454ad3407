"""Every revision there is, on every product: the way to the newest keeps what is stored, and can break off anywhere."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import date, datetime
from functools import partial
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Enum, MetaData, Table, event, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

import rostra_user.migrations
from rostra_user.settings import DatabaseSettings
from rostra_user.sql.engine import open_engine
from rostra_user.sql.migration import NOTHING, downgrade, upgrade
from rostra_user.sql.schema import check_schema
from rostra_user.sql.tables import metadata

SCRIPTS = ScriptDirectory(rostra_user.migrations.__path__[0])
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()]
from_every_revision = pytest.mark.parametrize("revision", [NOTHING, *REVISIONS])

PROCESS_SECONDS = 60.0

Rows = dict[str, list[dict[str, Any]]]


def differences(connection: Connection) -> list[object]:
    return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)


def stored_tables(connection: Connection) -> list[Table]:
    """Return the tables as the database has them, those that others refer to first."""
    reflected = MetaData()
    reflected.reflect(connection)
    return [table for table in reflected.sorted_tables if table.name != "alembic_version"]


def fill(connection: Connection) -> Rows:
    """Store a row with a value in every column of every table, and return all that is stored."""
    for table in stored_tables(connection):
        values = {column.name: a_value(column) for column in table.columns if column.computed is None}
        connection.execute(table.insert().values(values))
    connection.commit()
    return contents(connection)


def a_value(column: Column[Any]) -> object:
    """Return a value that the column can hold; what refers to another column has the same one."""
    if column.foreign_keys:
        (reference,) = column.foreign_keys
        return a_value(reference.column)
    if isinstance(column.type, Enum):
        return column.type.enums[0]
    kind = column.type.python_type
    length = getattr(column.type, "length", None) or 40
    values: dict[type, object] = {
        str: f'"{column.table.name}.{column.name} 🗝"'[:length],  # also JSON, which some products keep as text
        bytes: bytes(range(32))[:length],
        datetime: datetime(2026, 11, 20, 12, 30, 15, 123456),  # noqa: DTZ001 - as it is stored
        date: date(2026, 11, 20),
        bool: True,
        int: 1,
        object: {"key": "value"},
    }
    return values[kind]


def contents(connection: Connection) -> Rows:
    return {
        table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
        for table in stored_tables(connection)
    }


def shape(connection: Connection) -> dict[str, object]:
    """Return what each table has: columns, indexes, constraints."""
    return {
        table.name: (
            set(table.columns.keys()),
            {index.name for index in table.indexes},
            {constraint.name for constraint in table.constraints},
        )
        for table in stored_tables(connection)
    }


def assert_kept(before: Rows, after: Rows) -> None:
    """Hold that each row is still there, with the values of the columns that it had."""
    for name, rows in before.items():
        old = [{key: row[key] for key in rows[0]} for row in after[name]] if rows else []
        assert all(row in old for row in rows), name


async def run(engine: AsyncEngine, work: Any) -> Any:
    async with engine.connect() as connection:
        return await connection.run_sync(work)


@from_every_revision
async def test_what_is_stored_survives_the_way_up_and_back(empty_database: DatabaseSettings, revision: str) -> None:
    async with open_engine(empty_database) as engine:
        if revision != NOTHING:
            await upgrade(engine, revision)
        before, old_shape = await run(engine, fill), await run(engine, shape)
        await upgrade(engine)
        await check_schema(engine)
        assert await run(engine, differences) == []
        assert_kept(before, await run(engine, contents))
        await downgrade(engine, revision)
        assert await run(engine, shape) == old_shape
        assert_kept(before, await run(engine, contents))
        await upgrade(engine)
        assert await run(engine, differences) == []
        assert_kept(before, await run(engine, contents))


class BrokenOffError(BaseException):
    """The process is dead."""


def break_off(engine: AsyncEngine, *, after: int) -> None:
    """Lose the connection, as when the process is killed, once a migration has made so many statements."""
    made = 0

    def count(_connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        nonlocal made
        made += statement.lstrip().upper().startswith(("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE"))
        if made > after:
            raise BrokenOffError

    event.listen(engine.sync_engine, "before_cursor_execute", count)


async def broke_off(settings: DatabaseSettings, way: Callable[[AsyncEngine], Awaitable[None]], *, after: int) -> bool:
    """Tell whether the way was broken off after so many statements, or was shorter."""
    async with open_engine(settings) as engine:
        break_off(engine, after=after)
        try:
            await way(engine)
        except BrokenOffError:
            return True
    return False


@pytest.mark.parametrize("revision", REVISIONS)
async def test_step_that_broke_off_anywhere_can_be_taken_again(empty_database: DatabaseSettings, revision: str) -> None:
    before = SCRIPTS.get_revision(revision).down_revision or NOTHING
    up, back = partial(upgrade, revision=revision), partial(downgrade, revision=before)
    async with open_engine(empty_database) as engine:
        if before != NOTHING:
            await upgrade(engine, before)
        stored, old_shape = await run(engine, fill), await run(engine, shape)
        await up(engine)
        new_shape = await run(engine, shape)
        await back(engine)
        for after in itertools.count():
            unfinished = []
            for way, wanted in ((up, new_shape), (back, old_shape)):
                unfinished.append(await broke_off(empty_database, way, after=after))
                await way(engine)
                assert await run(engine, shape) == wanted
                assert_kept(stored, await run(engine, contents))
            if not any(unfinished):
                break
    assert after > 1


def migrating(settings: DatabaseSettings) -> "subprocess.Popen[bytes]":
    environ = os.environ | {"ROSTRA_USER_DATABASE__URL": settings.url.get_secret_value()}
    return subprocess.Popen([sys.executable, "-m", "rostra_user.migrate"], env=environ, stderr=subprocess.DEVNULL)


@pytest.fixture
def processes(empty_database: DatabaseSettings) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Return two processes that migrate the same database."""
    started = [migrating(empty_database) for _ in range(2)]
    yield started
    for process in started:
        process.kill()
        process.wait()


async def test_processes_that_migrate_at_once_both_succeed(
    empty_database: DatabaseSettings, processes: list["subprocess.Popen[bytes]"]
) -> None:
    assert [await asyncio.to_thread(process.wait, PROCESS_SECONDS) for process in processes] == [0, 0]
    async with open_engine(empty_database) as engine:
        await check_schema(engine)
        assert await run(engine, differences) == []


async def test_process_killed_while_it_migrates_leaves_the_way_free(empty_database: DatabaseSettings) -> None:
    async with open_engine(empty_database) as engine:
        process = migrating(empty_database)
        deadline = time.monotonic() + PROCESS_SECONDS
        while not await run(engine, lambda connection: inspect(connection).get_table_names()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0)
        process.send_signal(signal.SIGKILL)
        process.wait()
        await upgrade(engine)
        await check_schema(engine)
        assert await run(engine, differences) == []


async def test_table_of_the_default_plan_is_filled_once(empty_database: DatabaseSettings) -> None:
    async with open_engine(empty_database) as engine:
        assert await broke_off(empty_database, upgrade, after=3)
        await upgrade(engine)
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT name FROM plans"))).scalars().all() == ["default"]
