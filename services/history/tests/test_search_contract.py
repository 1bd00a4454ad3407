"""What every store finds."""

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rostra_history.documentdb_store import open_documentdb_store
from rostra_history.domain import ConversationChanges, PageRequest
from rostra_history.search_service import MAX_QUERY_LENGTH, MAX_QUERY_TERMS, SearchService
from rostra_history.sqlite_store import open_sqlite_store
from rostra_kit.errors import InvalidArgumentError
from services.history.tests.search_corpus import OWNERS, WORDS, Corpus, owners, queries, steps

BOUNDED = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@pytest.fixture
def rename(user, service):
    """Gives a conversation another title than that which its first message made."""

    async def rename(conversation_id: str, title: str) -> None:
        changes = ConversationChanges(title=title)
        await service.update_conversation(owner=user.owner, conversation_id=conversation_id, changes=changes)

    return rename


@pytest.fixture
def find(store):
    """Finds what a user's query does: the conversation, and the item unless it is the title, of each match."""

    async def find(user, query: str, *, limit: int = 20, after: str | None = None) -> list[tuple[str, str | None]]:
        page = PageRequest(limit=limit, after_id=after)
        found = await SearchService(store.search).search(owner=user.owner, query=query, page=page)
        return [(match.conversation.id, match.item_id) for match in found.elements]

    return find


async def test_found_is_the_newest_item_with_all_words(user, find) -> None:
    conversation_id = await user.conversation("the Rostra of Rome", "Rome has a rostra", "Rome alone", "rostra alone")
    other_id = await user.conversation("ROSTRA, römE")
    members = await user.members(conversation_id)
    [other] = await user.members(other_id)
    assert await find(user, "rome rostra") == [(other_id, other.id), (conversation_id, members[1].id)]
    assert await find(user, "rome rostra absent") == []
    assert await find(user, "rom") == []


async def test_match_says_what_was_found(user, store) -> None:
    conversation_id = await user.conversation("x", "The <b>ships'</b> prows")
    _, item = await user.members(conversation_id)
    service = SearchService(store.search)
    found = await service.search(owner=user.owner, query="Prows ships", page=PageRequest(limit=5))
    [match] = found.elements
    assert not found.has_more
    assert (match.id, match.item_id, match.create_time_us) == (item.id, item.id, item.create_time_us)
    assert match.snippet == "The <b>ships'</b> prows"
    assert match.conversation == await user.service.get_conversation(owner=user.owner, conversation_id=conversation_id)


async def test_title_is_found_also_after_a_change_of_it(user, find, service, rename) -> None:
    conversation_id = await user.conversation("something else")
    await rename(conversation_id, "Ships of Rome")
    assert await find(user, "rome ships") == [(conversation_id, None)]
    assert await find(user, "ships something") == []
    await rename(conversation_id, "Prows")
    assert await find(user, "ships") == []
    changes = ConversationChanges(metadata={"a": "ships"}, archived=True)
    await service.update_conversation(owner=user.owner, conversation_id=conversation_id, changes=changes)
    assert await find(user, "prows") == [(conversation_id, None)]
    await rename(conversation_id, "")
    assert await find(user, "prows") == []


async def test_only_members_of_conversations_are_found(user, find) -> None:
    conversation_id = await user.conversation("titled")
    await user.turn("chained", "chained")
    failed = await user.begin("failing", conversation=conversation_id)
    await user.end(failed, "failing", status="failed")
    running = await user.begin("running", conversation=conversation_id)
    assert [await find(user, word) for word in ("chained", "failing", "running")] == [[], [], []]
    await user.end(running, "answered")
    _, given, answer = await user.members(conversation_id)
    assert await find(user, "running") == [(conversation_id, given.id)]
    assert await find(user, "answered") == [(conversation_id, answer.id)]


async def test_deleted_item_conversation_or_owner_is_not_found(user, new_user, find, service, rename) -> None:
    other = new_user()
    theirs = await other.conversation("prows")
    first, second = [await user.conversation("prows", "more prows") for _ in range(2)]
    await rename(first, "")
    for item in await user.members(first):
        await service.delete_item(owner=user.owner, conversation_id=first, item_id=item.id)
    assert [conversation_id for conversation_id, _ in await find(user, "prows")] == [second]
    await service.delete_conversation(owner=user.owner, conversation_id=second)
    assert await find(user, "prows") == []
    await user.conversation("prows")
    await service.delete_user_data(owner=user.owner)
    assert await find(user, "prows") == []
    assert [conversation_id for conversation_id, _ in await find(other, "prows")] == [theirs]


async def test_title_made_from_the_first_message_is_found(user, find) -> None:
    conversation_id = await user.conversation()
    await user.turn("prows", "ships", conversation=conversation_id)
    given, _ = await user.members(conversation_id)
    assert await find(user, "prows") == [(conversation_id, given.id)]
    await user.service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=given.id)
    assert await find(user, "prows") == [(conversation_id, None)]


async def test_response_that_ends_in_a_deleted_conversation_is_not_found(user, find, service) -> None:
    conversation_id = await user.conversation("prows")
    response_id = await user.begin("prows", conversation=conversation_id)
    await service.delete_conversation(owner=user.owner, conversation_id=conversation_id)
    await user.end(response_id, "prows")
    assert await find(user, "prows") == []


async def test_pages_show_each_conversation_once(user, find, service) -> None:
    created = [await user.conversation(*["prows"] * 5) for _ in range(5)]
    for conversation_id in created[:3]:
        await user.say(conversation_id, "prows again")
    order = [*created[2::-1], *created[:2:-1]]
    first = await find(user, "prows", limit=2)
    rest = await find(user, "prows", after=first[-1][1])
    assert [conversation_id for conversation_id, _ in [*first, *rest]] == order
    # What a client pages by may be deleted in the meantime; what its conversation has beside it comes in its own place.
    await service.delete_item(owner=user.owner, conversation_id=first[-1][0], item_id=first[-1][1])
    assert (await find(user, "prows", after=first[-1][1]))[:3] == rest


async def test_page_goes_on_after_a_title(user, find, rename) -> None:
    created = [await user.conversation() for _ in range(4)]
    for conversation_id in created:
        await rename(conversation_id, "prows")
    assert await find(user, "prows", after=created[2]) == [(created[1], None), (created[0], None)]


async def test_more_hits_than_are_read_at_once_hide_no_conversation(user, find) -> None:
    old = await user.conversation("prows")
    await user.conversation()
    crowded = await user.conversation()
    for _ in range(23):
        await user.say(crowded, *["prows"] * 20)
    assert [conversation_id for conversation_id, _ in await find(user, "prows")] == [crowded, old]
    assert len(await find(user, "prows", limit=1)) == 1


async def test_search_over_another_replica_sees_what_was_just_said(user, open_store) -> None:
    conversation_id = await user.conversation()
    async with open_store() as other:
        for number in range(5):
            await user.say(conversation_id, f"word{number}")
            found = await SearchService(other.search).search(
                owner=user.owner, query=f"word{number}", page=PageRequest(limit=1)
            )
            assert len(found.elements) == 1


async def test_unknown_after_is_an_invalid_argument(user, new_user, find) -> None:
    foreign_id = await new_user().conversation("prows")
    chained = await user.turn("prows", "prows")
    [unplaced] = await user.input(chained)
    for after in ("msg_unknown", foreign_id, unplaced.id):
        with pytest.raises(InvalidArgumentError) as caught:
            await find(user, "prows", after=after)
        assert caught.value.param == "after"


@pytest.mark.parametrize(
    "query",
    ["", " ", "?! \x00", "a" * (MAX_QUERY_LENGTH + 1), " ".join(f"w{number}" for number in range(MAX_QUERY_TERMS + 1))],
)
async def test_query_without_words_or_with_too_many_is_refused(user, find, query) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await find(user, query)
    assert caught.value.param == "query"


async def test_queries_that_look_like_operators_are_words(user, find) -> None:
    conversation_id = await user.conversation('$where {"$gt": ""} OR 1=1; DROP TABLE posting --')
    for query in ('{"$gt": ""}', "' OR 1=1 --", "$where", "NEAR(gt where)"):
        expected = [] if "NEAR" in query else [conversation_id]
        assert [found_id for found_id, _ in await find(user, query)] == expected


async def test_deleting_while_searching_raises_nothing(user, find, service) -> None:
    created = [await user.conversation("prows") for _ in range(10)]
    deletions = [service.delete_conversation(owner=user.owner, conversation_id=name) for name in created[::2]]
    *_, found = await asyncio.gather(*deletions, find(user, "prows"))
    assert {name for name, _ in found} >= set(created[1::2])


@BOUNDED
@given(steps=steps, queries=st.lists(queries, min_size=1, max_size=3), limit=st.integers(1, 3), pace=st.integers(1, 5))
async def test_any_corpus_is_searched_as_by_looking_at_everything(store, user_of, steps, queries, limit, pace) -> None:
    corpus = Corpus(store, user_of)
    clock = itertools.count(9_000_000)
    # Several things happen at one moment.
    await corpus.run(steps, now_us=lambda: next(clock) // pace)
    for owner in range(OWNERS):
        for query in [*queries, *filter(str.isalnum, WORDS)]:
            found = await corpus.find(owner, query, limit=limit)
            assert [(match.conversation.id, match.id) for match in found] == corpus.expected(owner, query)


@pytest.mark.integration
@BOUNDED
@given(steps=steps, owner=owners, query=queries, limit=st.integers(1, 3))
async def test_both_stores_find_the_same(tmp_path_factory, documentdb_settings, user_of, steps, owner, query, limit):
    path = tmp_path_factory.mktemp("both") / "history.db"
    async with open_sqlite_store(path) as sqlite, open_documentdb_store(documentdb_settings) as documentdb:
        await documentdb.ping()
        found = []
        for store in (sqlite, documentdb):
            corpus = Corpus(store, user_of)
            await corpus.run(steps)
            found.append(
                [
                    (corpus.labels[match.id], corpus.labels[match.conversation.id], match.snippet, match.create_time_us)
                    for match in await corpus.find(owner, query, limit=limit)
                ]
            )
    assert found[0] == found[1]
