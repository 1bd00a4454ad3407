"""What every store does with items."""

import asyncio
import json

import pytest

from rostra_history.domain import ConversationChanges, ConversationFilter, PageRequest
from rostra_history.errors import ConversationNotFound, ItemNotFound
from rostra_kit.errors import InvalidArgumentError

DEEP = {"type": "message", "role": "user", "content": []}
DEEP["nested"] = json.loads("[" * 200 + "]" * 200)
ODD_ITEMS = [
    {"role": "user", "content": "nul \x00 and \u2028, 🚢, \U0010ffff, e\u0301"},
    {"role": "user", "content": "", "big": 2**70, "small": -(2**63) - 1, "exact": 0.1, "none": None},
    {"role": "user", "content": "", "$set": {"a.b": {"": 1, "\x00": 2, "$": 3}}, "_id": 5},
    {"type": "web_search_call", "action": {"query": "x" * 1_000_000}},
    DEEP,
]


@pytest.mark.parametrize("item", ODD_ITEMS, ids=["text", "numbers", "keys", "large", "deep"])
async def test_odd_json_comes_back_exactly(service, user, item) -> None:
    conversation_id = await user.conversation()
    [created] = await service.create_items(owner=user.owner, conversation_id=conversation_id, items=[item])
    loaded = await service.get_item(owner=user.owner, conversation_id=conversation_id, item_id=created.id)
    assert loaded == created
    body = json.loads(loaded.body)
    assert body["id"] == loaded.id
    known = {name: value for name, value in item.items() if name != "content"}
    assert known.items() <= body.items()


async def test_appended_items_follow_one_another(user) -> None:
    conversation_id = await user.conversation("one")
    await user.say(conversation_id, "two", "three")
    members = await user.members(conversation_id)
    assert [item.seq for item in members] == [0, 1, 2]
    assert [item.parent_id for item in members] == [None, members[0].id, members[1].id]
    assert await user.context(conversation=conversation_id) == ["one", "two", "three"]


async def test_parallel_appends_lose_nothing_and_make_one_path(store, user) -> None:
    conversation_id = await user.conversation("root")
    batches = await asyncio.gather(*(user.say(conversation_id, f"{n}a", f"{n}b") for n in range(25)))
    members = await user.members(conversation_id)
    assert [item.seq for item in members] == list(range(51))
    assert [item.parent_id for item in members[1:]] == [item.id for item in members[:-1]]
    assert {item.id for batch in batches for item in batch} == {item.id for item in members[1:]}
    assert all(second.parent_id == first.id for first, second in batches)
    assert await user.context(conversation=conversation_id) == await user.texts(conversation_id)
    conversation = await store.conversations.get(owner=user.owner, conversation_id=conversation_id)
    assert (conversation.next_seq, conversation.leaf_id) == (51, members[-1].id)


@pytest.mark.parametrize("descending", [True, False])
async def test_pages_show_each_of_a_thousand_items_once(service, user, descending) -> None:
    conversation_id = await user.conversation()
    expected = []
    for start in range(0, 1000, 20):
        texts = [str(n) for n in range(start, start + 20)]
        expected += [item.id for item in await user.say(conversation_id, *texts)]
    seen, after_id, more = [], None, True
    while more:
        page = await service.list_items(
            owner=user.owner,
            conversation_id=conversation_id,
            page=PageRequest(limit=100, after_id=after_id, descending=descending),
        )
        seen += [item.id for item in page.elements]
        after_id, more = seen[-1], page.has_more
    assert seen == (expected[::-1] if descending else expected)


async def test_unknown_after_is_an_invalid_argument(service, user) -> None:
    conversation_id, elsewhere = await user.conversation("one"), await user.conversation("two")
    [foreign] = await user.members(elsewhere)
    for after_id in ("msg_unknown", foreign.id):
        with pytest.raises(InvalidArgumentError) as caught:
            await service.list_items(
                owner=user.owner, conversation_id=conversation_id, page=PageRequest(limit=1, after_id=after_id)
            )
        assert caught.value.param == "after"


async def test_deleted_item_is_gone_and_later_items_keep_their_path(service, user) -> None:
    conversation_id = await user.conversation("one", "two", "three")
    _, second, third = await user.members(conversation_id)
    before = await service.get_conversation(owner=user.owner, conversation_id=conversation_id)
    for item in (second, third):
        conversation = await service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=item.id)
        assert conversation.update_time_us > before.update_time_us
        with pytest.raises(ItemNotFound):
            await service.get_item(owner=user.owner, conversation_id=conversation_id, item_id=item.id)
        with pytest.raises(ItemNotFound):
            await service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=item.id)
    await user.say(conversation_id, "four")
    assert await user.texts(conversation_id) == ["one", "four"]
    assert await user.context(conversation=conversation_id) == ["one", "four"]


async def test_deleted_item_leaves_no_text_behind(store, service, user) -> None:
    conversation_id = await user.conversation("secret")
    [item] = await user.members(conversation_id)
    await service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=item.id)
    [tombstone] = await store.items.load_thread(owner=user.owner, thread_id=conversation_id, end_seq=9)
    assert (tombstone.deleted, tombstone.body) == (True, "")


async def test_items_can_be_deleted_while_they_are_paged_through(service, user) -> None:
    conversation_id = await user.conversation(*map(str, range(5)))
    after_id, seen = None, []
    for _ in range(5):
        page = await service.list_items(
            owner=user.owner, conversation_id=conversation_id, page=PageRequest(limit=1, after_id=after_id)
        )
        [item] = page.elements
        await service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=item.id)
        after_id = item.id
        seen.append(page.has_more)
    assert seen == [True, True, True, True, False]
    assert await user.texts(conversation_id) == []


async def test_references_are_resolved_in_their_order_wherever_the_items_are(service, user) -> None:
    conversation_id = await user.conversation("one", "two")
    one, two = await user.members(conversation_id)
    [three] = await user.input(await user.turn("three", "four"))
    wanted = [three.id, two.id, one.id, two.id]
    loaded = await service.load_context(owner=user.owner, previous_response_id="", conversation_id="", item_ids=wanted)
    assert [item.id for item in loaded.referenced] == wanted
    assert loaded.items == []


async def test_nothing_of_another_owner_is_found(service, user, new_user) -> None:
    conversation_id = await user.conversation("one")
    [item] = await user.members(conversation_id)
    thief = new_user().owner
    key = {"owner": thief, "conversation_id": conversation_id}
    page = PageRequest(limit=5)
    conversation_calls = [
        service.get_conversation(**key),
        service.update_conversation(**key, changes=ConversationChanges(title="mine", active_item_id=item.id)),
        service.delete_conversation(**key),
        service.create_items(**key, items=[{"role": "user", "content": "x"}]),
        service.list_items(**key, page=page),
        service.delete_item(**key, item_id=item.id),
        service.load_context(**key, previous_response_id="", item_ids=[]),
    ]
    for call in conversation_calls:
        with pytest.raises(ConversationNotFound):
            await call
    with pytest.raises(ItemNotFound):
        await service.get_item(**key, item_id=item.id)
    with pytest.raises(ItemNotFound):
        await service.load_context(owner=thief, previous_response_id="", conversation_id="", item_ids=[item.id])
    assert (await service.list_conversations(owner=thief, wanted=ConversationFilter(), page=page)).elements == []
    assert await user.texts(conversation_id) == ["one"]


async def test_item_of_another_conversation_is_not_found(service, user) -> None:
    conversation_id, elsewhere = await user.conversation("one"), await user.conversation("two")
    [item] = await user.members(elsewhere)
    with pytest.raises(ItemNotFound):
        await service.get_item(owner=user.owner, conversation_id=conversation_id, item_id=item.id)
    with pytest.raises(ItemNotFound):
        await service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=item.id)
    assert await user.texts(elsewhere) == ["two"]
