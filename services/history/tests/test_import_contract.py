"""What every store does with conversations that are imported."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from rostra_history.domain import ConversationFilter, Item, PageRequest
from rostra_history.feedback import Feedback, Rating
from rostra_history.import_service import ImportService
from rostra_history.imports import MAX_IMPORTED_ITEMS, ImportedConversation, ImportedItem
from rostra_history.metrics import HistoryMetrics
from rostra_kit.errors import InvalidArgumentError

NOW_US = 1_700_000_000_000_000


@pytest.fixture
def imports(store) -> ImportService:
    return ImportService(store=store, metrics=HistoryMetrics(CollectorRegistry()), now_us=lambda: NOW_US)


def said(key: str, parent_key: str = "", *, create_time_us: int | None = None, text: str = "") -> ImportedItem:
    body = json.dumps({"role": "user", "content": text or key})
    return ImportedItem(key=key, parent_key=parent_key, body=body, create_time_us=create_time_us)


def chain(count: int) -> list[ImportedItem]:
    return [said(str(n), str(n - 1) if n else "") for n in range(count)]


def text_of(item: Item) -> str:
    return json.loads(item.body)["content"][0]["text"]


async def stored(store, owner: str, conversation_id: str) -> list[Item]:
    return await store.items.load_thread(owner=owner, thread_id=conversation_id, end_seq=2**31)


def shape(items: Sequence[Item]) -> list[tuple[str, str | None]]:
    """Return each item's text with that of the one before it."""
    texts = {item.id: text_of(item) for item in items}
    return [(texts[item.id], texts[item.parent_id] if item.parent_id else None) for item in items]


async def test_imported_conversation_is_as_it_was_elsewhere(imports, store, user, open_store) -> None:
    imported = ImportedConversation(
        title="Rome",
        metadata={"a": "1"},
        archived=True,
        create_time_us=5,
        update_time_us=7,
        items=[said("a", create_time_us=6), said("b", "a"), said("c", "a", create_time_us=8)],
        active_key="b",
    )
    conversation = await imports.import_conversation(owner=user.owner, imported=imported)
    async with open_store() as other:
        assert await other.conversations.get(owner=user.owner, conversation_id=conversation.id) == conversation
        items = await stored(other, user.owner, conversation.id)
    assert (conversation.title, conversation.metadata, conversation.archived) == ("Rome", {"a": "1"}, True)
    assert (conversation.create_time_us, conversation.update_time_us) == (5, 7)
    assert shape(items) == [("a", None), ("b", "a"), ("c", "a")]
    assert [item.create_time_us for item in items] == [6, 5, 8]
    assert conversation.leaf_id == items[1].id
    assert conversation.switch_count > 0


async def test_context_of_an_import_is_its_active_branch(imports, user) -> None:
    items = [said("a"), said("b", "a"), said("c", "b"), said("d", "a")]
    imported = ImportedConversation(items=items, active_key="c")
    conversation = await imports.import_conversation(owner=user.owner, imported=imported)
    assert await user.context(conversation=conversation.id) == ["a", "b", "c"]
    await user.say(conversation.id, "e")
    assert await user.context(conversation=conversation.id) == ["a", "b", "c", "e"]


async def test_import_with_branches_goes_on_like_any_other(imports, store, user) -> None:
    items = [said("a"), said("b", "a"), said("c", "a")]
    imported = ImportedConversation(items=items, active_key="b")
    conversation = await imports.import_conversation(owner=user.owner, imported=imported)
    await user.turn("q", "r", conversation=conversation.id)
    await user.say(conversation.id, "s")
    assert await user.context(conversation=conversation.id) == ["a", "b", "q", "r", "s"]
    assert len(await stored(store, user.owner, conversation.id)) == 6


async def test_import_without_an_active_item_begins_anew(imports, store, user) -> None:
    imported = ImportedConversation(items=chain(2), active_key="")
    conversation = await imports.import_conversation(owner=user.owner, imported=imported)
    assert conversation.leaf_id is None
    await user.say(conversation.id, "new")
    assert await user.context(conversation=conversation.id) == ["new"]
    assert len(await stored(store, user.owner, conversation.id)) == 3


async def test_feedback_comes_along(imports, store, user) -> None:
    opinion = Feedback(rating=Rating.NEGATIVE, comment="wrong", update_time_us=3)
    items = [said("a"), replace(said("b", "a"), feedback=opinion)]
    conversation = await imports.import_conversation(owner=user.owner, imported=ImportedConversation(items=items))
    assert [item.feedback for item in await stored(store, user.owner, conversation.id)] == [None, opinion]


async def test_times_that_are_not_told_are_now(imports, store, user) -> None:
    conversation = await imports.import_conversation(owner=user.owner, imported=ImportedConversation(items=chain(1)))
    assert (conversation.create_time_us, conversation.update_time_us) == (NOW_US, NOW_US)
    assert [item.create_time_us for item in await stored(store, user.owner, conversation.id)] == [NOW_US]


async def test_conversation_of_two_thousand_items_is_imported_in_order(imports, store, user) -> None:
    imported = ImportedConversation(items=chain(2_000))
    conversation = await imports.import_conversation(owner=user.owner, imported=imported)
    items = await stored(store, user.owner, conversation.id)
    assert [text_of(item) for item in items] == [str(n) for n in range(2_000)]
    assert conversation.switch_count == 0
    await user.say(conversation.id, "more")
    assert (await user.context(conversation=conversation.id))[-2:] == ["1999", "more"]


@pytest.mark.parametrize(
    ("items", "active_key", "param"),
    [
        ([said("a"), said("a")], None, "items[1].key"),
        ([said("")], None, "items[0].key"),
        ([said("a", "b"), said("b")], None, "items[0].parent_key"),
        ([said("a", "a")], None, "items[0].parent_key"),
        ([said("a")], "b", "active_key"),
        ([ImportedItem(key="a", parent_key="", body="{")], None, "items[0]"),
        ([ImportedItem(key="a", parent_key="", body='{"role": "king", "content": ""}')], None, "items[0].role"),
        ([ImportedItem(key="a", parent_key="", body="NaN")], None, "items[0]"),
        ([ImportedItem(key="a", parent_key="", body="[" * 100_000)], None, "items[0]"),
        ([said("a")] * (MAX_IMPORTED_ITEMS + 1), None, "items"),
    ],
)
async def test_import_that_cannot_be_is_refused_whole(imports, service, user, items, active_key, param) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await imports.import_conversation(
            owner=user.owner, imported=ImportedConversation(items=items, active_key=active_key)
        )
    assert caught.value.param == param
    page = await service.list_conversations(owner=user.owner, wanted=ConversationFilter(), page=PageRequest(limit=1))
    assert page.elements == []


trees = st.lists(st.integers(-1, 30), min_size=1, max_size=30).map(
    lambda parents: [
        said(str(n), str(min(parent, n - 1)) if min(parent, n - 1) >= 0 else "") for n, parent in enumerate(parents)
    ]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=trees, active=st.integers(0, 29))
async def test_any_tree_is_imported_as_it_is(imports, store, user, items, active) -> None:
    active_key = items[active % len(items)].key
    imported = ImportedConversation(items=items, active_key=active_key)
    conversation = await imports.import_conversation(owner=user.owner, imported=imported)
    kept = await stored(store, user.owner, conversation.id)
    assert shape(kept) == [(item.key, item.parent_key or None) for item in items]
    parents = {item.key: item.parent_key for item in items}
    path = [active_key]
    while parents[path[0]]:
        path.insert(0, parents[path[0]])
    assert await user.context(conversation=conversation.id) == path


@pytest.mark.parametrize("descending", [True, False])
async def test_pages_show_every_response_once(service, user, descending) -> None:
    made = [await user.turn(str(n), "answer") for n in range(5)]
    made.append(await user.begin("still running"))
    seen, after_id, has_more = [], None, True
    while has_more:
        page = await service.list_responses(
            owner=user.owner, page=PageRequest(limit=2, after_id=after_id, descending=descending)
        )
        seen += [response.id for response in page.elements]
        after_id, has_more = seen[-1], page.has_more
    assert seen == (made[::-1] if descending else made)


async def test_list_of_responses_begins_after_one_that_is_there(service, user, new_user) -> None:
    other = await new_user().turn("q", "a")
    with pytest.raises(InvalidArgumentError) as caught:
        await service.list_responses(owner=user.owner, page=PageRequest(limit=2, after_id=other))
    assert caught.value.param == "after"
