import asyncio

import pytest

from rostra_kit.errors import ConflictError
from rostra_user.domain import AccountChange, Limits, Role
from rostra_user.errors import ApiKeyNotFoundError, EmailTakenError, UserNotFoundError
from rostra_user.sql.accounts import SqlAccountStore
from rostra_user.sql.api_keys import SqlApiKeyStore
from rostra_user.sql.database import Database
from rostra_user.sql.erasures import SqlErasureStore
from rostra_user.sql.sessions import SqlSessionStore
from rostra_user.sql.usage import SqlUsageStore
from rostra_user.testing.records import NOW, a_session, a_stored_user, an_account, an_api_key, an_email, an_event


@pytest.fixture
def store(database: Database) -> SqlAccountStore:
    return SqlAccountStore(database)


async def test_created_account_reads_back_whole(store: SqlAccountStore) -> None:
    account = an_account(name="Zo\u00eb \U0001f680 'quoted' \\ %s")
    user = await store.create(account, a_session(account.user_id))
    assert (await store.get(account.user_id)).user == user
    assert (user.id, user.email, user.name) == (account.user_id, account.email.text, account.name)
    assert (user.role, user.plan, user.create_time) == (Role.USER, "default", NOW)
    assert user.plan_limits == Limits(requests_per_minute=600, tokens_per_minute=500_000, concurrent_streams=50)


async def test_account_is_found_by_its_address_exactly(store: SqlAccountStore) -> None:
    account = an_account(email=an_email("stra\u00dfe-alic\u00e9-1@example.com"))
    await store.create(account, a_session(account.user_id))
    found = await store.find_by_email(account.email.key)
    assert found is not None
    assert (found.user.id, found.password_hash) == (account.user_id, account.password_hash)
    assert await store.find_by_email("strasse-alice-1@example.com") is None
    assert await store.find_by_email(account.email.key.upper()) is None


async def test_addresses_that_a_collation_would_confuse_are_two(store: SqlAccountStore) -> None:
    for text in ("jos\u00e9-2@example.com", "jose-2@example.com", "JOSE-2@example.com"):
        account = an_account(email=an_email(text))
        await store.create(account, a_session(account.user_id))


async def test_registrations_of_one_address_at_once_make_one_account(store: SqlAccountStore) -> None:
    accounts = [an_account(email=an_email("race@example.com")) for _ in range(10)]
    results = await asyncio.gather(
        *(store.create(account, a_session(account.user_id)) for account in accounts), return_exceptions=True
    )
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert sum(isinstance(result, EmailTakenError) for result in results) == 9


async def test_refused_registration_leaves_no_session(store: SqlAccountStore, database: Database) -> None:
    user = await a_stored_user(database)
    account = an_account(email=an_email(user.email))
    session = a_session(account.user_id)
    with pytest.raises(EmailTakenError):
        await store.create(account, session)
    assert await SqlSessionStore(database).get(session.id) is None


async def test_change_with_the_present_hash_is_stored(store: SqlAccountStore, database: Database) -> None:
    user = await a_stored_user(database)
    email = an_email()
    await store.update(user.id, AccountChange(name="Al", email=email), password_hash="h1", keep_session_id="")
    changed = await store.get(user.id)
    assert (changed.user.name, changed.user.email, changed.password_hash) == ("Al", email.text, "h1")
    assert await store.find_by_email(user.email) is None


async def test_new_password_ends_the_other_sessions_only(store: SqlAccountStore, database: Database) -> None:
    sessions = SqlSessionStore(database)
    user, stranger = await a_stored_user(database), await a_stored_user(database)
    mine = [a_session(user.id) for _ in range(3)]
    theirs = a_session(stranger.id)
    for session in (*mine, theirs):
        await sessions.create(session, password_hash="h1")
    ended = await store.update(
        user.id, AccountChange(password_hash="h2"), password_hash="h1", keep_session_id=mine[0].id
    )
    assert len(ended) == 3  # the first one of the account, and two of mine
    assert {mine[1].id, mine[2].id} < set(ended)
    assert await sessions.get(mine[0].id) == mine[0]
    assert await sessions.get(mine[1].id) is None
    assert await sessions.get(theirs.id) == theirs


async def test_change_after_another_change_of_the_password_is_refused(
    store: SqlAccountStore, database: Database
) -> None:
    user = await a_stored_user(database)
    changes = [
        store.update(user.id, AccountChange(password_hash=f"new{n}"), password_hash="h1", keep_session_id="")
        for n in range(8)
    ]
    results = await asyncio.gather(*changes, return_exceptions=True)
    assert sum(isinstance(result, ConflictError) for result in results) == 7


async def test_change_to_a_taken_address_is_refused(store: SqlAccountStore, database: Database) -> None:
    user, other = await a_stored_user(database), await a_stored_user(database)
    with pytest.raises(EmailTakenError):
        await store.update(user.id, AccountChange(email=an_email(other.email)), password_hash="h1", keep_session_id="")
    assert (await store.get(user.id)).user.email == user.email


async def test_hash_is_replaced_only_while_it_is_the_old_one(store: SqlAccountStore, database: Database) -> None:
    user = await a_stored_user(database)
    assert await store.replace_hash(user.id, old_hash="h1", new_hash="h2")
    assert not await store.replace_hash(user.id, old_hash="h1", new_hash="h3")
    assert (await store.get(user.id)).password_hash == "h2"


async def test_rename_to_the_same_name_succeeds(store: SqlAccountStore, database: Database) -> None:
    user = await a_stored_user(database)
    await store.rename(user.id, user.name)
    await store.rename(user.id, "")
    assert (await store.get(user.id)).user.name == ""


async def test_deleted_account_takes_its_credentials_with_it_and_frees_the_address(
    store: SqlAccountStore, database: Database
) -> None:
    sessions, api_keys = SqlSessionStore(database), SqlApiKeyStore(database)
    user = await a_stored_user(database)
    session, api_key = a_session(user.id), an_api_key(user.id)
    await sessions.create(session, password_hash="h1")
    await api_keys.create(api_key, secret_digest=user.id.encode()[:32], live_limit=5)

    assert await store.delete(user.id, NOW)

    with pytest.raises(UserNotFoundError):
        await store.get(user.id)
    assert await sessions.get(session.id) is None
    assert await api_keys.identify(user.id.encode()[:32], NOW) is None
    with pytest.raises(ApiKeyNotFoundError):
        await api_keys.delete(user.id, api_key.id)
    await a_stored_user(database, email=an_email(user.email))


async def test_deleted_account_leaves_a_note_for_the_erasure_once(store: SqlAccountStore, database: Database) -> None:
    erasures = SqlErasureStore(database)
    user = await a_stored_user(database)
    assert await store.delete(user.id, NOW)
    assert not await store.delete(user.id, NOW)
    due = await erasures.due(last_pass_before=NOW, limit=10_000)
    assert [note.mark_time for note in due if note.user_id == user.id] == [NOW]
    await erasures.forget(user.id)


async def test_ledger_stays_until_it_is_erased(store: SqlAccountStore, database: Database) -> None:
    usage = SqlUsageStore(database)
    user = await a_stored_user(database)
    await usage.record([an_event(user.id)])
    await store.delete(user.id, NOW)
    assert await usage.sum_cost(user.id, start=NOW, end=NOW.replace(year=2027)) == 30


@pytest.mark.parametrize("act", ["get", "rename", "update"])
async def test_unknown_account_is_not_found(store: SqlAccountStore, act: str) -> None:
    acts = {
        "get": lambda: store.get("user_none"),
        "rename": lambda: store.rename("user_none", "x"),
        "update": lambda: store.update("user_none", AccountChange(name="x"), password_hash="h", keep_session_id=""),
    }
    with pytest.raises(UserNotFoundError):
        await acts[act]()
