import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, inspect, text

import rostra_user.migrations
from rostra_kit.errors import UnavailableError
from rostra_kit.ports import free_port
from rostra_user.settings import DatabaseSettings
from rostra_user.sql.engine import open_engine
from rostra_user.sql.migration import NOTHING, downgrade, upgrade
from rostra_user.sql.schema import REVISIONS, check_schema
from rostra_user.sql.tables import metadata


def differences(connection: Connection) -> list[object]:
    return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)


async def test_migrations_make_the_tables_that_the_code_means(empty_database: DatabaseSettings) -> None:
    async with open_engine(empty_database) as engine:
        await upgrade(engine)
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
            plans = (await connection.execute(text("SELECT * FROM plans"))).all()
    assert plans == [("default", 600, 500_000, 50, None)]


async def test_schema_can_be_taken_back_and_made_again(empty_database: DatabaseSettings) -> None:
    async with open_engine(empty_database) as engine:
        await upgrade(engine)
        await downgrade(engine, NOTHING)
        async with engine.connect() as connection:
            tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        assert tables == ["alembic_version"]
        await upgrade(engine)
        await check_schema(engine)


async def test_processes_that_migrate_at_once_wait_for_each_other(empty_database: DatabaseSettings) -> None:
    async with open_engine(empty_database) as one, open_engine(empty_database) as other:
        await asyncio.gather(upgrade(one), upgrade(other), upgrade(one))
        await check_schema(other)


async def test_schema_that_lags_behind_is_not_ready(empty_database: DatabaseSettings) -> None:
    async with open_engine(empty_database) as engine:
        for revision in ("", *REVISIONS[:-1]):
            if revision:
                await upgrade(engine, revision)
            with pytest.raises(UnavailableError, match=r"rostra_user\.migrate"):
                await check_schema(engine)


def test_revisions_are_those_of_the_migrations() -> None:
    scripts = ScriptDirectory(str(Path(rostra_user.migrations.__file__ or "").parent))
    assert list(reversed(REVISIONS)) == [script.revision for script in scripts.walk_revisions()]


def test_service_runs_without_what_migrates() -> None:
    program = "import sys, rostra_user.app; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


async def test_schema_of_a_newer_release_is_ready(empty_database: DatabaseSettings) -> None:
    async with open_engine(empty_database) as engine:
        await upgrade(engine)
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await check_schema(engine)


async def test_unreachable_database_is_not_ready() -> None:
    url = SecretStr(f"mysql+aiomysql://rostra:rostra@127.0.0.1:{free_port()}/rostra")
    async with open_engine(DatabaseSettings(url=url)) as engine:
        with pytest.raises(UnavailableError) as refused:
            await check_schema(engine)
    assert refused.value.retry_after_seconds == 1
