import asyncio
import secrets
from datetime import timedelta

import pytest

from rostra_user.domain import ApiKey, Limits, Page
from rostra_user.errors import ApiKeyNotFoundError, TooManyApiKeysError, UnknownCursorError, UserNotFoundError
from rostra_user.sql.accounts import SqlAccountStore
from rostra_user.sql.api_keys import SqlApiKeyStore
from rostra_user.sql.database import Database
from rostra_user.testing.records import NOW, a_stored_user, an_api_key


@pytest.fixture
def store(database: Database) -> SqlApiKeyStore:
    return SqlApiKeyStore(database)


async def create(store: SqlApiKeyStore, api_key: ApiKey, *, live_limit: int = 100) -> bytes:
    digest = secrets.token_bytes(32)
    await store.create(api_key, secret_digest=digest, live_limit=live_limit)
    return digest


async def test_key_is_found_by_its_digest_with_both_limits(store: SqlApiKeyStore, database: Database) -> None:
    user = await a_stored_user(database)
    limits = Limits(requests_per_minute=3, budget_micros_per_month=2**62)
    api_key = an_api_key(user.id, limits=limits, expire_time=NOW + timedelta(microseconds=1))
    digest = await create(store, api_key)
    identity = await store.identify(digest, NOW)
    assert identity is not None
    assert (identity.user_id, identity.api_key_id, identity.session_id) == (user.id, api_key.id, "")
    assert (identity.user_limits, identity.key_limits) == (user.plan_limits, limits)
    assert identity.expire_time == api_key.expire_time


async def test_expired_or_unknown_key_stands_for_nobody(store: SqlApiKeyStore, database: Database) -> None:
    user = await a_stored_user(database)
    digest = await create(store, an_api_key(user.id, expire_time=NOW + timedelta(seconds=1)))
    assert await store.identify(digest, NOW + timedelta(seconds=1)) is None
    assert await store.identify(secrets.token_bytes(32), NOW) is None
    assert await store.identify(b"\0" * 32, NOW) is None


async def test_revoked_key_stands_for_nobody(store: SqlApiKeyStore, database: Database) -> None:
    user = await a_stored_user(database)
    api_key = an_api_key(user.id)
    digest = await create(store, api_key)
    await store.delete(user.id, api_key.id)
    assert await store.identify(digest, NOW) is None
    with pytest.raises(ApiKeyNotFoundError):
        await store.delete(user.id, api_key.id)


async def test_other_users_key_is_not_found(store: SqlApiKeyStore, database: Database) -> None:
    user, stranger = await a_stored_user(database), await a_stored_user(database)
    api_key = an_api_key(user.id)
    digest = await create(store, api_key)
    with pytest.raises(ApiKeyNotFoundError):
        await store.delete(stranger.id, api_key.id)
    with pytest.raises(UnknownCursorError):
        await store.list(stranger.id, Page(after=api_key.id))
    assert await store.list(stranger.id, Page()) == ([], False)
    assert await store.identify(digest, NOW) is not None


@pytest.mark.parametrize("ascending", [False, True])
async def test_pages_hold_every_key_once_in_order(store: SqlApiKeyStore, database: Database, ascending: bool) -> None:
    user = await a_stored_user(database)
    api_keys = [an_api_key(user.id, id=f"key_{user.id[5:30]}{n}", name=f"key {n}") for n in range(5)]
    for api_key in api_keys:
        await create(store, api_key)
    seen: list[ApiKey] = []
    has_more = True
    while has_more:
        page, has_more = await store.list(user.id, Page(size=2, after=seen[-1].id if seen else "", ascending=ascending))
        seen.extend(page)
    assert seen == (api_keys if ascending else api_keys[::-1])


async def test_page_that_ends_with_the_list_has_no_more(store: SqlApiKeyStore, database: Database) -> None:
    user = await a_stored_user(database)
    for _ in range(2):
        await create(store, an_api_key(user.id))
    assert (await store.list(user.id, Page(size=2)))[1] is False


async def test_unknown_cursor_is_refused(store: SqlApiKeyStore, database: Database) -> None:
    user = await a_stored_user(database)
    with pytest.raises(UnknownCursorError) as refused:
        await store.list(user.id, Page(after="key_none"))
    assert refused.value.param == "after"


async def test_live_keys_are_counted_exactly_under_a_rush(store: SqlApiKeyStore, database: Database) -> None:
    user = await a_stored_user(database)
    for _ in range(2):  # these do not count
        await create(store, an_api_key(user.id, expire_time=NOW))
    results = await asyncio.gather(
        *(create(store, an_api_key(user.id), live_limit=3) for _ in range(12)), return_exceptions=True
    )
    assert sum(isinstance(result, bytes) for result in results) == 3
    assert sum(isinstance(result, TooManyApiKeysError) for result in results) == 9
    assert len((await store.list(user.id, Page(size=100)))[0]) == 5


async def test_keys_long_expired_are_dropped_with_the_next_new_one(store: SqlApiKeyStore, database: Database) -> None:
    user = await a_stored_user(database)
    await create(store, an_api_key(user.id, name="old", expire_time=NOW - timedelta(days=30)))
    await create(store, an_api_key(user.id, name="recent", expire_time=NOW - timedelta(days=29)))
    await create(store, an_api_key(user.id, name="new"))
    names = {api_key.name for api_key in (await store.list(user.id, Page()))[0]}
    assert names == {"recent", "new"}


async def test_key_of_a_deleted_user_cannot_be_created(store: SqlApiKeyStore, database: Database) -> None:
    user = await a_stored_user(database)
    await SqlAccountStore(database).delete(user.id, NOW)
    with pytest.raises(UserNotFoundError):
        await create(store, an_api_key(user.id))


async def test_keys_made_while_the_account_is_deleted_do_not_outlive_it(
    store: SqlApiKeyStore, database: Database
) -> None:
    user = await a_stored_user(database)
    creations = [create(store, an_api_key(user.id)) for _ in range(6)]
    results = await asyncio.gather(
        *creations[:3], SqlAccountStore(database).delete(user.id, NOW), *creations[3:], return_exceptions=True
    )
    digests = [result for result in results if isinstance(result, bytes)]
    assert [await store.identify(digest, NOW) for digest in digests] == [None] * len(digests)
