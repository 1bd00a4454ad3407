"""What every store does with feedback."""

import asyncio

import pytest

from rostra_history.errors import ConversationNotFound, FeedbackNotFound, ItemNotFound
from rostra_history.feedback import Feedback, Rating
from rostra_kit.errors import InvalidArgumentError

ODD = "nul \x00 and \u2028, 🚢, \U0010ffff, e\u0301, $set, 'quoted' \\"


@pytest.fixture
async def item(user) -> dict[str, str]:
    """Names an item of the user's."""
    conversation_id = await user.conversation("one", "two")
    [item, _] = await user.members(conversation_id)
    return {"owner": user.owner, "conversation_id": conversation_id, "item_id": item.id}


@pytest.mark.parametrize("comment", ["", "Just so.", ODD, "🚢" * 2_000], ids=["none", "short", "odd", "longest"])
async def test_feedback_is_kept_and_read_by_any_replica(feedback, clock, open_store, item, comment: str) -> None:
    given = await feedback.update(**item, rating=Rating.POSITIVE, comment=comment)
    assert given == Feedback(rating=Rating.POSITIVE, comment=comment, update_time_us=clock())
    assert await feedback.get(**item) == given
    async with open_store() as other:
        assert (await other.items.get(**item)).feedback == given


async def test_feedback_takes_the_place_of_the_one_before(service, feedback, clock, user, item) -> None:
    before = await service.get_item(**item)
    await feedback.update(**item, rating=Rating.POSITIVE, comment="Good.")
    clock.advance(seconds=1)
    second = await feedback.update(**item, rating=Rating.NEGATIVE, comment="")
    assert await feedback.get(**item) == second
    after = await service.get_item(**item)
    assert (after.body, after.seq, after.parent_id) == (before.body, before.seq, before.parent_id)
    [_, other] = await user.members(item["conversation_id"])
    assert other.feedback is None


async def test_forgotten_feedback_is_not_found(feedback, item) -> None:
    await feedback.update(**item, rating=Rating.POSITIVE, comment="")
    await feedback.delete(**item)
    for call in (feedback.get(**item), feedback.delete(**item)):
        with pytest.raises(FeedbackNotFound):
            await call


async def test_item_without_feedback_has_none(feedback, item) -> None:
    for call in (feedback.get(**item), feedback.delete(**item)):
        with pytest.raises(FeedbackNotFound):
            await call


async def test_deleted_item_has_no_feedback(service, store, feedback, item) -> None:
    await feedback.update(**item, rating=Rating.POSITIVE, comment="secret")
    await service.delete_item(**item)
    await assert_no_such_item(feedback, item)
    thread = {"owner": item["owner"], "thread_id": item["conversation_id"], "end_seq": 1}
    [tombstone] = await store.items.load_thread(**thread)
    assert (tombstone.deleted, tombstone.feedback) == (True, None)


async def test_item_that_is_deleted_meanwhile_keeps_no_feedback(service, store, feedback, user) -> None:
    conversation_id = await user.conversation(*map(str, range(20)))
    names = [
        {"owner": user.owner, "conversation_id": conversation_id, "item_id": item.id}
        for item in await user.members(conversation_id)
    ]
    ratings = (feedback.update(**name, rating=Rating.NEGATIVE, comment="secret") for name in names)
    deletions = (service.delete_item(**name) for name in names)
    pairs = [call for pair in zip(ratings, deletions, strict=True) for call in pair]
    await asyncio.gather(*pairs, return_exceptions=True)
    thread = await store.items.load_thread(owner=user.owner, thread_id=conversation_id, end_seq=99)
    assert [(item.deleted, item.feedback) for item in thread] == [(True, None)] * 20


async def test_only_the_owner_has_opinions_on_the_members_of_a_conversation(feedback, user, new_user, item) -> None:
    response_id = await user.begin("under way", conversation=item["conversation_id"])
    [not_yet] = await user.input(response_id)
    await feedback.update(**item, rating=Rating.POSITIVE, comment="mine")
    for wrong in (
        {"owner": new_user().owner},
        {"item_id": "msg_unknown"},
        {"item_id": not_yet.id},
        {"conversation_id": await user.conversation("elsewhere")},
        {"conversation_id": "conv_unknown"},
    ):
        await assert_no_such_item(feedback, item | wrong)
    assert (await feedback.get(**item)).comment == "mine"


async def test_answer_in_a_conversation_can_be_rated(feedback, user) -> None:
    conversation_id = await user.conversation()
    await user.turn("q", "a", conversation=conversation_id)
    [_, answer] = await user.members(conversation_id)
    name = {"owner": user.owner, "conversation_id": conversation_id, "item_id": answer.id}
    given = await feedback.update(**name, rating=Rating.NEGATIVE, comment="")
    assert await feedback.get(**name) == given


async def test_feedback_goes_with_its_conversation(service, feedback, user, item) -> None:
    await feedback.update(**item, rating=Rating.POSITIVE, comment="")
    await service.delete_conversation(owner=user.owner, conversation_id=item["conversation_id"])
    await assert_no_such_item(feedback, item)
    with pytest.raises(ConversationNotFound):
        await service.delete_conversation(owner=user.owner, conversation_id=item["conversation_id"])


async def test_comment_has_an_end(feedback, item) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await feedback.update(**item, rating=Rating.POSITIVE, comment="x" * 2_001)
    assert caught.value.param == "comment"


async def assert_no_such_item(feedback, name: dict[str, str]) -> None:
    for call in (
        feedback.get(**name),
        feedback.update(**name, rating=Rating.NEGATIVE, comment=""),
        feedback.delete(**name),
    ):
        with pytest.raises(ItemNotFound):
            await call
