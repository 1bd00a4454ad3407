import pytest

from rostra_kit.errors import InvalidArgumentError
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


async def test_limits_are_put_in_place_for_a_time_and_end(
    command_settings: CommandSettings, sqlite_database: Database
) -> None:
    user = await a_stored_user(sqlite_database)

    async def administer(*words: str) -> str:
        return await run(parse(words), command_settings)

    put = ("limits", "set", user.email, "--until", "2100-01-01T08:00+01:00", "--requests-per-minute", "9000")
    assert await administer(*put) == (
        f"{user.email}: requests_per_minute=9000, tokens_per_minute=-, concurrent_streams=-, "
        "budget_micros_per_month=-, until 2100-01-01T07:00:00+00:00"
    )
    with pytest.raises(InvalidArgumentError, match="in the future"):
        await administer(*put[:4], "2026-01-01", *put[5:])
    with pytest.raises(InvalidArgumentError, match="at least one"):
        await administer(*put[:5])
    assert await administer("limits", "end", user.email) == f"{user.email}: the limits of default"
