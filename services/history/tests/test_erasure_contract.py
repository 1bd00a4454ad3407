"""What is left of a user in any store when all of theirs is deleted: nothing."""

import json
from collections.abc import AsyncIterator

from prometheus_client import CollectorRegistry

from rostra_history.documentdb_store import DocumentdbHistoryStore
from rostra_history.feedback import Feedback, Rating
from rostra_history.import_service import ImportService
from rostra_history.imports import ImportedConversation, ImportedItem
from rostra_history.metrics import HistoryMetrics
from rostra_history.share_service import ShareService
from rostra_history.sqlite_store import SqliteHistoryStore
from rostra_history.store import HistoryStore

CANARY = "kanarienvogel"


async def everything(store: HistoryStore) -> AsyncIterator[tuple[str, str]]:
    """Yield each table, or collection, with each row, or document, in it."""
    database = store._database
    if isinstance(store, SqliteHistoryStore):
        for table in await database.fetch("SELECT name FROM sqlite_master WHERE type = 'table'"):
            for row in await database.fetch(f'SELECT * FROM "{table["name"]}"'):
                yield table["name"], str(tuple(row))
        return
    assert isinstance(store, DocumentdbHistoryStore)
    for name in await database._database.list_collection_names():
        async for document in database._database[name].find():
            yield name, json.dumps(document, default=str)


async def places(store: HistoryStore, owner: str) -> set[str]:
    """Return the tables that hold the user's name, or the word that they alone say."""
    return {name async for name, row in everything(store) if owner in row or f"{CANARY}{owner}" in row}


async def test_nothing_is_left_of_a_user_whose_data_is_deleted(store, user, new_user) -> None:
    word = f"{CANARY}{user.owner}"
    conversation_id = await user.conversation(word, "and more")
    await user.say(conversation_id, word)
    await user.turn(word, word, conversation=conversation_id)
    await user.turn(word, word)
    await user.begin(word)
    await user.queue(word)
    imports = ImportService(store=store, metrics=HistoryMetrics(CollectorRegistry()), now_us=lambda: 1)
    body = json.dumps({"role": "user", "content": word})
    opinion = Feedback(rating=Rating.POSITIVE, comment=word, update_time_us=1)
    items = [
        ImportedItem(key=key, parent_key=parent, body=body, feedback=opinion)
        for key, parent in (("a", ""), ("b", "a"), ("c", "a"))
    ]
    imported = ImportedConversation(title=word, metadata={"a": word}, items=items)
    await imports.import_conversation(owner=user.owner, imported=imported)
    shares = ShareService(store=store, metrics=HistoryMetrics(CollectorRegistry()), now_us=lambda: 1)
    await shares.create(owner=user.owner, conversation_id=conversation_id, expire_time_us=None)
    other = new_user()
    others_id = await other.conversation("kept")
    assert len(await places(store, user.owner)) >= 4

    await store.delete_owner(owner=user.owner)
    assert await places(store, user.owner) == set()
    assert await other.texts(others_id) == ["kept"]
