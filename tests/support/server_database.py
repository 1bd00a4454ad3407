"""Give each test a database of its own on a server that many tests share."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from pymongo import MongoClient
from redis import Redis
from sqlalchemy import NullPool, create_engine, make_url, text


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """Yield the URL of a new empty database on the server of that URL, and drop it afterwards.

    The URL's scheme says which kind: `mysql+…`, `mongodb`, or `redis` (one of its numbered databases).
    """
    scheme = urlsplit(server_url).scheme
    kinds = {"mongodb": _mongodb_database, "redis": _redis_database, "rediss": _redis_database}
    with kinds.get(scheme, _sql_database)(server_url) as url:
        yield url


@contextmanager
def _sql_database(server_url: str) -> Iterator[str]:
    url, name = make_url(server_url), _new_name()
    engine = create_engine(url.set(drivername="mysql+pymysql"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            # A test that left a transaction open shall fail its own run here, not hang everyone's.
            connection.execute(text("SET SESSION lock_wait_timeout = 10"))
            connection.execute(text(f"DROP DATABASE {name}"))


@contextmanager
def _mongodb_database(server_url: str) -> Iterator[str]:
    parts, name = urlsplit(server_url), _new_name()
    # With a database in its path, a URL would look the user up there and no longer in "admin".
    query = parts.query if "authSource=" in parts.query else "&".join(filter(None, [parts.query, "authSource=admin"]))
    url = parts._replace(path=f"/{name}", query=query if parts.username else parts.query).geturl()
    try:
        yield url
    finally:
        client: MongoClient[dict[str, Any]] = MongoClient(url)
        with client:
            client.drop_database(name)


@contextmanager
def _redis_database(server_url: str) -> Iterator[str]:
    with Redis.from_url(server_url) as server:
        number = _claim_number(server, server_url)
        url = urlsplit(server_url)._replace(path=f"/{number}").geturl()
        try:
            yield url
        finally:
            with Redis.from_url(url) as database:
                database.flushdb()
            server.delete(_claim(number))


def _claim_number(server: Redis, server_url: str) -> int:
    """Return the number of an empty database that no other test has claimed; claims stand in the URL's own database."""
    for number in range(1, int(server.config_get("databases")["databases"] or 0)):
        if not server.set(_claim(number), "1", nx=True, ex=3600):
            continue
        with Redis.from_url(urlsplit(server_url)._replace(path=f"/{number}").geturl()) as database:
            if database.dbsize() == 0:
                return number
    raise LookupError("every numbered database of this Redis is in use")


def _claim(number: int) -> str:
    return f"rostra-test:database:{number}"


def _new_name() -> str:
    return f"rostra_test_{secrets.token_hex(6)}"
