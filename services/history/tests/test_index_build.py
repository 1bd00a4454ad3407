"""Indexes are created beside all calls, for as long as the server takes."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from pymongo.uri_parser import parse_uri

from rostra_history.documentdb_store import open_documentdb_store
from rostra_history.documentdb_store.index_build import IndexBuild
from rostra_history.settings import DatabaseSettings
from rostra_kit.errors import UnavailableError
from support.fault_proxy import FaultProxy

SILENCE_SECONDS, ANSWER_SECONDS = 0.1, 0.2


class Creation:
    """What creates the indexes: it ends, or fails, when it is told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.ends: asyncio.Future[None] = asyncio.Future()

    async def __call__(self) -> None:
        self.begun += 1
        await self.ends


@pytest.fixture
async def creation() -> Creation:
    return Creation()


@pytest.fixture
async def build(creation: Creation) -> AsyncIterator[IndexBuild]:
    build = IndexBuild(creation, wait_seconds=0.05)
    yield build
    await build.stop()


async def test_long_creation_is_begun_once_and_waited_for_by_no_call(creation: Creation, build: IndexBuild) -> None:
    for _ in range(3):
        with pytest.raises(UnavailableError, match="being created"):
            await build.ended()
    creation.ends.set_result(None)
    await build._task
    for _ in range(2):
        await build.ended()
    assert creation.begun == 1


async def test_creation_that_failed_is_begun_again(creation: Creation) -> None:
    build = IndexBuild(creation, wait_seconds=60)
    creation.ends.set_exception(UnavailableError("It is away."))
    with pytest.raises(UnavailableError, match="away"):
        await build.ended()
    creation.ends = asyncio.Future()
    creation.ends.set_result(None)
    await build.ended()
    assert creation.begun == 2


async def test_creation_under_way_ends_with_the_store(creation: Creation, build: IndexBuild) -> None:
    with pytest.raises(UnavailableError):
        await build.ended()
    await build.stop()
    assert creation.ends.cancelled()


@pytest.mark.integration
async def test_index_that_takes_longer_than_a_call_may_is_created(documentdb_settings: DatabaseSettings) -> None:
    url = documentdb_settings.url.get_secret_value()
    [(host, port)] = parse_uri(url)["nodelist"]
    async with FaultProxy(lambda: port).open() as proxy:
        proxy.slow_down(ANSWER_SECONDS)
        slow = url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}")
        settings = DatabaseSettings(url=SecretStr(slow), silence_seconds=SILENCE_SECONDS, timeout_seconds=20)
        async with open_documentdb_store(settings) as store, asyncio.timeout(60):
            while True:
                try:
                    await store._index_build.ended()
                    break
                except UnavailableError as error:
                    assert "being created" in str(error)  # noqa: PT017 - it is told as often as one asks
            with pytest.raises(UnavailableError):
                await store.ping()
