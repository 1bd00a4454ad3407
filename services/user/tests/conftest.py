import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis

from rostra.user.v1.user_service_pb2 import DESCRIPTOR
from rostra.user.v1.user_service_pb2_grpc import UserServiceStub
from rostra_kit.redis import RedisSettings
from rostra_kit.settings import ServiceAddress
from rostra_kit.testing.grpc import call_as_nobody, grpc_client
from rostra_kit.testing.redis_server import RedisServer, running_redis
from rostra_user.app import build
from rostra_user.migrate import migrate
from rostra_user.settings import DatabaseSettings, PasswordSettings, Settings, UsageQueueSettings
from rostra_user.sql.database import Database
from rostra_user.sql.engine import open_engine
from rostra_user.testing.history import HistoryStandIn, running_history
from rostra_user.testing.journey import UserClient
from rostra_user.testing.records import NOW, SettableClock
from support.servers import fresh_database, mariadb_url, mysql_url

__all__ = ["mariadb_url", "mysql_url"]

USER_SERVICE = DESCRIPTOR.services_by_name["UserService"]

PRODUCTS = ["sqlite", *(pytest.param(name, marks=pytest.mark.integration) for name in ("mysql", "mariadb"))]


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let settings come from the tests alone."""
    for name in [name for name in os.environ if name.startswith("ROSTRA_USER_")]:
        monkeypatch.delenv(name)


@contextmanager
def new_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database on the product that the fixture's parameter names."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{folder}/user.db"
        return
    with fresh_database(request.getfixturevalue(f"{request.param}_url")) as url:
        yield url


@pytest.fixture(params=PRODUCTS)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseSettings]:
    """Return the settings of a database without tables, on each product."""
    with new_database(request, tmp_path) as url:
        yield DatabaseSettings(url=SecretStr(url))


@pytest.fixture(scope="session", params=PRODUCTS)
def migrated_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DatabaseSettings]:
    """Return the settings of a database that tests share, on each product: each makes users of its own."""
    with new_database(request, tmp_path_factory.mktemp("database")) as url:
        settings = DatabaseSettings(url=SecretStr(url))
        asyncio.run(migrate(settings))
        yield settings


@pytest.fixture
async def database(migrated_database: DatabaseSettings) -> AsyncIterator[Database]:
    async with open_engine(migrated_database) as engine:
        yield Database(engine)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an SQLite database with the newest schema and nothing else, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "user.db"
    asyncio.run(migrate(DatabaseSettings(url=SecretStr(f"sqlite+aiosqlite:///{file}"))))
    return file


@pytest.fixture
def sqlite_settings(migrated_file: Path, tmp_path: Path) -> DatabaseSettings:
    """Return the settings of an embedded database of the test's own."""
    shutil.copy(migrated_file, tmp_path / "user.db")
    return DatabaseSettings(url=SecretStr(f"sqlite+aiosqlite:///{tmp_path}/user.db"))


@pytest.fixture
async def sqlite_database(sqlite_settings: DatabaseSettings) -> AsyncIterator[Database]:
    async with open_engine(sqlite_settings) as engine:
        yield Database(engine)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """Return a client of an empty Redis that, like the service's own for blocking reads, knows no time limit."""
    async with Redis.from_url(redis_server.url, socket_timeout=None) as client:
        await client.flushall()
        yield client


@pytest.fixture
def cheap_passwords() -> PasswordSettings:
    """Return a cost of hashing that tests can pay often."""
    return PasswordSettings(memory_kib=8, iterations=1)


@pytest.fixture
async def history() -> AsyncIterator[HistoryStandIn]:
    async with running_history() as stand_in:
        yield stand_in


@pytest.fixture
def settings(
    sqlite_settings: DatabaseSettings,
    redis_server: RedisServer,
    history: HistoryStandIn,
    cheap_passwords: PasswordSettings,
    tmp_path: Path,
) -> Settings:
    return Settings(
        database=sqlite_settings,
        redis=RedisSettings(url=SecretStr(redis_server.url)),
        history=ServiceAddress(target=history.target),
        signing_keys_directory=tmp_path / "keys",
        registration="open",
        passwords=cheap_passwords,
        usage_queue=UsageQueueSettings(block_seconds=0.05, gather_seconds=0, retry_seconds=0.05),
        api_keys_per_user=3,
    )


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOW)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def client(
    settings: Settings, registry: CollectorRegistry, redis: Redis, clock: SettableClock
) -> AsyncIterator[UserClient]:
    """Return a client of the whole service, as its composition root builds it."""
    async with (
        build(settings, registry, clock=clock) as app,
        grpc_client(UserServiceStub, USER_SERVICE, app.register) as client,
    ):
        call_as_nobody()
        yield client
