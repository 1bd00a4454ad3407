"""Credentials that are changed while the service runs."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from rostra_kit.errors import UnavailableError
from rostra_user.settings import DatabaseSettings
from rostra_user.sql.database import Database
from rostra_user.sql.engine import open_engine

SERVERS = [pytest.param(name, marks=pytest.mark.integration) for name in ("mysql", "mariadb")]
pytestmark = pytest.mark.parametrize("migrated_database", SERVERS, indirect=True)

CLIENTS = 4


class Login:
    """A user of the server of its own, who may log in and no more; what clients know stands in files."""

    def __init__(self, administrator: AsyncEngine, folder: Path) -> None:
        self._administrator = administrator
        self.user_file, self.password_file = folder / "user", folder / "password"
        self.name = f"test_{secrets.token_hex(4)}"
        self.password = ""

    async def create(self) -> None:
        """Create the user with a new password, and tell the files."""
        await self._run(f"CREATE USER '{self.name}'@'%' IDENTIFIED BY '{self._new_password()}'")
        self.tell()

    async def rotate(self) -> None:
        """Change the password at the server alone."""
        await self._run(f"ALTER USER '{self.name}'@'%' IDENTIFIED BY '{self._new_password()}'")

    async def disconnect(self) -> None:
        """Kill all connections of the user."""
        async with self._administrator.connect() as connection:
            found = await connection.execute(
                text("SELECT id FROM information_schema.processlist WHERE user = :user"), {"user": self.name}
            )
            for number in found.scalars().all():
                await connection.execute(text(f"KILL {number}"))

    def tell(self) -> None:
        """Write what is true now into the files, as a mounted Secret does: with a newline if it likes."""
        self.user_file.write_text(self.name)
        self.password_file.write_text(f"{self.password}\n")

    async def _run(self, statement: str) -> None:
        async with self._administrator.begin() as connection:
            await connection.execute(text(statement))

    def _new_password(self) -> str:
        self.password = secrets.token_urlsafe(16)
        return self.password


@pytest.fixture
async def login(migrated_database: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Login]:
    async with open_engine(migrated_database) as administrator:
        login = Login(administrator, tmp_path)
        await login.create()
        yield login


def by_files(settings: DatabaseSettings, login: Login) -> DatabaseSettings:
    """Return the settings without credentials in the URL."""
    url = make_url(settings.url.get_secret_value()).set(username="nobody", password="", database="")
    files = {"user_file": login.user_file, "password_file": login.password_file}
    return settings.model_copy(update={"url": SecretStr(url.render_as_string(hide_password=False)), **files})


async def who(connection: AsyncConnection) -> str:
    await asyncio.sleep(0.01)  # so that each client has a connection of its own
    return str(await connection.scalar(text("SELECT CURRENT_USER()")))


async def test_rotated_password_is_taken_up_unnoticed(migrated_database: DatabaseSettings, login: Login) -> None:
    async with open_engine(by_files(migrated_database, login)) as engine:
        database = Database(engine)
        await asyncio.gather(*(database.read(who) for _ in range(CLIENTS)))
        await login.rotate()
        assert await database.read(who) == f"{login.name}@%"  # connections outlive the password
        login.tell()
        await login.disconnect()
        assert set(await asyncio.gather(*(database.read(who) for _ in range(CLIENTS)))) == {f"{login.name}@%"}


async def test_other_user_of_the_file_is_taken_up(
    migrated_database: DatabaseSettings, login: Login, tmp_path: Path
) -> None:
    async with open_engine(by_files(migrated_database, login)) as engine:
        database = Database(engine)
        await database.read(who)
        before = login.name
        login.name = f"{before}_b"
        await login.create()
        # Recycled, as connections are at their age.
        await engine.dispose()
        assert await database.read(who) == f"{before}_b@%"


async def test_password_of_the_url_still_works(migrated_database: DatabaseSettings, login: Login) -> None:
    url = make_url(migrated_database.url.get_secret_value()).set(
        username=login.name, password=login.password, database=""
    )
    settings = migrated_database.model_copy(update={"url": SecretStr(url.render_as_string(hide_password=False))})
    async with open_engine(settings) as engine:
        assert await Database(engine).read(who) == f"{login.name}@%"


async def test_file_that_is_wrong_or_gone_is_an_outage_with_its_reason_in_the_log(
    migrated_database: DatabaseSettings, login: Login, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_engine(by_files(migrated_database, login)) as engine:
        database = Database(engine)
        with caplog.at_level(logging.WARNING):
            login.password_file.write_text("wrong-password")
            with pytest.raises(UnavailableError):
                await database.read(who)
            login.password_file.unlink()
            with pytest.raises(UnavailableError):
                await database.read(who)
        assert "Access denied" in caplog.text
        assert "No such file" in caplog.text
        assert "wrong-password" not in caplog.text
        login.tell()
        assert await database.read(who) == f"{login.name}@%"
