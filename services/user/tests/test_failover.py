"""The database behind one address is cut off, falls silent, and comes back on another machine."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from rostra_kit.errors import UnavailableError
from rostra_kit.ports import free_port
from rostra_user.settings import DatabaseSettings
from rostra_user.sql.database import Database
from rostra_user.sql.engine import open_engine
from support.fault_proxy import FaultProxy

SERVERS = [pytest.param(name, marks=pytest.mark.integration) for name in ("mysql", "mariadb")]
pytestmark = pytest.mark.parametrize("migrated_database", SERVERS, indirect=True)

CLIENTS = 4
CONNECT_SECONDS, READ_SECONDS = 0.5, 1.5
# What a busy machine may add.
GRACE_SECONDS = 1.5


class Address(FaultProxy):
    """What clients connect to: a port of its own, and whatever server is behind it at the moment."""

    def __init__(self, target_port: int) -> None:
        super().__init__(lambda: self.target_port)
        self.target_port = target_port


Scenario = Callable[[Database, Address], Awaitable[None]]


def play(settings: DatabaseSettings, scenario: Scenario) -> None:
    """Play the scenario on uvloop, as the service runs."""

    async def run() -> None:
        url = make_url(settings.url.get_secret_value())
        assert url.port is not None
        address = Address(url.port)
        async with address.open():
            behind = DatabaseSettings(
                url=SecretStr(url.set(host="127.0.0.1", port=address.port).render_as_string(hide_password=False)),
                connect_timeout_seconds=CONNECT_SECONDS,
                lock_timeout_seconds=1.0,
                read_timeout_seconds=READ_SECONDS,
            )
            async with open_engine(behind) as engine:
                await scenario(Database(engine), address)

    uvloop.run(run())


async def connection_id(connection: AsyncConnection) -> int:
    await asyncio.sleep(0.01)  # so that each client has a connection of its own
    return int(await connection.scalar(text("SELECT CONNECTION_ID()")))


async def everybody(database: Database) -> list[int | BaseException]:
    """Have several clients read at once, and return what each got."""
    return await asyncio.gather(*(database.read(connection_id) for _ in range(CLIENTS)), return_exceptions=True)


async def assert_all_fail_within(database: Database, seconds: float) -> None:
    started = time.monotonic()
    assert {type(outcome) for outcome in await everybody(database)} == {UnavailableError}
    assert time.monotonic() - started < seconds + GRACE_SECONDS


def test_reset_connections_are_replaced_unnoticed(migrated_database: DatabaseSettings) -> None:
    async def scenario(database: Database, address: Address) -> None:
        before = await everybody(database)
        address.cut()
        after = await everybody(database)
        assert all(isinstance(outcome, int) for outcome in after)
        assert not set(before) & set(after)

    play(migrated_database, scenario)


def test_black_hole_is_noticed_in_time_and_forgotten_when_it_ends(migrated_database: DatabaseSettings) -> None:
    async def scenario(database: Database, address: Address) -> None:
        before = await everybody(database)
        address.fall_silent()
        await assert_all_fail_within(database, 2 * CONNECT_SECONDS)
        await assert_all_fail_within(database, CONNECT_SECONDS)
        await address.heal()
        after = await everybody(database)
        assert all(isinstance(outcome, int) for outcome in after)
        assert not set(before) & set(after)

    play(migrated_database, scenario)


def test_statement_under_way_ends_when_nobody_answers(migrated_database: DatabaseSettings) -> None:
    async def scenario(database: Database, address: Address) -> None:
        async def fall_silent(connection: AsyncConnection) -> None:
            await connection_id(connection)
            address.fall_silent()
            await connection_id(connection)

        for run in (database.read, database.write):
            started = time.monotonic()
            with pytest.raises(UnavailableError):
                await run(fall_silent)
            assert READ_SECONDS <= time.monotonic() - started < READ_SECONDS + GRACE_SECONDS
            await address.heal()
            assert await database.read(connection_id)

    play(migrated_database, scenario)


def test_slow_statement_is_not_taken_for_a_black_hole(migrated_database: DatabaseSettings) -> None:
    async def scenario(database: Database, _address: Address) -> None:
        async def wait(connection: AsyncConnection) -> None:
            for _ in range(4):
                await connection.execute(text(f"SELECT SLEEP({READ_SECONDS / 3})"))

        await database.read(wait)

    play(migrated_database, scenario)


def test_server_that_takes_the_address_over_is_found(migrated_database: DatabaseSettings) -> None:
    async def scenario(database: Database, address: Address) -> None:
        home, address.target_port = address.target_port, free_port()
        address.cut()
        await assert_all_fail_within(database, CONNECT_SECONDS)
        address.target_port = home
        assert all(isinstance(outcome, int) for outcome in await everybody(database))

    play(migrated_database, scenario)
