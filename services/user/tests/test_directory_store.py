import asyncio
import secrets
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select

from rostra_kit.ids import new_id
from rostra_user.domain import AccessChange, AuditFilter, LimitOverride, Limits, Page, Plan, Role
from rostra_user.errors import InvalidCredentialsError, PlanInUseError, PlanNotFoundError, UserNotFoundError
from rostra_user.sql.accounts import SqlAccountStore
from rostra_user.sql.api_keys import SqlApiKeyStore
from rostra_user.sql.audit_events import SqlAuditStore
from rostra_user.sql.database import Database
from rostra_user.sql.directory import SqlUserDirectory
from rostra_user.sql.plans import SqlPlanStore
from rostra_user.sql.sessions import SqlSessionStore
from rostra_user.sql.tables import limit_overrides
from rostra_user.testing.records import HASH, NOW, a_session, a_stored_user, an_api_key, an_email
from services.user.tests.test_audit_store import an_audit_event


@pytest.fixture
def directory(database: Database) -> SqlUserDirectory:
    return SqlUserDirectory(database)


@pytest.fixture
def plans(database: Database) -> SqlPlanStore:
    return SqlPlanStore(database)


def told(user_id: str, *_states: object):
    return an_audit_event(user_id)


async def a_plan(plans: SqlPlanStore, **limits: int) -> str:
    name = new_id("plan")
    assert await plans.put(Plan(name=name, limits=Limits(**limits)), describe=partial(told, name))
    return name


async def test_accounts_are_found_by_the_beginning_of_their_address(
    directory: SqlUserDirectory, database: Database
) -> None:
    prefix = new_id("p")
    users = [await a_stored_user(database, email=an_email(f"{prefix}{text}@x.example")) for text in ("a", "_", "é")]
    await a_stored_user(database)
    found, has_more = await directory.list(Page(ascending=True), key_prefix=prefix)
    assert (sorted(user.id for user in found), has_more) == (sorted(user.id for user in users), False)
    assert [user.id for user in (await directory.list(Page(), key_prefix=f"{prefix}_"))[0]] == [users[1].id]
    assert await directory.find(users[2].email) == users[2]
    assert await directory.find("nobody@x.example") is None
    first, has_more = await directory.list(Page(size=2), key_prefix=prefix)
    assert (len(first), has_more) == (2, True)


async def test_change_is_stored_and_told_once(directory: SqlUserDirectory, database: Database) -> None:
    user = await a_stored_user(database)
    plan = await a_plan(SqlPlanStore(database), requests_per_minute=7)
    change = AccessChange(role=Role.ADMIN, plan=plan)
    for _ in range(2):
        before, after = await directory.change(user.id, change, describe=partial(told, user.id))
    assert before == after
    assert (after.role, after.plan, after.plan_limits, after.disabled) == (
        Role.ADMIN,
        plan,
        Limits(requests_per_minute=7),
        False,
    )
    events, _ = await SqlAuditStore(database).list(AuditFilter(user_id=user.id), Page())
    assert len(events) == 1


async def test_disabled_account_has_no_live_credential(directory: SqlUserDirectory, database: Database) -> None:
    sessions, keys = SqlSessionStore(database), SqlApiKeyStore(database)
    user = await a_stored_user(database)
    session, digest = a_session(user.id), user.id.encode()[:32]
    await sessions.create(session, password_hash="h1")
    await keys.create(an_api_key(user.id), secret_digest=digest, live_limit=5)
    await directory.change(user.id, AccessChange(disabled=True), describe=partial(told, user.id))
    assert await sessions.get(session.id) is None
    assert await keys.identify(digest, NOW) is None
    with pytest.raises(InvalidCredentialsError):
        await sessions.create(a_session(user.id), password_hash="h1")
    await directory.change(user.id, AccessChange(disabled=False), describe=partial(told, user.id))
    assert await keys.identify(digest, NOW) is not None


async def test_unknown_account_or_plan_is_refused(directory: SqlUserDirectory, database: Database) -> None:
    user = await a_stored_user(database)
    for user_id, error in (("user_none", UserNotFoundError), (user.id, PlanNotFoundError)):
        with pytest.raises(error):
            await directory.change(user_id, AccessChange(plan="none"), describe=partial(told, user_id))
    with pytest.raises(UserNotFoundError):
        await directory.get("user_none")


async def test_plan_is_replaced_whole(plans: SqlPlanStore) -> None:
    name = await a_plan(plans, requests_per_minute=7, budget_micros_per_month=2**40)
    replaced = Plan(name=name, limits=Limits(tokens_per_minute=9))
    assert await plans.put(replaced, describe=partial(told, name))
    assert not await plans.put(replaced, describe=partial(told, name))
    assert replaced in (await plans.list(Page(size=100)))[0]


async def test_plan_put_at_once_is_there_once(plans: SqlPlanStore) -> None:
    name = new_id("plan")
    puts = (
        plans.put(Plan(name=name, limits=Limits(requests_per_minute=n + 1)), describe=partial(told, name))
        for n in range(6)
    )
    await asyncio.gather(*puts)
    assert [plan.name for plan in (await plans.list(Page(size=100)))[0]].count(name) == 1


async def test_plan_with_users_stays(plans: SqlPlanStore, directory: SqlUserDirectory, database: Database) -> None:
    name, user = await a_plan(plans), await a_stored_user(database)
    await directory.change(user.id, AccessChange(plan=name), describe=partial(told, user.id))
    with pytest.raises(PlanInUseError):
        await plans.delete(name, audit=told(user.id))
    await directory.change(user.id, AccessChange(plan="default"), describe=partial(told, user.id))
    await plans.delete(name, audit=told(user.id))
    with pytest.raises(PlanNotFoundError):
        await plans.delete(name, audit=told(user.id))


async def test_override_is_in_place_of_the_plans_limits_until_its_end(
    directory: SqlUserDirectory, database: Database
) -> None:
    plan = await a_plan(SqlPlanStore(database), requests_per_minute=7, tokens_per_minute=100)
    user = await a_stored_user(database)
    await directory.change(user.id, AccessChange(plan=plan), describe=partial(told, user.id))
    sessions, keys, end = SqlSessionStore(database), SqlApiKeyStore(database), NOW + timedelta(minutes=1)
    session, key, digest = a_session(user.id), an_api_key(user.id), secrets.token_bytes(32)
    await sessions.create(session, password_hash=HASH)
    await keys.create(key, secret_digest=digest, live_limit=5)
    for requests in (1, 2000):  # the second is in place of the first
        override = LimitOverride(limits=Limits(requests_per_minute=requests, concurrent_streams=3), end_time=end)
        change = AccessChange(limit_override=override)
        _, after = await directory.change(user.id, change, describe=partial(told, user.id))
        assert after.limit_override == override
    during = Limits(requests_per_minute=2000, tokens_per_minute=100, concurrent_streams=3)
    for moment, limits, until in (
        (end - timedelta(microseconds=1), during, end),
        (end, Limits(requests_per_minute=7, tokens_per_minute=100), None),
    ):
        for identity in (await sessions.identify(session.id, moment), await keys.identify(digest, moment)):
            assert identity is not None
            assert (identity.user_limits, identity.limits_end_time) == (limits, until)
    _, after = await directory.change(user.id, AccessChange(ends_override=True), describe=partial(told, user.id))
    assert after.limit_override is None
    assert (await sessions.identify(session.id, NOW)).user_limits.requests_per_minute == 7


async def test_override_goes_with_its_account(directory: SqlUserDirectory, database: Database) -> None:
    user = await a_stored_user(database)
    override = LimitOverride(limits=Limits(requests_per_minute=1), end_time=NOW + timedelta(days=1))
    await directory.change(user.id, AccessChange(limit_override=override), describe=partial(told, user.id))
    assert await SqlAccountStore(database).delete(user.id, NOW)
    left = select(func.count()).select_from(limit_overrides).where(limit_overrides.c.user_id == user.id)
    assert (await database.row(left))["count_1"] == 0
