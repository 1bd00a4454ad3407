"""What every store does with conversations."""

import asyncio

import pytest

from rostra_history.domain import PageRequest
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


async def test_update_replaces_metadata_and_keeps_an_absent_title(service, user) -> None:
    conversation_id = await user.conversation()
    key = {"owner": user.owner, "conversation_id": conversation_id}
    first = await service.update_conversation(**key, metadata={"a": "1"}, title="Trip\x00")
    second = await service.update_conversation(**key, metadata={"b": "2"}, title=None)
    assert (second.metadata, second.title) == ({"b": "2"}, "Trip\x00")
    assert second.update_time_us > first.update_time_us
    assert await service.get_conversation(**key) == second
    assert (await service.update_conversation(**key, metadata={}, title="")).title == ""


async def test_update_does_not_lose_parallel_items(service, user) -> None:
    conversation_id = await user.conversation()
    updates = [
        service.update_conversation(
            owner=user.owner, conversation_id=conversation_id, metadata={"n": str(n)}, title=None
        )
        for n in range(10)
    ]
    await asyncio.gather(*updates, *(user.say(conversation_id, str(n)) for n in range(10)))
    assert sorted(await user.texts(conversation_id)) == sorted(map(str, range(10)))


@pytest.mark.parametrize("descending", [True, False])
async def test_pages_show_every_conversation_once(service, user, descending) -> None:
    created = [await user.conversation() for _ in range(7)]
    expected = created[::-1] if descending else created
    seen, after_id, more = [], None, True
    while more:
        page = await service.list_conversations(
            owner=user.owner, page=PageRequest(limit=3, after_id=after_id, descending=descending)
        )
        seen += [conversation.id for conversation in page.elements]
        after_id, more = seen[-1], page.has_more
    assert seen == expected


async def test_conversations_of_one_moment_are_paged_by_id(store, new_user) -> None:
    user = new_user()
    user.service._now_us = lambda: 1_800_000_000_000_000
    created = sorted([await user.conversation() for _ in range(5)])
    first = await store.conversations.list_page(owner=user.owner, page=PageRequest(limit=2, descending=False))
    after_id = first.elements[-1].id
    rest = await store.conversations.list_page(
        owner=user.owner, page=PageRequest(limit=3, after_id=after_id, descending=False)
    )
    assert [conversation.id for conversation in [*first.elements, *rest.elements]] == created
    assert (first.has_more, rest.has_more) == (True, False)


async def test_unknown_after_is_an_invalid_argument(service, user, new_user) -> None:
    foreign = await new_user().conversation()
    for after_id in ("conv_unknown", foreign):
        with pytest.raises(InvalidArgumentError) as caught:
            await service.list_conversations(owner=user.owner, page=PageRequest(limit=3, after_id=after_id))
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
    page = await service.list_conversations(owner=user.owner, page=PageRequest(limit=9))
    assert page.elements == []


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
