"""What only the DocumentDB store has to show: which operators it uses, which indexes, how it does without a server."""

import ast
import asyncio
import gc
import json
import random
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pymongo.errors import BulkWriteError, DocumentTooLarge, OperationFailure, WriteConcernError

from rostra_history import documentdb_store
from rostra_history.documentdb_store import open_documentdb_store
from rostra_history.documentdb_store.places import Place, first_append, moved, remembered
from rostra_history.errors import ConversationNotFound, ResponseNotFound
from rostra_history.metrics import HistoryMetrics
from rostra_history.settings import DatabaseSettings
from rostra_history.share_service import ShareService
from rostra_kit.errors import InvalidArgumentError, UnavailableError
from services.history.tests.documentdb_guard import TABLE

OPERATORS = {
    operator
    for kind, operators in TABLE.items()
    if kind.endswith(("_operators", "_modifiers"))
    for operator in operators
}
# Aggregations, change streams, transactions and commands of MongoDB's own go beyond it, or nearly.
METHODS = {"aggregate", "aggregate_raw_batches", "watch", "start_session", "start_transaction", "with_transaction"}
OPTIONS = {"collation", "hint", "array_filters", "let", "session", "no_cursor_timeout", "cursor_type"}


@pytest.mark.parametrize("path", sorted(Path(documentdb_store.__file__).parent.glob("*.py")), ids=lambda p: p.stem)
def test_only_operators_of_amazon_documentdb_are_used(path: Path) -> None:
    tree = ast.parse(path.read_text())
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    # Also where no server is found; where one is, the guard of these tests reads every command.
    assert {text for text in strings if text.startswith("$")} <= OPERATORS
    assert not {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & METHODS
    assert not {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)} & OPTIONS


async def test_absent_server_is_unavailable_at_once() -> None:
    settings = DatabaseSettings(url="mongodb://127.0.0.1:1/", timeout_seconds=0.2)
    async with open_documentdb_store(settings) as store:
        started = time.monotonic()
        calls = [
            store.ping(),
            store.conversations.get(owner="u", conversation_id="c"),
            store.items.load_thread(owner="u", thread_id="t", end_seq=1),
            store.responses.delete(owner="u", response_id="r"),
            store.delete_owner(owner="u"),
        ]
        for call in calls:
            with pytest.raises(UnavailableError) as caught:
                await call
            assert caught.value.retry_after_seconds == 1
        assert time.monotonic() - started < 5


async def test_server_that_says_nothing_is_unavailable() -> None:
    settings = DatabaseSettings(url="mongodb://127.0.0.1:1/", silence_seconds=0.1)
    answered = asyncio.Event()
    async with open_documentdb_store(settings) as store, asyncio.timeout(30):
        with pytest.raises(UnavailableError):
            await store._database.read(answered.wait())
        answered.set()


@pytest.mark.integration
async def test_callers_who_leave_do_no_harm_to_those_who_come(documentdb_settings: DatabaseSettings) -> None:
    settings = documentdb_settings.model_copy(update={"max_connections": 2, "timeout_seconds": 1.0})
    chance = random.Random(1)
    async with open_documentdb_store(settings) as store:
        await store.ping()

        async def leave_twice() -> None:
            reading = asyncio.ensure_future(store.conversations.get(owner="u", conversation_id="c"))
            await asyncio.sleep(chance.random() * 0.05)
            reading.cancel()  # by a deadline
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
            reading.cancel()  # by whoever called
            await asyncio.wait([reading])
            if not reading.cancelled():
                reading.exception()

        for _ in range(20):
            await asyncio.gather(*(leave_twice() for _ in range(50)))
        async with asyncio.timeout(30):
            await store._database.drain()  # what they left behind ends by itself
            await store.ping()


@pytest.mark.parametrize(
    ("error", "translated"),
    [
        (WriteConcernError("waiting for replication timed out"), UnavailableError),
        (DocumentTooLarge("too large"), InvalidArgumentError),
        (BulkWriteError({"writeErrors": [{"code": 1}]}), BulkWriteError),
        (OperationFailure("Authentication failed.", code=18), UnavailableError),
        (OperationFailure("Unrecognized stage.", code=40324), OperationFailure),
    ],
)
async def test_errors_of_the_driver_are_translated(error: Exception, translated: type[Exception]) -> None:
    async def fail() -> None:
        raise error

    async with open_documentdb_store(DatabaseSettings(url="mongodb://127.0.0.1:1/")) as store:
        with pytest.raises(translated):
            await store._database.read(fail())
        with pytest.raises(translated):
            await store._database.write(fail())


async def test_certificates_are_read_at_the_start(tmp_path: Path) -> None:
    settings = DatabaseSettings(url="mongodb://127.0.0.1:1/", tls_ca_file=tmp_path / "absent.pem")
    with pytest.raises(OSError, match="No such file"):
        async with open_documentdb_store(settings):
            pass


def append(key: str, count: int, leaf_id: str, **aside: str | None) -> dict:
    return {"key": key, "count": count, "leaf_id": leaf_id, **aside}


def move(leaf_id: str | None) -> dict:
    return moved(leaf_id)["$push"]["appends"]["$each"][0]


def places(next_seq: int, *entries: dict) -> dict[str, Place]:
    """Return the places that a conversation remembers by the last item there."""
    return {append.leaf_id: append.place for append in remembered({"next_seq": next_seq, "appends": entries})}


def test_append_follows_the_one_before() -> None:
    entries = [*first_append("a2", 2), append("b", 3, "b3"), append("c", 2, "c2")]
    assert places(7, *entries) == {"a2": Place(0, None), "b3": Place(2, "a2"), "c2": Place(5, "b3")}
    assert places(0, *first_append(None, 0)) == {}


def test_append_follows_what_was_made_active() -> None:
    entries = [append("a", 2, "a2"), move("a1"), append("b", 1, "b1"), move(None), append("c", 1, "c1")]
    assert places(4, *entries) == {"a2": Place(0, None), "b1": Place(2, "a1"), "c1": Place(3, None)}


def test_append_made_aside_follows_its_own_branch_and_is_followed_by_nothing() -> None:
    entries = [append("a", 1, "a1"), append("b", 1, "b1", parent_id=None), append("c", 1, "c1")]
    assert places(3, *entries) == {"a1": Place(0, None), "b1": Place(1, None), "c1": Place(2, "a1")}


def test_forgotten_parent_is_a_name_that_no_item_has() -> None:
    entries = [append("x", 1, "x1", parent_id="p"), append("resp_b", 2, "b2"), append("c", 1, "c1")]
    assert places(9, *entries) == {"x1": Place(5, "p"), "b2": Place(6, "resp_b"), "c1": Place(8, "b2")}
    assert places(2, move(None), append("b", 2, "b2")) == {"b2": Place(0, None)}


@pytest.mark.integration
async def test_tombstone_has_no_terms(documentdb_settings: DatabaseSettings, user_of) -> None:
    async with open_documentdb_store(documentdb_settings) as store:
        user = user_of(store)
        conversation_id = await user.conversation("prows")
        [item] = await user.members(conversation_id)
        assert (await store._database.items.find_one({"_id": item.id}))["terms"] == ["prows"]
        await user.service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=item.id)
        assert (await store._database.items.find_one({"_id": item.id}))["terms"] == []


@pytest.mark.integration
async def test_every_query_of_a_list_uses_its_index(documentdb_settings: DatabaseSettings) -> None:
    async with open_documentdb_store(documentdb_settings) as store:
        await store.ping()
        database = store._database
        newest = [("seq", -1)]
        due = {"$exists": True, "$lt": 5}
        plans = {
            "by_claim_time": database.responses.find(
                {"run.claim_time_us": due, "run.lease_end_us": due, "deleting": False}, sort=[("run.claim_time_us", 1)]
            ),
            "by_create_time": database.conversations.find(
                {"owner": "u", "archived": False, "create_time_us": {"$lte": 5}}, sort=[("create_time_us", -1)]
            ),
            "by_update_time": database.conversations.find(
                {"owner": "u", "archived": True, "update_time_us": {"$gte": 5}}, sort=[("update_time_us", 1)]
            ),
            "by_age": database.responses.find(
                {"owner": "u", "create_time_us": {"$lte": 5}, "deleting": False}, sort=[("create_time_us", -1)]
            ),
            "by_thread": database.items.find({"owner": "u", "thread_id": "t", "seq": {"$gte": 0}}, sort=newest),
            "by_conversation": database.items.find({"owner": "u", "conversation_id": "c", "seq": {"$lt": 9}}),
            "by_response": database.items.find({"owner": "u", "response_id": "r", "kind": "input"}),
            # In no order: the server of these tests takes none from an index of arrays, and is told not to sort.
            "by_tag": database.chat_completions.find(
                {"owner": "u", "tags": {"$all": ["t", "u"]}, "create_time_us": {"$gte": 0}}
            ),
        }
        by_age = [("create_time_us", -1), ("_id", -1)]
        shares = {
            "by_age": database.shares.find({"owner": "u", "create_time_us": {"$lte": 5}}, sort=by_age),
            # In no order: either index has this one.
            "by_conversation": database.shares.find({"owner": "u", "conversation_id": "c"}),
        }
        for index, cursor in [*plans.items(), *shares.items()]:
            assert f'"{index}"' in json.dumps(await cursor.explain(), default=str)


@pytest.mark.integration
# PyMongo, cancelled as it connects, leaves its socket to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_cancelled_write_ends_whole(documentdb_settings: DatabaseSettings, user_of) -> None:
    async with open_documentdb_store(documentdb_settings) as store:
        await store.ping()
        user = user_of(store)
        conversation_id = await user.conversation()
        writes = [asyncio.create_task(user.say(conversation_id, f"{n}a", f"{n}b")) for n in range(20)]
        for _ in range(5):
            await asyncio.sleep(0)
        for write in writes:
            write.cancel()
        await asyncio.gather(*writes, return_exceptions=True)
    del writes
    gc.collect()
    async with open_documentdb_store(documentdb_settings) as store:
        members = await user_of(store, owner=user.owner).members(conversation_id)
    assert [item.seq for item in members] == list(range(40))


@pytest.mark.integration
async def test_conversation_remembers_a_bounded_number_of_appends(
    documentdb_settings: DatabaseSettings, user_of
) -> None:
    async with open_documentdb_store(documentdb_settings) as store:
        user = user_of(store)
        conversation_id = await user.conversation("first")
        for n in range(70):
            await user.say(conversation_id, str(n))
        document = await store._database.conversations.find_one({"_id": conversation_id})
        assert len(document["appends"]) == 64
        assert len(await user.context(conversation=conversation_id)) == 71


class Interrupted:
    """A collection on which something else happens just before the first call of one method."""

    def __init__(self, collection, method: str, event) -> None:
        self._collection, self._method, self._event = collection, method, event

    def __getattr__(self, name: str):
        if name != self._method or self._event is None:
            return getattr(self._collection, name)
        event, self._event = self._event, None

        async def call(*arguments, **options):
            await event()
            return await getattr(self._collection, name)(*arguments, **options)

        return call


@pytest.mark.integration
async def test_items_appended_to_a_conversation_just_deleted_are_deleted_too(
    documentdb_settings: DatabaseSettings, user_of
) -> None:
    async with open_documentdb_store(documentdb_settings) as store:
        user, database = user_of(store), store._database
        conversation_id = await user.conversation("one")
        items = database.items
        database.items = Interrupted(
            items,
            "insert_many",
            lambda: store.conversations.delete(owner=user.owner, conversation_id=conversation_id),
        )
        with pytest.raises(ConversationNotFound):
            await user.say(conversation_id, "two")
        assert await items.count_documents({"owner": user.owner}) == 0


@pytest.mark.integration
async def test_conversation_deleted_while_it_is_shared_leaves_no_share(
    documentdb_settings: DatabaseSettings, user_of, clock
) -> None:
    async with open_documentdb_store(documentdb_settings) as store:
        user, database = user_of(store), store._database
        conversation_id = await user.conversation("one")
        store.shares._shares = Interrupted(
            database.shares,
            "insert_one",
            lambda: store.conversations.delete(owner=user.owner, conversation_id=conversation_id),
        )
        service = ShareService(store=store, metrics=HistoryMetrics(CollectorRegistry()), now_us=clock)
        with pytest.raises(ConversationNotFound):
            await service.create(owner=user.owner, conversation_id=conversation_id, expire_time_us=None)
        assert await database.shares.count_documents({"owner": user.owner}) == 0


@pytest.mark.integration
async def test_response_deleted_while_it_joins_is_not_found(documentdb_settings: DatabaseSettings, user_of) -> None:
    async with open_documentdb_store(documentdb_settings) as store:
        user, database = user_of(store), store._database
        conversation_id = await user.conversation("one")
        response_id = await user.begin("q", conversation=conversation_id)
        database.items = Interrupted(
            database.items,
            "bulk_write",
            lambda: store.responses.delete(owner=user.owner, response_id=response_id),
        )
        with pytest.raises(ResponseNotFound):
            await user.end(response_id, "a")
        await user.say(conversation_id, "two")
        assert await user.context(conversation=conversation_id) == ["one", "two"]
