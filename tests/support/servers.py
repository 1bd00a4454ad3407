"""Real servers as fixtures: a given URL wins, else a server found here is started, else the test is skipped, saying so.

A service's conftest.py makes them its own with `from support.servers import mysql_url as mysql_url`. Each fixture's URL
is that of a whole server; take a database of your own from it with `fresh_database`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from support.mongodb_server import mongodb_server
from support.redis_server import redis_server, valkey_server
from support.server_database import fresh_database
from support.server_process import ServerNotFoundError
from support.sql_server import mariadb_server, mysql_server

__all__ = ["fresh_database", "mariadb_url", "mongodb_url", "mysql_url", "redis_url", "server_url", "valkey_url"]


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[str]:
    """Return a MySQL server's URL, for SQLAlchemy with aiomysql."""
    with server_url("MySQL", mysql_server) as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """Return a MariaDB server's URL, for SQLAlchemy with aiomysql."""
    with server_url("MariaDB", mariadb_server) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Return a Redis server's URL."""
    with server_url("Redis", redis_server) as url:
        yield url


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """Return a Valkey server's URL, for the Redis client."""
    with server_url("Valkey", valkey_server) as url:
        yield url


@pytest.fixture(scope="session")
def mongodb_url() -> Iterator[str]:
    """Return the URL of a server that speaks MongoDB's protocol."""
    with server_url("MongoDB", mongodb_server) as url:
        yield url


@contextmanager
def server_url(product: str, start: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """Yield the product's URL from the environment, else that of a server which `start` starts, else skip the test."""
    variable = f"ROSTRA_TEST_{product.upper()}_URL"
    given = os.environ.get(variable)
    if given:
        yield given
        return
    with ExitStack() as stack:
        try:
            url = stack.enter_context(start())
        except ServerNotFoundError:
            pytest.skip(f"no {product} server found (set {variable} or run hack/install-servers)")
        yield url
