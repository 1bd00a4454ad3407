import asyncio
from datetime import datetime

import pytest
import uvloop
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import OperationalError

from rostra_kit.errors import AlreadyExistsError, InternalError, UnavailableError
from rostra_kit.ports import free_port
from rostra_user.metrics import UserMetrics
from rostra_user.settings import DatabaseSettings
from rostra_user.sql.database import Database, MissingParentError
from rostra_user.sql.engine import open_engine, watch_pool
from rostra_user.sql.rows import session_row
from rostra_user.sql.tables import plans, sessions, users
from rostra_user.testing.records import a_session, a_stored_user


async def connection_id(connection) -> int:
    return await connection.scalar(text("SELECT CONNECTION_ID()"))


SERVERS = [pytest.param(name, marks=pytest.mark.integration) for name in ("mysql", "mariadb")]
on_servers = pytest.mark.parametrize("migrated_database", SERVERS, indirect=True)


@on_servers
def test_killed_connections_are_replaced_unnoticed(migrated_database: DatabaseSettings) -> None:
    async def scenario() -> None:
        async with open_engine(migrated_database) as engine, open_engine(migrated_database) as administrator:
            database = Database(engine)
            before = await asyncio.gather(*(database.read(connection_id) for _ in range(4)))
            async with administrator.connect() as connection:
                for number in set(before):
                    await connection.execute(text(f"KILL {number}"))
            after = await asyncio.gather(*(database.read(connection_id) for _ in range(4)))
            assert not set(before) & set(after)

    uvloop.run(scenario())


@on_servers
def test_dead_socket_is_an_outage_and_not_used_again(migrated_database: DatabaseSettings) -> None:
    async def scenario() -> None:
        async with open_engine(migrated_database) as engine:
            database = Database(engine)

            async def lose_the_network(connection) -> None:
                raw = await connection.get_raw_connection()
                raw.driver_connection._writer.transport.abort()
                await asyncio.sleep(0)
                await connection_id(connection)

            for run in (database.read, database.write):
                with pytest.raises(UnavailableError) as refused:
                    await run(lose_the_network)
                assert refused.value.retry_after_seconds == 1
                assert await database.read(connection_id)

    uvloop.run(scenario())


async def test_server_that_is_not_there_is_an_outage() -> None:
    url = SecretStr(f"mysql+aiomysql://rostra:rostra@127.0.0.1:{free_port()}/rostra")
    async with open_engine(DatabaseSettings(url=url)) as engine:
        with pytest.raises(UnavailableError) as refused:
            await Database(engine).read(connection_id)
    assert refused.value.retry_after_seconds == 1


async def test_full_pool_is_an_outage(migrated_database: DatabaseSettings) -> None:
    small = migrated_database.model_copy(update={"pool_size": 1, "pool_overflow": 0, "pool_timeout_seconds": 0.05})
    async with open_engine(small) as engine:
        database = Database(engine)

        async def hold(_connection) -> None:
            with pytest.raises(UnavailableError):
                await database.read(lambda connection: connection.scalar(text("SELECT 1")))

        await database.read(hold)


async def test_use_of_the_pool_is_measured(migrated_database: DatabaseSettings, registry: CollectorRegistry) -> None:
    metrics = UserMetrics(registry)
    small = migrated_database.model_copy(update={"pool_size": 1, "pool_overflow": 0, "pool_timeout_seconds": 0.05})
    async with open_engine(small) as engine:
        watch_pool(engine, metrics.database_connections, metrics.database_connections_limit)
        database = Database(engine, metrics.database_wait_seconds.time)

        def connections() -> tuple[float | None, ...]:
            name = "rostra_user_database_connections"
            return tuple(registry.get_sample_value(name, {"state": state}) for state in ("busy", "idle"))

        async def hold(_connection) -> None:
            assert connections() == (1, 0)
            with pytest.raises(UnavailableError):
                await database.read(lambda connection: connection.scalar(text("SELECT 1")))

        assert connections() == (0, 0)
        await database.write(hold)
        assert connections() == (0, 1)
    assert registry.get_sample_value("rostra_user_database_wait_seconds_count") == 2
    assert (registry.get_sample_value("rostra_user_database_wait_seconds_sum") or 0) >= 0.05


async def test_references_to_nothing_are_refused(database: Database) -> None:
    orphan = insert(sessions).values(session_row(a_session("user_none")))
    with pytest.raises(MissingParentError):
        await database.write(lambda connection: connection.execute(orphan))


async def test_duplicate_is_told_from_other_refusals(database: Database) -> None:
    session = a_session((await a_stored_user(database)).id)
    row = session_row(session)
    await database.write(lambda connection: connection.execute(insert(sessions).values(row)))
    with pytest.raises(AlreadyExistsError):
        await database.write(lambda connection: connection.execute(insert(sessions).values(row)))
    with pytest.raises(InternalError):
        incomplete = row | {"id": "sess_x", "token_digest": None}
        await database.write(lambda connection: connection.execute(insert(sessions).values(incomplete)))
    with pytest.raises(InternalError):
        await database.row(select(text("no_such_column")).select_from(users))


async def test_failed_work_leaves_nothing_behind(database: Database) -> None:
    user = await a_stored_user(database)

    async def work(connection) -> None:
        await connection.execute(update(users).where(users.c.id == user.id).values(name="Eve"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(work)
    row = await database.row(users.select().where(users.c.id == user.id))
    assert row is not None
    assert row["name"] == user.name


async def test_write_is_finished_when_its_caller_is_cancelled(database: Database) -> None:
    user = await a_stored_user(database)
    written = asyncio.Event()

    async def work(connection) -> None:
        await connection.execute(update(users).where(users.c.id == user.id).values(name="after"))
        written.set()
        await asyncio.sleep(0.05)  # the caller leaves meanwhile

    task = asyncio.create_task(database.write(work))
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = await database.row(users.select().where(users.c.id == user.id))
    assert row is not None
    assert row["name"] == "after"


@on_servers
async def test_victim_of_a_deadlock_runs_again(database: Database) -> None:
    one, other = await a_stored_user(database), await a_stored_user(database)
    both_hold_a_row = asyncio.Barrier(2)
    attempts = 0

    def cross(first: str, second: str):
        async def work(connection) -> None:
            nonlocal attempts
            attempts += 1
            is_first_attempt = attempts <= 2
            await connection.execute(update(users).where(users.c.id == first).values(name=f"held by {first}"))
            if is_first_attempt:
                await both_hold_a_row.wait()
            await connection.execute(update(users).where(users.c.id == second).values(name=f"held by {first}"))

        return work

    await asyncio.gather(database.write(cross(one.id, other.id)), database.write(cross(other.id, one.id)))
    assert attempts == 3
    rows = await database.rows(users.select().where(users.c.id.in_([one.id, other.id])))
    assert len({row["name"] for row in rows}) == 1


async def test_counter_loses_no_increment_under_compare_and_set(sqlite_database: Database) -> None:
    async def increment() -> None:
        while True:
            row = await sqlite_database.row(plans.select())
            assert row is not None
            seen = row["concurrent_streams"]
            unchanged = (plans.c.name == "default", plans.c.concurrent_streams == seen)
            if await sqlite_database.execute(update(plans).where(*unchanged).values(concurrent_streams=seen + 1)):
                return

    await asyncio.gather(*(increment() for _ in range(20)))
    row = await sqlite_database.row(plans.select())
    assert row is not None
    assert row["concurrent_streams"] == 70


async def test_embedded_database_is_set_up_to_keep_what_it_acknowledged(sqlite_settings: DatabaseSettings) -> None:
    async with open_engine(sqlite_settings) as engine, engine.connect() as connection:
        pragmas = {
            name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 3000}


@on_servers
async def test_server_sessions_are_set_up_alike(database: Database) -> None:
    async def variables(connection) -> tuple[object, ...]:
        found = dict((await connection.execute(text("SHOW VARIABLES"))).all())
        isolation = found.get("transaction_isolation") or found["tx_isolation"]
        return isolation, found["time_zone"], found["character_set_client"], found["innodb_lock_wait_timeout"]

    assert await database.read(variables) == ("READ-COMMITTED", "+00:00", "utf8mb4", "3")


def test_errors_hide_what_statements_carry(sqlite_settings: DatabaseSettings) -> None:
    async def scenario() -> str:
        async with open_engine(sqlite_settings) as engine, engine.connect() as connection:
            with pytest.raises(OperationalError) as refused:
                await connection.execute(text("SELECT :secret FROM nowhere"), {"secret": "hunter2"})
            return str(refused.value)

    assert "hunter2" not in asyncio.run(scenario())


async def test_moment_without_a_zone_is_refused(database: Database) -> None:
    naive = a_session((await a_stored_user(database)).id, expire_time=datetime(2026, 11, 20))  # noqa: DTZ001 - the point
    statement = insert(sessions).values(session_row(naive))
    with pytest.raises(InternalError):
        await database.write(lambda connection: connection.execute(statement))
