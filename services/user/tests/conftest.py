import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from rostra_kit.testing.redis_server import RedisServer, running_redis
from rostra_user.migrate import migrate
from rostra_user.settings import DatabaseSettings, PasswordSettings
from rostra_user.sql.database import Database
from rostra_user.sql.engine import open_engine
from support.servers import fresh_database, mariadb_url, mysql_url

__all__ = ["mariadb_url", "mysql_url"]

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


@pytest.fixture
async def sqlite_database(tmp_path: Path) -> AsyncIterator[Database]:
    """Return a database of the test's own."""
    settings = DatabaseSettings(url=SecretStr(f"sqlite+aiosqlite:///{tmp_path}/user.db"))
    await migrate(settings)
    async with open_engine(settings) as engine:
        yield Database(engine)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def cheap_passwords() -> PasswordSettings:
    """Return a cost of hashing that tests can pay often."""
    return PasswordSettings(memory_kib=8, iterations=1)
