from datetime import timedelta

import pytest

from rostra_user.domain import Erasure
from rostra_user.sql.accounts import SqlAccountStore
from rostra_user.sql.database import Database
from rostra_user.sql.erasures import SqlErasureStore
from rostra_user.testing.records import NOW, a_stored_user


@pytest.fixture
def store(database: Database) -> SqlErasureStore:
    return SqlErasureStore(database)


async def due(store: SqlErasureStore, user_id: str, **arguments) -> list[Erasure]:
    return [note for note in await store.due(**arguments, limit=10_000) if note.user_id == user_id]


async def test_note_is_due_until_erased_and_again_when_old(store: SqlErasureStore, database: Database) -> None:
    user = await a_stored_user(database)
    await SqlAccountStore(database).delete(user.id, NOW)
    earlier = NOW - timedelta(seconds=1)
    assert await due(store, user.id, last_pass_before=earlier) == [
        Erasure(user_id=user.id, mark_time=NOW, erase_time=None)
    ]
    await store.note_erased(user.id, NOW)
    assert await due(store, user.id, last_pass_before=earlier) == []
    assert await due(store, user.id, last_pass_before=NOW) == [Erasure(user_id=user.id, mark_time=NOW, erase_time=NOW)]
    await store.forget(user.id)
    assert await due(store, user.id, last_pass_before=NOW) == []


async def test_oldest_notes_come_first_up_to_the_limit(store: SqlErasureStore, database: Database) -> None:
    moments = [NOW - timedelta(days=days) for days in (9001, 9003, 9002)]
    users = [await a_stored_user(database) for _ in moments]
    for user, moment in zip(users, moments, strict=True):
        await SqlAccountStore(database).delete(user.id, moment)
    notes = await store.due(last_pass_before=NOW, limit=2)
    assert [note.user_id for note in notes] == [users[1].id, users[2].id]
    for user in users:
        await store.forget(user.id)
