import pytest

from rostra_kit.redis import RedisSettings
from rostra_user.admin import parse, run
from rostra_user.errors import PlanInUseError
from rostra_user.settings import CommandSettings, Settings
from rostra_user.sql.database import Database
from rostra_user.sql.directory import SqlUserDirectory
from rostra_user.testing.records import a_stored_user


@pytest.fixture
def command_settings(settings: Settings) -> CommandSettings:
    return CommandSettings(database=settings.database, redis=RedisSettings(url=settings.redis.url))


async def test_plans_are_set_assigned_and_deleted(command_settings: CommandSettings, sqlite_database: Database) -> None:
    user = await a_stored_user(sqlite_database)

    async def administer(*words: str) -> str:
        return await run(parse(words), command_settings)

    put = await administer("plan", "set", "team", "--requests-per-minute", "7")
    assert put.startswith("team: requests_per_minute=7, tokens_per_minute=-")
    assert await administer("plan", "assign", user.email, "team") == f"{user.email}: team"
    assert [line.partition(":")[0] for line in (await administer("plan", "list")).splitlines()] == ["default", "team"]
    with pytest.raises(PlanInUseError):
        await administer("plan", "delete", "team")
    await administer("plan", "assign", user.email, "default")
    assert await administer("plan", "delete", "team") == "team: deleted"
    assert await administer("disable", user.email) == f"{user.email}: user, disabled"
    assert (await SqlUserDirectory(sqlite_database).get(user.id)).disabled
