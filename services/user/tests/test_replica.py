"""What is read from a replica, and what never is: here the replica is another database, as stale as can be."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter
from pydantic import SecretStr
from sqlalchemy import text

from rostra_kit.ports import free_port
from rostra_user.metrics import UserMetrics
from rostra_user.migrate import migrate
from rostra_user.settings import DatabaseSettings
from rostra_user.sql.database import Database
from rostra_user.sql.engine import open_engine
from rostra_user.sql.replica import StaleReader, replica_settings
from rostra_user.sql.usage import SqlUsageStore
from rostra_user.testing.records import NOW, a_stored_user, an_event
from support.servers import fresh_database

PERIOD = {"start": NOW - timedelta(days=1), "end": NOW + timedelta(days=1)}


@pytest.fixture
def reads(registry: CollectorRegistry) -> Counter:
    return UserMetrics(registry).replica_reads


@pytest.fixture
def replica_url(migrated_database: DatabaseSettings, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a second, empty database of the same product."""
    url = migrated_database.url.get_secret_value()
    if url.startswith("sqlite"):
        yield f"sqlite+aiosqlite:///{tmp_path}/replica.db"
        return
    with fresh_database(url) as other:
        yield other


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def open_store(stack: AsyncExitStack, primary: Database, url: str, reads: Counter) -> SqlUsageStore:
    """Return the ledger in the primary, with the replica of that URL as the service opens it."""
    settings = replica_settings(DatabaseSettings(url=SecretStr("sqlite+aiosqlite://"), replica_url=SecretStr(url)))
    assert settings is not None
    replica = Database(await stack.enter_async_context(open_engine(settings)))
    return SqlUsageStore(primary, StaleReader(primary, replica, reads))


def answered(registry: CollectorRegistry) -> tuple[float | None, float | None]:
    """Return how many reads the replica answered, and how many the primary did in its place."""
    replica, primary = (
        registry.get_sample_value("rostra_user_replica_reads_total", {"outcome": outcome})
        for outcome in ("replica", "primary")
    )
    return replica, primary


async def test_sums_that_are_shown_come_from_the_replica_and_budgets_do_not(
    database: Database, replica_url: str, stack: AsyncExitStack, reads: Counter, registry: CollectorRegistry
) -> None:
    await migrate(DatabaseSettings(url=SecretStr(replica_url)))
    usage = await open_store(stack, database, replica_url, reads)
    user = await a_stored_user(database)
    await usage.record([an_event(user.id)])
    assert await usage.sum_by_day(user.id, **PERIOD) == []
    assert await usage.sum_cost(user.id, **PERIOD) == 30
    assert answered(registry) == (1, None)


async def test_replica_without_the_schema_leaves_the_answer_to_the_primary(
    database: Database, replica_url: str, stack: AsyncExitStack, reads: Counter, registry: CollectorRegistry
) -> None:
    usage = await open_store(stack, database, replica_url, reads)
    user = await a_stored_user(database)
    await usage.record([an_event(user.id)])
    for _ in range(2):
        assert [bucket.cost_micros for bucket in await usage.sum_by_day(user.id, **PERIOD)] == [30]
    assert answered(registry) == (None, 2)


async def test_replica_that_is_away_is_left_alone_for_a_while_and_used_again(
    database: Database,
    replica_url: str,
    stack: AsyncExitStack,
    reads: Counter,
    registry: CollectorRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("rostra_user.sql.replica.time.monotonic", lambda: now)
    settings = DatabaseSettings(url=SecretStr(replica_url))
    await migrate(settings)
    usage = await open_store(stack, database, replica_url, reads)
    user = await a_stored_user(database)
    await usage.record([an_event(user.id)])
    async with open_engine(settings) as engine, engine.begin() as connection:
        await connection.execute(text("ALTER TABLE usage_events RENAME TO gone"))
    assert len(await usage.sum_by_day(user.id, **PERIOD)) == 1
    async with open_engine(settings) as engine, engine.begin() as connection:
        await connection.execute(text("ALTER TABLE gone RENAME TO usage_events"))
    assert len(await usage.sum_by_day(user.id, **PERIOD)) == 1
    now += 10.0
    assert await usage.sum_by_day(user.id, **PERIOD) == []
    assert answered(registry) == (1, 2)


async def test_replica_that_nobody_answers_for_is_given_up(
    sqlite_database: Database, stack: AsyncExitStack, reads: Counter, registry: CollectorRegistry
) -> None:
    nowhere = f"mysql+aiomysql://rostra:rostra@127.0.0.1:{free_port()}/rostra"
    usage = await open_store(stack, sqlite_database, nowhere, reads)
    assert await usage.sum_by_day("user_none", **PERIOD) == []
    assert answered(registry) == (None, 1)


def test_there_is_no_replica_unless_its_url_is_given() -> None:
    assert replica_settings(DatabaseSettings(url=SecretStr("sqlite+aiosqlite://"))) is None
