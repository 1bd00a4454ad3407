"""What every store does with conversations."""

import asyncio

import pytest

from rostra_history.domain import ConversationFilter, ConversationTime, PageRequest
from rostra_history.drafts import NewItem
from rostra_history.errors import ConversationNotFound, ItemNotFound, ResponseNotFound
from rostra_kit.errors import InvalidArgumentError


async def test_created_conversation_is_read_back_at_once_by_another_replica(service, user, open_store) -> None:
    created = await service.create_conversation(owner=user.owner, metadata={"a": "1"}, items=[])
    async with open_store() as other:
        assert await other.conversations.get(owner=user.owner, conversation_id=created.id) == created
    assert created.id.startswith("conv_")


async def test_first_items_are_members_in_order(user) -> None:
    conversation_id = await user.conversation("one", "two", "three")
    assert await user.texts(conversation_id) == ["one", "two", "three"]
    assert await user.context(conversation=conversation_id) == ["one", "two", "three"]


async def test_metadata_comes_back_exactly(service, user) -> None:
    metadata = {"$set": "x", "a.b": "", "": "empty", "nul\x00": "\x00", "Zoë 🚢": "\u2028"}
    created = await service.create_conversation(owner=user.owner, metadata=metadata, items=[])
    loaded = await service.get_conversation(owner=user.owner, conversation_id=created.id)
    assert loaded.metadata == metadata


async def test_update_changes_what_is_given_and_keeps_the_rest(service, user) -> None:
    conversation_id = await user.conversation()
    first = await user.change(conversation_id, metadata={"a": "1"}, title="Trip\x00", archived=True)
    second = await user.change(conversation_id, metadata={"b": "2"})
    assert (second.metadata, second.title, second.archived) == ({"b": "2"}, "Trip\x00", True)
    assert second.update_time_us > first.update_time_us
    assert await service.get_conversation(owner=user.owner, conversation_id=conversation_id) == second
    third = await user.change(conversation_id, metadata={}, title="", archived=False)
    assert (third.metadata, third.title, third.archived) == ({}, "", False)


async def test_update_does_not_lose_parallel_items(user) -> None:
    conversation_id = await user.conversation()
    updates = [user.change(conversation_id, metadata={"n": str(n)}) for n in range(10)]
    await asyncio.gather(*updates, *(user.say(conversation_id, str(n)) for n in range(10)))
    assert sorted(await user.texts(conversation_id)) == sorted(map(str, range(10)))


@pytest.mark.parametrize("descending", [True, False])
async def test_pages_show_every_conversation_once(service, user, descending) -> None:
    created = [await user.conversation() for _ in range(7)]
    expected = created[::-1] if descending else created
    seen, after_id, more = [], None, True
    while more:
        page = await service.list_conversations(
            owner=user.owner,
            wanted=ConversationFilter(),
            page=PageRequest(limit=3, after_id=after_id, descending=descending),
        )
        seen += [conversation.id for conversation in page.elements]
        after_id, more = seen[-1], page.has_more
    assert seen == expected


async def test_conversations_of_one_moment_are_paged_by_id(store, new_user) -> None:
    user = new_user()
    user.service._now_us = lambda: 1_800_000_000_000_000
    created = sorted([await user.conversation() for _ in range(5)])
    first = await store.conversations.list_page(
        owner=user.owner, wanted=ConversationFilter(), page=PageRequest(limit=2, descending=False)
    )
    after_id = first.elements[-1].id
    rest = await store.conversations.list_page(
        owner=user.owner,
        wanted=ConversationFilter(),
        page=PageRequest(limit=3, after_id=after_id, descending=False),
    )
    assert [conversation.id for conversation in [*first.elements, *rest.elements]] == created
    assert (first.has_more, rest.has_more) == (True, False)


async def test_list_shows_the_archived_or_the_others(user) -> None:
    ids = [await user.conversation() for _ in range(4)]
    for conversation_id in ids[1:3]:
        await user.change(conversation_id, archived=True)
    assert await user.listed() == [ids[3], ids[0]]
    assert await user.listed(archived=True) == [ids[2], ids[1]]
    await user.change(ids[2], archived=False)
    assert await user.listed() == [ids[3], ids[2], ids[0]]
    assert await user.listed(archived=True) == [ids[1]]


async def test_page_begins_after_a_conversation_that_was_just_archived(user) -> None:
    ids = [await user.conversation() for _ in range(3)]
    await user.change(ids[1], archived=True)
    assert await user.listed(after_id=ids[1]) == [ids[0]]


async def test_list_by_update_time_follows_every_change(user) -> None:
    ids = [await user.conversation("one") for _ in range(4)]
    await user.say(ids[1], "two")
    await user.change(ids[0], title="New")
    order = [ids[0], ids[1], ids[3], ids[2]]
    assert await user.listed(order_by=ConversationTime.UPDATED) == order
    assert await user.listed(order_by=ConversationTime.UPDATED, descending=False) == order[::-1]
    assert await user.listed(order_by=ConversationTime.UPDATED, after_id=ids[1]) == [ids[3], ids[2]]
    await user.change(ids[3], title="Newer")
    # The page begins after the place that the conversation has now.
    assert await user.listed(order_by=ConversationTime.UPDATED, after_id=ids[3]) == [ids[0], ids[1], ids[2]]


@pytest.mark.parametrize("order_by", list(ConversationTime))
@pytest.mark.parametrize("descending", [True, False])
async def test_list_is_bounded_by_time_of_creation(service, user, order_by, descending) -> None:
    ids = [await user.conversation() for _ in range(6)]
    times = [
        (await service.get_conversation(owner=user.owner, conversation_id=conversation_id)).create_time_us
        for conversation_id in ids
    ]
    wanted = {"order_by": order_by, "descending": descending}
    turn = -1 if descending else 1
    assert await user.listed(**wanted, min_create_time_us=times[1], max_create_time_us=times[4]) == ids[1:4][::turn]
    assert await user.listed(**wanted, min_create_time_us=times[5]) == ids[5:]
    assert await user.listed(**wanted, max_create_time_us=times[0]) == []
    after = ids[3] if descending else ids[1]
    rest = ids[2:3] if descending else ids[2:4]
    bounds = {"min_create_time_us": times[2], "max_create_time_us": times[4]}
    assert await user.listed(**wanted, **bounds, after_id=after) == rest


async def test_unknown_after_is_an_invalid_argument(user, new_user) -> None:
    foreign = await new_user().conversation()
    for after_id in ("conv_unknown", foreign):
        with pytest.raises(InvalidArgumentError) as caught:
            await user.listed(after_id=after_id)
        assert caught.value.param == "after"


async def test_deleted_conversation_takes_its_thread_along(service, user) -> None:
    conversation_id = await user.conversation("one")
    response_id = await user.turn("two", "three", conversation=conversation_id)
    [first, *_] = await user.members(conversation_id)
    await service.delete_conversation(owner=user.owner, conversation_id=conversation_id)
    with pytest.raises(ConversationNotFound):
        await service.get_conversation(owner=user.owner, conversation_id=conversation_id)
    with pytest.raises(ConversationNotFound):
        await service.delete_conversation(owner=user.owner, conversation_id=conversation_id)
    with pytest.raises(ConversationNotFound):
        await user.say(conversation_id, "four")
    with pytest.raises(ResponseNotFound):
        await service.get_response(owner=user.owner, response_id=response_id)
    with pytest.raises(ItemNotFound):
        await service.load_context(owner=user.owner, previous_response_id="", conversation_id="", item_ids=[first.id])
    assert await user.listed() == []


async def test_response_running_in_a_deleted_conversation_still_finishes(service, user) -> None:
    conversation_id = await user.conversation("one")
    response_id = await user.begin("two", conversation=conversation_id)
    await service.delete_conversation(owner=user.owner, conversation_id=conversation_id)
    await user.end(response_id, "three")
    assert await user.output(response_id) == ["three"]
    assert await user.context(previous=response_id) == ["two", "three"]
    await service.delete_response(owner=user.owner, response_id=response_id)
    with pytest.raises(ResponseNotFound):
        await user.output(response_id)


async def test_deleted_owner_has_nothing_and_others_keep_theirs(service, user, new_user) -> None:
    other = new_user()
    mine, theirs = await user.conversation("mine"), await other.conversation("theirs")
    response_id = await user.turn("a", "b")
    await service.delete_user_data(owner=user.owner)
    await service.delete_user_data(owner=user.owner)
    with pytest.raises(ConversationNotFound):
        await user.texts(mine)
    with pytest.raises(ResponseNotFound):
        await user.output(response_id)
    assert await other.texts(theirs) == ["theirs"]


async def test_conversation_is_named_after_its_first_turn(service, user) -> None:
    created = await user.conversation("What is a\nrostra?", "And")
    by_items, by_response = await user.conversation(), await user.conversation()
    assert await user.title(by_items) == ""
    await user.say(by_items, "Hello there")
    await user.begin("Run", conversation=by_response)
    assert [await user.title(name) for name in (created, by_items, by_response)] == ["What is a", "Hello there", "Run"]
    await user.say(by_items, "More")
    await user.begin("More", conversation=by_response)
    await user.begin("Again", conversation=by_items)
    assert [await user.title(name) for name in (by_items, by_response)] == ["Hello there", "Run"]


async def test_title_given_by_hand_wins_over_a_turn_under_way(store, service, user) -> None:
    conversation_id = await user.conversation()
    before = await user.change(conversation_id, title="Mine")
    await store.conversations.name(owner=user.owner, conversation_id=conversation_id, title="Made", now_us=1)
    assert await service.get_conversation(owner=user.owner, conversation_id=conversation_id) == before
    await store.conversations.name(owner=user.owner, conversation_id="conv_unknown", title="Made", now_us=1)


async def test_emptied_title_is_made_from_the_owners_next_turn(store, user, new_user) -> None:
    conversation_id = await user.conversation("one")
    await user.change(conversation_id, title="")
    thief = new_user().owner
    await store.conversations.name(owner=thief, conversation_id=conversation_id, title="Theirs", now_us=1)
    assert await user.title(conversation_id) == ""
    await user.turn("two", "three", conversation=conversation_id)
    assert await user.title(conversation_id) == "two"


async def test_body_that_cannot_be_parsed_gives_no_title_and_no_error(service, user) -> None:
    conversation_id = await user.conversation()
    await service.create_response(
        owner=user.owner,
        response_id=f"resp_{user.owner}",
        previous_response_id="",
        conversation_id=conversation_id,
        body="{}",
        items=[NewItem(f"msg_{user.owner}", "[" * 100_000)],
    )
    assert await user.title(conversation_id) == ""
