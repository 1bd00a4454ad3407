"""Each real server does, through the driver that the product uses, what the stores count on."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, UpdateOne
from pymongo.errors import DuplicateKeyError, OperationFailure
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from support.server_process import ServerNotFoundError, ServerStartError, find_server, running, wait_until_ready
from support.servers import fresh_database, mariadb_url, mongodb_url, mysql_url, redis_url, server_url, valkey_url

__all__ = ["mariadb_url", "mongodb_url", "mysql_url", "redis_url", "valkey_url"]

Documents = AsyncMongoClient[dict[str, Any]]


@pytest.fixture(params=["mysql_url", "mariadb_url"])
def sql_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with fresh_database(request.getfixturevalue(request.param)) as url:
        yield url


@pytest.fixture(params=["redis_url", "valkey_url"])
def key_value_server_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def document_url(mongodb_url: str) -> Iterator[str]:
    with fresh_database(mongodb_url) as url:
        yield url


@pytest.mark.integration
async def test_sql_server_keeps_utf8_and_enforces_keys(sql_url: str) -> None:
    engine = create_async_engine(sql_url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE owner (id INT PRIMARY KEY, name VARCHAR(80)) ENGINE=InnoDB"))
        await connection.execute(
            text("CREATE TABLE thing (owner_id INT, FOREIGN KEY (owner_id) REFERENCES owner (id))")
        )
        await connection.execute(text("INSERT INTO owner VALUES (1, :name)"), {"name": "Zoë 🚢"})
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT name FROM owner")) == "Zoë 🚢"
        with pytest.raises(IntegrityError):
            await connection.execute(text("INSERT INTO thing VALUES (2)"))
    await engine.dispose()


@pytest.mark.integration
async def test_dropped_sql_database_is_gone(mysql_url: str) -> None:
    with fresh_database(mysql_url) as url:
        pass
    engine = create_async_engine(url)
    with pytest.raises(OperationalError, match="Unknown database"):
        await engine.connect()
    await engine.dispose()


@pytest.mark.integration
async def test_each_sql_product_is_itself(mysql_url: str, mariadb_url: str) -> None:
    for url, is_mariadb in [(mysql_url, False), (mariadb_url, True)]:
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            assert ("MariaDB" in str(await connection.scalar(text("SELECT VERSION()")))) == is_mariadb
        await engine.dispose()


@pytest.mark.integration
async def test_key_value_server_runs_scripts_and_streams(key_value_server_url: str) -> None:
    with fresh_database(key_value_server_url) as url:
        async with Redis.from_url(url, decode_responses=True) as client:
            taken = await client.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", 1, "tokens", "5")
            entry = await client.xadd("events", {"text": "hello"})
            assert taken == 5
            assert await client.xrange("events") == [(entry, {"text": "hello"})]


@pytest.mark.integration
async def test_fresh_key_value_databases_are_apart_and_emptied(key_value_server_url: str) -> None:
    with fresh_database(key_value_server_url) as first, fresh_database(key_value_server_url) as second:
        async with Redis.from_url(first) as client, Redis.from_url(second) as other:
            await client.set("key", "value")
            assert await other.dbsize() == 0
    async with Redis.from_url(first) as client:
        assert await client.dbsize() == 0


@pytest.mark.integration
async def test_find_one_and_update_returns_the_document_before(document_url: str) -> None:
    async with Documents(document_url) as client:
        counters = client.get_default_database()["counters"]
        await counters.insert_one({"_id": "c", "next": 7})
        before = await counters.find_one_and_update({"_id": "c"}, {"$inc": {"next": 3}})
        assert before == {"_id": "c", "next": 7}
        assert await counters.find_one({"_id": "c"}) == {"_id": "c", "next": 10}


@pytest.mark.integration
async def test_bulk_write_updates_many_documents(document_url: str) -> None:
    async with Documents(document_url) as client:
        items = client.get_default_database()["items"]
        await items.insert_many([{"_id": number, "state": "open"} for number in range(3)])
        result = await items.bulk_write([UpdateOne({"_id": n}, {"$set": {"state": "done"}}) for n in range(2)])
        assert result.modified_count == 2
        assert await items.count_documents({"state": "done"}) == 2


@pytest.mark.integration
async def test_compound_index_serves_a_sorted_page(document_url: str) -> None:
    async with Documents(document_url) as client:
        items = client.get_default_database()["items"]
        keys = [("owner", ASCENDING), ("time", DESCENDING), ("_id", DESCENDING)]
        await items.create_index(keys, name="page")
        await items.insert_many([{"_id": n, "owner": n % 2, "time": n // 4} for n in range(40)])
        page = items.find({"owner": 0, "time": {"$lt": 5}}).sort(keys[1:]).limit(3)
        assert [item["_id"] async for item in page] == [18, 16, 14]
        assert (await items.index_information())["page"]["key"] == keys


@pytest.mark.integration
async def test_unique_index_refuses_a_second_document(document_url: str) -> None:
    async with Documents(document_url) as client:
        items = client.get_default_database()["items"]
        await items.create_index([("conversation", ASCENDING), ("sequence", ASCENDING)], unique=True)
        await items.insert_one({"conversation": "a", "sequence": 1})
        with pytest.raises(DuplicateKeyError):
            await items.insert_one({"conversation": "a", "sequence": 1})


@pytest.mark.integration
async def test_wrong_password_is_refused(mongodb_url: str) -> None:
    user, _, address = mongodb_url.partition("@")
    async with Documents(f"{user}x@{address}") as client:
        with pytest.raises(OperationFailure, match="Authentication failed"):
            await client["any"]["items"].find_one()


def test_url_from_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROSTRA_TEST_REDIS_URL", "redis://elsewhere/0")
    with server_url("Redis", _absent_server) as url:
        assert url == "redis://elsewhere/0"


def test_absent_server_skips_and_says_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROSTRA_TEST_MYSQL_URL", raising=False)
    reason = r"no MySQL server found \(set ROSTRA_TEST_MYSQL_URL or run hack/install-servers\)"
    with pytest.raises(pytest.skip.Exception, match=reason), server_url("MySQL", _absent_server):
        pass


def test_program_of_another_product_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, version in [("one", "10.11-MariaDB"), ("two", "9.7.4 (Debian)")]:
        program = tmp_path / folder / "rostra-mysqld"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho '{version}'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "one"), str(tmp_path / "two")]))
    assert find_server("rostra-mysqld", is_wanted=lambda version: "MariaDB" not in version).parent.name == "two"
    with pytest.raises(ServerNotFoundError):
        find_server("rostra-mysqld", is_wanted=lambda version: "Percona" in version)


def test_process_is_gone_after_use(tmp_path: Path) -> None:
    with running([sys.executable, "-c", "import signal; signal.pause()"], log=tmp_path / "log") as process:
        assert process.poll() is None
    assert process.returncode is not None


def test_server_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", "raise SystemExit('no space left')"]
    with running(command, log=log) as process, pytest.raises(ServerStartError, match="code 1\nno space left"):
        wait_until_ready(process, _refuse, unless=ConnectionRefusedError, log=log)


@contextmanager
def _absent_server() -> Iterator[str]:
    raise ServerNotFoundError
    yield ""


def _refuse() -> None:
    raise ConnectionRefusedError
