from dataclasses import replace
from datetime import timedelta

import pytest

from rostra_kit.ids import new_id
from rostra_user.domain import AccountChange, AuditEvent, AuditFilter, AuditKind, AuditOutcome, Page
from rostra_user.errors import ApiKeyNotFoundError, EmailTakenError, UnknownCursorError
from rostra_user.sql.accounts import SqlAccountStore
from rostra_user.sql.api_keys import SqlApiKeyStore
from rostra_user.sql.audit_events import SqlAuditStore
from rostra_user.sql.database import Database
from rostra_user.sql.sessions import SqlSessionStore
from rostra_user.testing.records import NOW, a_session, a_stored_user, an_account, an_api_key, an_email

EVERYTHING = Page(size=100, ascending=True)


@pytest.fixture
def store(database: Database) -> SqlAuditStore:
    return SqlAuditStore(database)


def an_audit_event(user_id: str, **changes) -> AuditEvent:
    event = AuditEvent(
        id=new_id("audit"),
        create_time=NOW,
        event=AuditKind.LOGGED_IN,
        outcome=AuditOutcome.OK,
        user_id=user_id,
        actor_id=user_id,
        api_key_id="key_1",
        session_id="sess_1",
        target="sess_2",
        detail="role: user -> admin",
        email_digest=b"\1" * 32,
        address="192.0.2.1",
        request_id="req_1",
    )
    return replace(event, **changes)


async def events_of(store: SqlAuditStore, user_id: str) -> list[AuditEvent]:
    return list((await store.list(AuditFilter(user_id=user_id), EVERYTHING))[0])


async def test_event_reads_back_whole(store: SqlAuditStore) -> None:
    event, stranger = an_audit_event(new_id("user")), an_audit_event("", email_digest=None)
    for stored in (event, stranger):
        await store.append(stored)
    assert await events_of(store, event.user_id) == [event]
    assert stranger in (await store.list(AuditFilter(event="logged_in"), Page(size=100)))[0]


async def test_filters_are_all_heeded(store: SqlAuditStore) -> None:
    user_id = new_id("user")
    events = [
        an_audit_event(user_id, id=f"audit_{user_id}_{n}", create_time=NOW + timedelta(seconds=n)) for n in range(4)
    ]
    events[2] = replace(events[2], event=AuditKind.LOGIN_FAILED)
    for event in events:
        await store.append(event)
    which = AuditFilter(
        user_id=user_id, event="logged_in", start=NOW + timedelta(seconds=1), end=NOW + timedelta(seconds=9)
    )
    assert (await store.list(which, EVERYTHING))[0] == [events[1], events[3]]
    assert (await store.list(replace(which, end=NOW + timedelta(seconds=3)), EVERYTHING))[0] == [events[1]]


async def test_pages_follow_each_other_newest_first(store: SqlAuditStore) -> None:
    user_id = new_id("user")
    events = [an_audit_event(user_id, id=f"audit_{user_id}_{n}") for n in range(3)]
    for event in events:
        await store.append(event)
    which = AuditFilter(user_id=user_id)
    assert await store.list(which, Page(size=2)) == ([events[2], events[1]], True)
    assert await store.list(which, Page(size=2, after=events[1].id)) == ([events[0]], False)
    with pytest.raises(UnknownCursorError):
        await store.list(which, Page(after="audit_none"))


async def test_change_and_its_event_are_one_transaction(store: SqlAuditStore, database: Database) -> None:
    accounts, sessions, keys = SqlAccountStore(database), SqlSessionStore(database), SqlApiKeyStore(database)
    account = an_account()
    told = [an_audit_event(account.user_id, target=str(n)) for n in range(6)]
    await accounts.create(account, a_session(account.user_id), audit=told[0])
    session, api_key = a_session(account.user_id), an_api_key(account.user_id)
    await sessions.create(session, password_hash="h1", audit=told[1])
    await sessions.delete(session.id, audit=told[2])
    await keys.create(api_key, secret_digest=account.user_id.encode()[:32], live_limit=5, audit=told[3])
    await keys.delete(account.user_id, api_key.id, audit=told[4])
    change = AccountChange(password_hash="h2")
    await accounts.update(account.user_id, change, password_hash="h1", keep_session_id="", audit=[told[5]])
    deleted = an_audit_event(account.user_id, target="6")
    await accounts.delete(account.user_id, NOW, audit=deleted)
    found = await events_of(store, account.user_id)
    assert sorted(event.target for event in found) == ["0", "1", "2", "3", "4", "5", "6"]


async def test_what_did_not_happen_is_not_told(store: SqlAuditStore, database: Database) -> None:
    accounts, sessions, keys = SqlAccountStore(database), SqlSessionStore(database), SqlApiKeyStore(database)
    user = await a_stored_user(database)
    event = an_audit_event(new_id("user"))
    twin = an_account(email=an_email(user.email))
    with pytest.raises(EmailTakenError):
        await accounts.create(twin, a_session(twin.user_id), audit=event)
    with pytest.raises(ApiKeyNotFoundError):
        await keys.delete(user.id, "key_none", audit=event)
    assert not await sessions.delete("sess_none", audit=event)
    assert not await accounts.delete("user_none", NOW, audit=event)
    assert await events_of(store, event.user_id) == []


async def test_erased_user_is_a_name_without_addresses(store: SqlAuditStore) -> None:
    gone, admin = new_id("user"), new_id("user")
    own, done_by_them = an_audit_event(gone), an_audit_event(admin, actor_id=gone)
    others = an_audit_event(admin)
    for event in (own, done_by_them, others):
        await store.append(event)
    for _ in range(2):
        await store.pseudonymise(gone)
    assert await events_of(store, gone) == [replace(own, address="", email_digest=None)]
    found = await events_of(store, admin)
    assert replace(done_by_them, address="", email_digest=None) in found
    assert others in found


async def test_old_events_end(store: SqlAuditStore) -> None:
    user_id = new_id("user")
    old = an_audit_event(user_id, create_time=NOW - timedelta(days=4000))
    young = an_audit_event(user_id, create_time=NOW - timedelta(days=3999))
    for event in (old, young):
        await store.append(event)
    await store.expire(NOW - timedelta(days=3999))
    assert await events_of(store, user_id) == [young]
