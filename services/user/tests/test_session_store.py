import asyncio
import secrets
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from rostra_user.domain import AccountChange, Limits, Role
from rostra_user.errors import InvalidCredentialsError
from rostra_user.sql.accounts import SqlAccountStore
from rostra_user.sql.database import Database
from rostra_user.sql.sessions import SqlSessionStore
from rostra_user.testing.records import NOW, a_session, a_stored_user


@pytest.fixture
def store(database: Database) -> SqlSessionStore:
    return SqlSessionStore(database)


async def test_created_session_reads_back_to_the_microsecond(store: SqlSessionStore, database: Database) -> None:
    user = await a_stored_user(database)
    east = timezone(timedelta(hours=5))
    session = a_session(user.id, expire_time=(NOW + timedelta(microseconds=1)).astimezone(east))
    await store.create(session, password_hash="h1")
    assert await store.get(session.id) == session


async def test_session_after_a_change_of_the_password_is_refused(store: SqlSessionStore, database: Database) -> None:
    user = await a_stored_user(database)
    await SqlAccountStore(database).update(
        user.id, AccountChange(password_hash="h2"), password_hash="h1", keep_session_id=""
    )
    session = a_session(user.id)
    with pytest.raises(InvalidCredentialsError):
        await store.create(session, password_hash="h1")
    assert await store.get(session.id) is None


async def test_sign_ins_during_a_change_of_the_password_are_ended_by_it(
    store: SqlSessionStore, database: Database
) -> None:
    user = await a_stored_user(database)
    sessions = [a_session(user.id) for _ in range(8)]
    change = SqlAccountStore(database).update(
        user.id, AccountChange(password_hash="h2"), password_hash="h1", keep_session_id=""
    )
    sign_ins = [store.create(session, password_hash="h1") for session in sessions]
    await asyncio.gather(*sign_ins[:4], change, *sign_ins[4:], return_exceptions=True)
    assert [await store.get(session.id) for session in sessions] == [None] * 8


async def test_new_session_drops_the_users_expired_ones(store: SqlSessionStore, database: Database) -> None:
    user = await a_stored_user(database)
    expired = a_session(user.id, expire_time=NOW)
    await store.create(expired, password_hash="h1")
    await store.create(a_session(user.id), password_hash="h1")
    assert await store.get(expired.id) is None


async def test_of_forty_rotations_of_one_token_one_wins(store: SqlSessionStore, database: Database) -> None:
    user = await a_stored_user(database)
    session = a_session(user.id)
    await store.create(session, password_hash="h1")
    digests = [secrets.token_bytes(32) for _ in range(40)]
    expire_time = NOW + timedelta(days=31)
    wins = await asyncio.gather(
        *(
            store.rotate(session.id, old_digest=session.token_digest, new_digest=digest, expire_time=expire_time)
            for digest in digests
        )
    )
    assert wins.count(True) == 1
    winner = digests[wins.index(True)]
    assert await store.get(session.id) == replace(session, token_digest=winner, expire_time=expire_time)


async def test_live_session_stands_for_its_user(store: SqlSessionStore, database: Database) -> None:
    user = await a_stored_user(database)
    session = a_session(user.id)
    await store.create(session, password_hash="h1")
    identity = await store.identify(session.id, NOW)
    assert identity is not None
    assert (identity.user_id, identity.session_id, identity.api_key_id) == (user.id, session.id, "")
    assert (identity.role, identity.user_limits, identity.key_limits) == (Role.USER, user.plan_limits, None)
    assert user.plan_limits != Limits()


async def test_ended_or_expired_session_stands_for_nobody(store: SqlSessionStore, database: Database) -> None:
    user = await a_stored_user(database)
    session = a_session(user.id)
    await store.create(session, password_hash="h1")
    assert await store.identify(session.id, session.expire_time) is None
    assert await store.delete(session.id)
    assert not await store.delete(session.id)
    assert await store.identify(session.id, NOW) is None
