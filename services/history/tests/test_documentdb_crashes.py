"""A writer that dies between any two writes loses nothing acknowledged and leaves nothing half done to be seen.

Each test cuts an operation off at its first write, then at its second and so on, once before the write reaches the
server and once after it; looks at what a reader sees; repeats the operation as a client would; and looks again.
"""

import json
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect

from rostra_history.chat_completion_store import ChatCompletion
from rostra_history.documentdb_store import DocumentdbHistoryStore, open_documentdb_store
from rostra_history.domain import ConversationFilter, Item, ItemKind, PageRequest, Response, ResponseStatus
from rostra_history.drafts import NewItem, response_items
from rostra_history.errors import ConversationNotFound, FeedbackNotFound, ItemNotFound, ResponseNotFound, ShareNotFound
from rostra_history.feedback import Feedback, Rating
from rostra_history.import_service import ImportService
from rostra_history.imports import ImportedConversation, ImportedItem
from rostra_history.metrics import HistoryMetrics
from rostra_history.settings import DatabaseSettings
from rostra_history.share_service import ShareService
from rostra_kit.errors import UnavailableError
from rostra_kit.ids import new_id
from rostra_kit.testing.manual_clock import ManualClock

pytestmark = pytest.mark.integration

WRITES = {"insert_one", "insert_many", "update_one", "bulk_write", "find_one_and_update", "delete_one", "delete_many"}
MOST_WRITES = 8


class Cut:
    """Cuts the connection at the write of this number, before or after the server has made it."""

    def __init__(self, *, at: int, after: bool) -> None:
        self._left, self._after = at, after

    async def write(self, collection: Any, name: str, arguments: tuple, options: dict) -> Any:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise AutoReconnect("cut before")
        result = await getattr(collection, name)(*arguments, **options)
        if self._left == 0:
            raise AutoReconnect("cut after")
        if self._left < 0:
            raise AssertionError("a dead writer writes")
        return result


class CutCollection:
    def __init__(self, collection: Any, cut: Cut) -> None:
        self._collection, self._cut = collection, cut

    def __getattr__(self, name: str) -> Any:
        if name not in WRITES:
            return getattr(self._collection, name)
        return lambda *arguments, **options: self._cut.write(self._collection, name, arguments, options)


@pytest.fixture
async def store(documentdb_settings: DatabaseSettings):
    async with open_documentdb_store(documentdb_settings) as store:
        await store.ping()
        yield store


@pytest.fixture(params=[(at, after) for at in range(1, MOST_WRITES + 1) for after in (False, True)])
def cut_store(request: pytest.FixtureRequest, store: DocumentdbHistoryStore) -> DocumentdbHistoryStore:
    at, after = request.param
    cut, real = Cut(at=at, after=after), store._database
    database = SimpleNamespace(
        read=real.read,
        write=real.write,
        ping=real.ping,
        conversations=CutCollection(real.conversations, cut),
        items=CutCollection(real.items, cut),
        responses=CutCollection(real.responses, cut),
        shares=CutCollection(real.shares, cut),
        chat_completions=CutCollection(real.chat_completions, cut),
    )
    return DocumentdbHistoryStore(database, store._index_build)


async def texts_agree(user, conversation_id: str) -> list[str]:
    """Check that list and context show the same, and return it."""
    texts = await user.texts(conversation_id)
    assert await user.context(conversation=conversation_id) == texts
    return texts


async def test_cut_ending_is_finished_by_whoever_tries_again(store, cut_store, user_of) -> None:
    user = user_of(store)
    conversation_id = await user.conversation("hello")
    response_id = await user.begin("q1", "q2", conversation=conversation_id)
    acknowledged = True
    try:
        await user_of(cut_store, owner=user.owner).end(response_id, "yes")
    except UnavailableError:
        acknowledged = False

    if await user.status(response_id) == "completed":
        assert await texts_agree(user, conversation_id) == ["hello", "q1", "q2", "yes"]
        assert await user.output(response_id) == ["yes"]
    else:
        assert not acknowledged
        assert await user.output(response_id) == []
        assert (await user.context(conversation=conversation_id))[0] == "hello"

    await user.say(conversation_id, "meanwhile")
    assert (await user.context(conversation=conversation_id))[-1] == "meanwhile"
    await user.end(response_id, "no", status="failed")

    texts = await texts_agree(user, conversation_id)
    if await user.status(response_id) == "failed":
        assert (texts, await user.output(response_id)) == (["hello", "meanwhile"], ["no"])
    else:
        assert await user.output(response_id) == ["yes"]
        assert [text for text in texts if text != "meanwhile"] == ["hello", "q1", "q2", "yes"]
        before = texts[: texts.index("yes") + 1]
        assert await user.context(previous=response_id) == before


async def test_cut_ending_repeated_as_it_was_completes(store, cut_store, user_of) -> None:
    user = user_of(store)
    conversation_id = await user.conversation("hello")
    response_id = await user.begin("q", conversation=conversation_id)
    calls: list[tuple] = []
    cut_user = user_of(cut_store, owner=user.owner)
    finish = cut_store.responses.finish

    async def recorded(*arguments, **options):
        calls.append((arguments, options))
        await finish(*arguments, **options)

    cut_store.responses.finish = recorded
    with suppress(UnavailableError):
        await cut_user.end(response_id, "a")
    [(arguments, options)] = calls
    await store.responses.finish(*arguments, **options)
    await store.responses.finish(*arguments, **options)
    assert [item.seq for item in await user.members(conversation_id)] == [0, 1, 2]
    assert await texts_agree(user, conversation_id) == ["hello", "q", "a"]
    assert await user.context(previous=response_id) == ["hello", "q", "a"]


async def test_cut_append_leaves_all_or_nothing_in_the_path(store, cut_store, user_of) -> None:
    user = user_of(store)
    conversation_id = await user.conversation("hello")
    with suppress(UnavailableError):
        await user_of(cut_store, owner=user.owner).say(conversation_id, "one", "two")
    assert await texts_agree(user, conversation_id) in (["hello"], ["hello", "one", "two"])
    await user.say(conversation_id, "three")
    assert await texts_agree(user, conversation_id) in (["hello", "three"], ["hello", "one", "two", "three"])


async def test_cut_append_to_a_branch_is_led_over_within_the_branch(store, cut_store, user_of) -> None:
    user = user_of(store)
    conversation_id = await user.conversation("a", "b", "c")
    await user.go_to(conversation_id, "a")
    with suppress(UnavailableError):
        await user_of(cut_store, owner=user.owner).say(conversation_id, "one", "two")
    assert await texts_agree(user, conversation_id) in (["a"], ["a", "one", "two"])
    await user.say(conversation_id, "three")
    assert await texts_agree(user, conversation_id) in (["a", "three"], ["a", "one", "two", "three"])
    [(_, branches)] = await user.forks(conversation_id)
    assert branches in ("b..c *three..three", "b..c *one..three")
    await user.go_to(conversation_id, "c")
    assert await texts_agree(user, conversation_id) == ["a", "b", "c"]


async def test_cut_ending_on_a_branch_left_since_stays_in_it(store, cut_store, user_of) -> None:
    user = user_of(store)
    conversation_id = await user.conversation("a", "b")
    response_id = await user.begin("q", conversation=conversation_id)
    await user.go_to(conversation_id, "a")
    await user.say(conversation_id, "other")
    with suppress(UnavailableError):
        await user_of(cut_store, owner=user.owner).end(response_id, "answer")
    assert await texts_agree(user, conversation_id) == ["a", "other"]
    await user.say(conversation_id, "more")
    assert await texts_agree(user, conversation_id) == ["a", "other", "more"]
    await user.end(response_id, "answer")
    assert await user.status(response_id) == "completed"
    assert await texts_agree(user, conversation_id) == ["a", "other", "more"]
    assert await user.context(previous=response_id) == ["a", "b", "q", "answer"]
    assert await user.forks(conversation_id) == [("a", "b..answer *other..more")]


async def test_cut_switch_is_made_or_not(store, cut_store, user_of) -> None:
    user = user_of(store)
    conversation_id = await user.conversation("a", "b")
    [a, _] = await user.members(conversation_id)
    with suppress(UnavailableError):
        await user_of(cut_store, owner=user.owner).change(conversation_id, active_item_id=a.id, title="new")
    left = await user.change(conversation_id)
    shown = await texts_agree(user, conversation_id)
    assert (left.title, left.switch_count, shown) in (("new", 1, ["a"]), ("a", 0, ["a", "b"]))
    assert (await user.change(conversation_id, active_item_id=a.id)).switch_count == 1


async def test_cut_deletion_of_the_active_item_is_finished_by_the_next(store, cut_store, user_of) -> None:
    user = user_of(store)
    conversation_id = await user.conversation("a", "b", "c")
    a, b, c = (item.id for item in await user.members(conversation_id))
    key = {"owner": user.owner, "conversation_id": conversation_id, "now_us": 1}
    await store.items.delete(**key, item_id=b)
    with suppress(UnavailableError):
        await cut_store.items.delete(**key, item_id=c)
    assert await texts_agree(user, conversation_id) in (["a", "c"], ["a"])
    with suppress(ItemNotFound):
        await store.items.delete(**key, item_id=c)
    left = await store.conversations.get(owner=user.owner, conversation_id=conversation_id)
    assert left.leaf_id == a
    await user.say(conversation_id, "d")
    assert await texts_agree(user, conversation_id) == ["a", "d"]


async def test_append_half_of_which_is_there_is_shown_as_far_as_it_is(store, user_of) -> None:
    user = user_of(store)
    conversation_id = await user.conversation("a", "b")
    await user.go_to(conversation_id, "a")
    _, _, three = await user.say(conversation_id, "one", "two", "three")
    await store._database.items.delete_one({"_id": three.id})
    assert await texts_agree(user, conversation_id) == ["a", "one", "two"]
    await user.say(conversation_id, "four")
    assert await texts_agree(user, conversation_id) == ["a", "one", "two", "four"]


async def test_lost_append_that_is_forgotten_is_led_over_to_the_nearest_earlier_item(store, user_of) -> None:
    user = user_of(store)
    conversation_id = await user.conversation("a")
    [lost] = await user.say(conversation_id, "lost")
    for n in range(65):
        await user.say(conversation_id, str(n))
    await store._database.items.delete_one({"_id": lost.id})
    assert await texts_agree(user, conversation_id) == ["a", *map(str, range(65))]


async def test_cut_creation_can_be_repeated(store, cut_store, user_of) -> None:
    user, cut_user = user_of(store), user_of(cut_store)
    cut_user.owner = user.owner
    first = await user.turn("q", "a")
    response_id = "resp_" + user.owner
    calls: list[tuple] = []
    create = cut_store.responses.create

    async def recorded(*arguments, **options):
        calls.append((arguments, options))
        await create(*arguments, **options)

    cut_store.responses.create = recorded
    with suppress(UnavailableError):
        await cut_user.begin("q2", previous=first, response_id=response_id)
    [(arguments, options)] = calls
    await store.responses.create(*arguments, **options)
    await user.end(response_id, "a2")
    assert await user.context(previous=response_id) == ["q", "a", "q2", "a2"]


async def test_cut_conversation_is_there_whole_or_not_at_all(store, cut_store, user_of) -> None:
    user = user_of(cut_store)
    with suppress(UnavailableError):
        await user.conversation("one", "two")
    reader = user_of(store, owner=user.owner)
    async with store._database.conversations.find({"owner": user.owner}) as cursor:
        conversation_ids = [document["_id"] async for document in cursor]
    for conversation_id in conversation_ids:
        assert await texts_agree(reader, conversation_id) == ["one", "two"]


async def test_cut_import_is_there_whole_or_not_at_all(store, cut_store, user_of) -> None:
    imports = ImportService(
        store=cut_store, metrics=HistoryMetrics(CollectorRegistry()), now_us=lambda: 1_700_000_000_000_000
    )
    owner = user_of(store).owner
    body = json.dumps({"role": "user", "content": "hello"})
    items = [ImportedItem(key=str(n), parent_key=str(n - 1) if n else "", body=body) for n in range(1_100)]
    with suppress(UnavailableError):
        await imports.import_conversation(owner=owner, imported=ImportedConversation(items=items))
    page = await store.conversations.list_page(owner=owner, wanted=ConversationFilter(), page=PageRequest(limit=1))
    for conversation in page.elements:
        thread = await store.items.load_thread(owner=owner, thread_id=conversation.id, end_seq=2_000)
        assert [item.seq for item in thread] == list(range(1_100))
    await store.delete_owner(owner=owner)
    assert await store._database.items.count_documents({"owner": owner}) == 0


async def test_cut_deletion_of_a_conversation_is_finished_by_the_next(store, cut_store, user_of) -> None:
    user = user_of(store)
    conversation_id = await user.conversation("one")
    response_id = await user.turn("q", "a", conversation=conversation_id)
    share = await shares_of(store).create(**user_key(user, conversation_id), expire_time_us=None)
    key = user_key(user, conversation_id)
    with suppress(UnavailableError):
        await cut_store.conversations.delete(**key)
    with suppress(ShareNotFound):
        _, messages = await shares_of(store).read(share_id=share.id, page=PageRequest(limit=9))
        assert len(messages.elements) == 3
        assert await user.texts(conversation_id) == ["one", "q", "a"]
    listed = (
        await store.conversations.list_page(owner=user.owner, wanted=ConversationFilter(), page=PageRequest(limit=1))
    ).elements
    with suppress(ConversationNotFound):
        assert await user.texts(conversation_id) == ["one", "q", "a"]
        assert listed
        listed = []
    assert not listed
    with suppress(ConversationNotFound):
        await store.conversations.delete(**key)
    with pytest.raises(ConversationNotFound):
        await store.conversations.get(**key)
    with pytest.raises(ResponseNotFound):
        await store.responses.get(owner=user.owner, response_id=response_id)
    assert await count_all(store, user) == 0


async def test_cut_creation_of_a_share_leaves_a_whole_one_or_none(store, cut_store, user_of) -> None:
    user = user_of(store)
    key = user_key(user, await user.conversation("one"))
    with suppress(UnavailableError):
        await shares_of(cut_store).create(**key, expire_time_us=None)
    await shares_of(store).create(**key, expire_time_us=None)
    listed = await shares_of(store).list_page(**key, page=PageRequest(limit=9))
    for share in listed.elements:
        _, messages = await shares_of(store).read(share_id=share.id, page=PageRequest(limit=9))
        assert len(messages.elements) == 1
    await store.conversations.delete(**key)
    assert await count_all(store, user) == 0


async def test_cut_feedback_is_there_or_not_and_its_item_unharmed(store, cut_store, user_of) -> None:
    user = user_of(store)
    conversation_id = await user.conversation("one")
    [before] = await user.members(conversation_id)
    key = user_key(user, conversation_id) | {"item_id": before.id}
    opinion = Feedback(rating=Rating.POSITIVE, comment="yes", update_time_us=1)
    with suppress(UnavailableError):
        await cut_store.feedback.put(opinion, **key)
    after = await store.items.get(**key)
    assert after in (before, replace(before, feedback=opinion))
    with suppress(UnavailableError, FeedbackNotFound, AssertionError):
        await cut_store.feedback.delete(**key)
    assert await store.items.get(**key) in (before, after)


def shares_of(store: DocumentdbHistoryStore) -> ShareService:
    return ShareService(store=store, metrics=HistoryMetrics(CollectorRegistry()), now_us=ManualClock())


def user_key(user, conversation_id: str) -> dict[str, str]:
    return {"owner": user.owner, "conversation_id": conversation_id}


async def test_cut_deletion_of_a_response_is_finished_by_the_next(store, cut_store, user_of) -> None:
    user = user_of(store)
    response_id = await user.turn("q", "a")
    key = {"owner": user.owner, "response_id": response_id}
    with suppress(UnavailableError):
        await cut_store.responses.delete(**key)
    with suppress(ResponseNotFound):
        await store.responses.delete(**key)
    with pytest.raises(ResponseNotFound):
        await store.responses.get(**key)
    assert await count_all(store, user) == 0


async def test_cut_end_of_a_background_response_is_reached_or_taken_over(store, cut_store, user_of, runner_of) -> None:
    user, runner = user_of(store), runner_of(store)
    conversation_id = await user.conversation("hello")
    response_id = await user.queue("q", conversation=conversation_id)
    first = (await runner.claim()).response
    with suppress(UnavailableError):
        await cut_store.responses.finish(*end_of(first, "yes"), now_us=1)
    assert (await user.context(conversation=conversation_id))[0] == "hello"

    second = await runner.take_over()
    if second is not None:
        assert (await user.status(response_id), await user.output(response_id)) == ("in_progress", [])
        await store.responses.finish(*end_of(second.response, "no"), now_us=1)
    ending = "yes" if second is None else "no"
    assert (await user.status(response_id), await user.output(response_id)) == ("completed", [ending])
    assert await texts_agree(user, conversation_id) == ["hello", "q", ending]
    response = await store.responses.get(owner=user.owner, response_id=response_id)
    assert response.attempt == (1 if second is None else 2)
    assert await runner.take_over() is None


@pytest.mark.parametrize("in_conversation", [False, True])
async def test_cut_end_of_a_waiting_clients_response_is_reached_by_the_next_runner(
    store, cut_store, user_of, runner_of, in_conversation
) -> None:
    user, runner = user_of(store), runner_of(store)
    conversation_id = await user.conversation() if in_conversation else ""
    response_id = await user.begin("q", conversation=conversation_id)
    response = await store.responses.get(owner=user.owner, response_id=response_id)
    with suppress(UnavailableError):
        await cut_store.responses.finish(*end_of(response, "a"), now_us=runner.clock())
    assert await runner.take_over() is None
    is_ended = await user.status(response_id) == "completed"
    assert await user.output(response_id) == (["a"] if is_ended else [])
    await store.responses.finish(*end_of(response, "a" if is_ended else "b"), now_us=runner.clock())
    assert await user.output(response_id) == ["a" if is_ended else "b"]
    assert await user.context(previous=response_id) == ["q", "a" if is_ended else "b"]


def end_of(response: Response, text: str) -> tuple[Response, list[Item]]:
    """Return a response's end and its output, whose ids are the same for all who run it."""
    item = NewItem(f"msg_{response.id}", json.dumps({"content": [{"text": text}]}))
    output = response_items([item], response=response, kind=ItemKind.OUTPUT, now_us=1)
    return replace(response, status=ResponseStatus.COMPLETED).followed_by(output), output


async def test_cut_claim_is_made_by_the_next_runner(store, cut_store, user_of, runner_of) -> None:
    user, runner = user_of(store), runner_of(store)
    response_id = await user.queue("q")
    with suppress(UnavailableError):
        await runner_of(cut_store).claim()
    claim = await runner.take_over()
    assert (claim.response.id, claim.tries) == (response_id, claim.response.attempt)
    await user.end(response_id, "a", attempt=claim.response.attempt)
    assert await runner.take_over() is None


async def test_cut_cancellation_can_be_repeated(store, cut_store, user_of, runner_of) -> None:
    user, runner = user_of(store), runner_of(store)
    response_id = await user.queue("q")
    with suppress(UnavailableError):
        await runner_of(cut_store).service.cancel(owner=user.owner, response_id=response_id)
    again = await runner.service.cancel(owner=user.owner, response_id=response_id)
    assert (again.status, await user.status(response_id)) == ("cancelled", "cancelled")
    assert await runner.claim() is None


async def test_response_whose_deletion_was_cut_is_not_claimed(store, cut_store, user_of, runner_of) -> None:
    user, runner = user_of(store), runner_of(store)
    response_id = await user.queue("q")
    key = {"owner": user.owner, "response_id": response_id}
    with suppress(UnavailableError):
        await cut_store.responses.delete(**key)
    is_there = True
    try:
        await store.responses.get(**key)
    except ResponseNotFound:
        is_there = False
    in_index = await store._database.responses.count_documents({"_id": response_id, "run": {"$exists": True}})
    assert bool(in_index) is is_there
    assert (await runner.claimed_id() == response_id) is is_there
    with suppress(ResponseNotFound):
        await store.responses.delete(**key)
    assert await count_all(store, user) == 0


async def count_all(store: DocumentdbHistoryStore, user) -> int:
    database = store._database
    collections = (database.conversations, database.items, database.responses, database.shares)
    return sum([await collection.count_documents({"owner": user.owner}) for collection in collections])


async def test_cut_storing_of_a_chat_completion_is_repeated_without_a_trace(store, cut_store) -> None:
    owner = new_id("user")
    key = {"owner": owner, "completion_id": "chatcmpl-1"}
    completion = ChatCompletion(
        id="chatcmpl-1", owner=owner, models=["m"], metadata={}, body="{}", message_count=2, create_time_us=1
    )
    page, [tag] = PageRequest(limit=2), completion.tags
    stored = changed = False
    with suppress(UnavailableError):
        await cut_store.chat_completions.create(completion, ["one", "two"])
        stored = True
        await cut_store.chat_completions.update(**key, metadata={"a": "1"})
        changed = True

    seen = (await store.chat_completions.list_page(owner=owner, page=page, tags=[tag])).elements
    assert not stored or [each.id for each in seen] == ["chatcmpl-1"]
    for each in seen:
        assert await store.chat_completions.list_messages(**key, first=0, limit=9) == ["one", "two"]
        assert not changed or each.metadata == {"a": "1"}
        # What its metadata says is what lists find.
        assert (await store.chat_completions.list_page(owner=owner, page=page, tags=each.tags)).elements == [each]

    await store.chat_completions.create(completion, ["one", "two"])
    [once] = (await store.chat_completions.list_page(owner=owner, page=page)).elements
    assert once.metadata in ({"a": "1"}, {})
