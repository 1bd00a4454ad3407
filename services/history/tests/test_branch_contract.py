"""What every store does with the branches of a conversation."""

import asyncio
import json

import pytest

from rostra_history.domain import ItemView, PageRequest
from rostra_history.errors import ConversationNotFound, ItemNotFound, PageStartNotFound
from rostra_kit.errors import InvalidArgumentError


async def agreed(user, conversation_id: str) -> list[str]:
    """Check that list, context and parents tell the same branch, and return it."""
    members = await user.members(conversation_id)
    assert [item.parent_id for item in members] == [None, *(item.id for item in members)][: len(members)]
    texts = await user.texts(conversation_id)
    assert await user.context(conversation=conversation_id) == texts
    conversation = await user.change(conversation_id)
    assert conversation.leaf_id == (members[-1].id if members else None)
    return texts


async def test_edited_turn_begins_a_branch_and_the_old_one_stays(user) -> None:
    conversation_id = await user.conversation("q1", "a1", "q2", "a2")
    assert await user.forks(conversation_id) == []
    await user.go_to(conversation_id, "a1")
    assert await agreed(user, conversation_id) == ["q1", "a1"]
    await user.say(conversation_id, "q2'")
    assert await agreed(user, conversation_id) == ["q1", "a1", "q2'"]
    await user.turn("q3'", "a3'", conversation=conversation_id)
    assert await agreed(user, conversation_id) == ["q1", "a1", "q2'", "q3'", "a3'"]
    assert await user.forks(conversation_id) == [("a1", "q2..a2 *q2'..a3'")]
    await user.go_to(conversation_id, "a2")
    assert await agreed(user, conversation_id) == ["q1", "a1", "q2", "a2"]
    assert await user.forks(conversation_id) == [("a1", "*q2..a2 q2'..a3'")]


async def test_edited_first_turn_begins_anew(user) -> None:
    conversation_id = await user.conversation("q", "a")
    await user.go_to(conversation_id, None)
    assert await agreed(user, conversation_id) == []
    await user.turn("q'", "a'", conversation=conversation_id)
    assert await agreed(user, conversation_id) == ["q'", "a'"]
    assert await user.forks(conversation_id) == [(None, "q..a *q'..a'")]
    assert await user.texts(conversation_id, view="all_branches") == ["q", "a", "q'", "a'"]


async def test_answer_made_again_is_a_sibling_of_the_first(user) -> None:
    conversation_id = await user.conversation("q", "a")
    for n in range(2):
        await user.go_to(conversation_id, "q")
        response_id = await user.begin(conversation=conversation_id)
        await user.end(response_id, f"again {n}")
    assert await agreed(user, conversation_id) == ["q", "again 1"]
    assert await user.forks(conversation_id) == [("q", "a..a again 0..again 0 *again 1..again 1")]


async def test_forks_within_branches_are_listed_after_those_before_them(user) -> None:
    conversation_id = await user.conversation("a", "b", "c")
    await user.go_to(conversation_id, "b")
    await user.say(conversation_id, "d")
    await user.go_to(conversation_id, "a")
    await user.say(conversation_id, "e")
    await user.go_to(conversation_id, "c")
    await user.say(conversation_id, "f")
    assert await user.forks(conversation_id) == [("a", "*b..f e..e"), ("b", "*c..f d..d")]


async def test_all_branches_are_listed_as_they_came_each_with_its_parent(user) -> None:
    conversation_id = await user.conversation("a", "b")
    await user.go_to(conversation_id, "a")
    await user.say(conversation_id, "c", "d")
    names = {
        item.id: text
        for item, text in zip(await user.members(conversation_id, view="all_branches"), "abcd", strict=True)
    }
    members = await user.members(conversation_id, view="all_branches")
    assert [names.get(item.parent_id) for item in members] == [None, "a", "a", "c"]


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("view", list(ItemView))
async def test_pages_show_each_item_of_a_branched_conversation_once(service, user, descending, view) -> None:
    conversation_id = await user.conversation(*map(str, range(6)))
    await user.go_to(conversation_id, "2")
    await user.say(conversation_id, *map(str, range(6, 10)))
    whole = await user.members(conversation_id, view=view)
    expected = whole[::-1] if descending else whole
    seen, after_id, more = [], None, True
    while more:
        page = await service.list_items(
            owner=user.owner,
            conversation_id=conversation_id,
            view=view,
            page=PageRequest(limit=3, after_id=after_id, descending=descending),
        )
        seen += page.elements
        after_id, more = seen[-1].id, page.has_more
    assert seen == expected
    assert len(seen) == (7 if view is ItemView.ACTIVE_BRANCH else 10)


@pytest.mark.parametrize("descending", [True, False])
async def test_pages_of_one_branch_tell_the_parents_too(service, user, descending) -> None:
    conversation_id = await user.conversation(*"abcdef")
    members = await user.members(conversation_id)
    for item in (members[1], members[3]):
        await service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=item.id)
    parents, after_id, more = {}, None, True
    while more:
        page = await service.list_items(
            owner=user.owner,
            conversation_id=conversation_id,
            page=PageRequest(limit=1, after_id=after_id, descending=descending),
        )
        [item] = page.elements
        parents[item.id], after_id, more = item.parent_id, item.id, page.has_more
    a, c, e, f = (members[n].id for n in (0, 2, 4, 5))
    assert parents == {a: None, c: a, e: c, f: e}


async def test_item_of_another_branch_is_no_start_of_a_page(service, user) -> None:
    conversation_id = await user.conversation("a", "b")
    [_, other] = await user.members(conversation_id)
    await user.go_to(conversation_id, "a")
    await user.say(conversation_id, "c")
    key = {"owner": user.owner, "conversation_id": conversation_id}
    page = PageRequest(limit=3, after_id=other.id, descending=False)
    with pytest.raises(PageStartNotFound):
        await service.list_items(**key, page=page)
    listed = await service.list_items(**key, view=ItemView.ALL_BRANCHES, page=page)
    assert [json.loads(item.body)["content"][0]["text"] for item in listed.elements] == ["c"]


async def test_only_a_member_that_is_there_can_be_made_active(service, user, new_user) -> None:
    conversation_id, elsewhere = await user.conversation("one", "two"), await user.conversation("other")
    [_, two], [other] = await user.members(conversation_id), await user.members(elsewhere)
    running = await user.begin("not there yet", conversation=conversation_id)
    [unplaced] = await user.input(running)
    before = await user.change(conversation_id)
    for item_id in (other.id, unplaced.id, "msg_unknown"):
        with pytest.raises(ItemNotFound):
            await user.change(conversation_id, active_item_id=item_id, title="changed")
    await service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=two.id)
    with pytest.raises(ItemNotFound):
        await user.change(conversation_id, active_item_id=two.id)
    with pytest.raises(ConversationNotFound):
        await user.change("conv_unknown", active_item_id=other.id)
    with pytest.raises(ConversationNotFound):
        await new_user().change(conversation_id, active_item_id=other.id)
    after = await user.change(conversation_id)
    assert (after.title, after.switch_count) == (before.title, 0)


async def test_making_the_active_item_active_is_no_switch(user) -> None:
    conversation_id = await user.conversation("a", "b")
    await user.go_to(conversation_id, "b")
    assert (await user.change(conversation_id)).switch_count == 0
    await user.go_to(conversation_id, "a")
    await user.go_to(conversation_id, "a")
    assert (await user.change(conversation_id)).switch_count == 1


async def test_response_joins_the_branch_it_was_made_for(user) -> None:
    conversation_id = await user.conversation("q", "a")
    response_id = await user.begin("q2", conversation=conversation_id)
    await user.go_to(conversation_id, "q")
    await user.say(conversation_id, "other")
    await user.end(response_id, "a2")
    assert await agreed(user, conversation_id) == ["q", "other"]
    assert await user.forks(conversation_id) == [("q", "a..a2 *other..other")]
    assert await user.context(previous=response_id) == ["q", "a", "q2", "a2"]
    await user.go_to(conversation_id, "a2")
    assert await agreed(user, conversation_id) == ["q", "a", "q2", "a2"]


async def test_response_made_for_an_empty_conversation_joins_it_at_the_root(user) -> None:
    conversation_id = await user.conversation()
    response_id = await user.begin("q", conversation=conversation_id)
    [item] = await user.say(conversation_id, "other")
    await user.change(conversation_id, active_item_id="")
    await user.change(conversation_id, active_item_id=item.id)
    await user.end(response_id, "a")
    assert await agreed(user, conversation_id) == ["other"]
    assert await user.forks(conversation_id) == [(None, "*other..other q..a")]


async def test_response_without_items_joins_its_branch(user) -> None:
    conversation_id = await user.conversation("q", "a")
    response_id = await user.begin(conversation=conversation_id)
    await user.go_to(conversation_id, "q")
    await user.end(response_id)
    assert await user.context(previous=response_id) == ["q", "a"]
    assert await agreed(user, conversation_id) == ["q"]


async def test_parallel_responses_without_a_switch_stay_one_branch(user) -> None:
    conversation_id = await user.conversation("root")
    running = [await user.begin(f"q{n}", conversation=conversation_id) for n in range(10)]
    await asyncio.gather(*(user.end(response_id, f"a{n}") for n, response_id in enumerate(running)))
    texts = await agreed(user, conversation_id)
    assert len(texts) == 21
    assert [text[1:] for text in texts[1::2]] == [text[1:] for text in texts[2::2]]
    assert await user.forks(conversation_id) == []


async def test_response_about_to_run_continues_the_branch_it_was_made_for(user) -> None:
    conversation_id = await user.conversation("q", "a")
    response_id = await user.begin("q2", conversation=conversation_id)
    await user.say(conversation_id, "meanwhile")
    assert await user.context(conversation=conversation_id, response=response_id) == ["q", "a", "meanwhile"]
    await user.go_to(conversation_id, "q")
    await user.say(conversation_id, "other")
    assert await user.context(conversation=conversation_id, response=response_id) == ["q", "a"]
    elsewhere = await user.conversation("x")
    with pytest.raises(InvalidArgumentError):
        await user.context(conversation=elsewhere, response=response_id)


async def test_switch_between_reading_the_context_and_storing_the_response_is_noticed(user) -> None:
    conversation_id = await user.conversation("q", "a")
    point = await user.branch_point(conversation_id)
    await user.go_to(conversation_id, "q")
    await user.say(conversation_id, "other")
    response_id = await user.begin("q2", conversation=conversation_id, branch_point=point)
    assert await user.context(conversation=conversation_id, response=response_id) == ["q", "a"]
    await user.end(response_id, "a2")
    assert await agreed(user, conversation_id) == ["q", "other"]
    assert await user.context(previous=response_id) == ["q", "a", "q2", "a2"]


async def test_context_of_no_conversation_leads_to_no_point_of_one(service, user) -> None:
    conversation_id = await user.conversation("q")
    response_id = await user.turn("q2", "a2", conversation=conversation_id)
    loaded = await service.load_context(
        owner=user.owner, previous_response_id=response_id, conversation_id="", item_ids=[]
    )
    assert loaded.branch_point is None


async def test_parallel_switches_and_appends_lose_nothing(store, user) -> None:
    conversation_id = await user.conversation("a", "b")
    [a, b] = await user.members(conversation_id)
    switches = [user.change(conversation_id, active_item_id=item.id) for item in (a, b) * 10]
    running = [await user.begin(f"q{n}", conversation=conversation_id) for n in range(10)]
    ends = [user.end(response_id, f"a{n}") for n, response_id in enumerate(running)]
    await asyncio.gather(*switches, *ends, *(user.say(conversation_id, f"{n}x", f"{n}y") for n in range(10)))
    members = await user.members(conversation_id, view="all_branches")
    assert [item.seq for item in members] == list(range(42))
    by_id = {item.id: item for item in members}
    assert all(item.seq > by_id[item.parent_id].seq for item in members if item.parent_id)
    assert sorted({text[0] for text in await user.texts(conversation_id, view="all_branches")}) == sorted(
        "aqb0123456789"
    )
    conversation = await store.conversations.get(owner=user.owner, conversation_id=conversation_id)
    shown = await agreed(user, conversation_id)
    assert by_id[conversation.leaf_id].body.count(shown[-1])


async def test_deleted_items_leave_branches_that_hang_together(service, user) -> None:
    conversation_id = await user.conversation("a", "b", "c")
    await user.go_to(conversation_id, "b")
    await user.say(conversation_id, "d")
    key = {"owner": user.owner, "conversation_id": conversation_id}
    names = {
        text: item.id
        for item, text in zip(await user.members(conversation_id, view="all_branches"), "abcd", strict=True)
    }
    await service.delete_item(**key, item_id=names["b"])
    assert await agreed(user, conversation_id) == ["a", "d"]
    assert await user.forks(conversation_id) == [("a", "c..c *d..d")]
    assert (await service.get_item(**key, item_id=names["c"])).parent_id == names["a"]
    await service.delete_item(**key, item_id=names["c"])
    assert await user.forks(conversation_id) == []
    assert await agreed(user, conversation_id) == ["a", "d"]


async def test_item_before_the_active_one_that_is_deleted_becomes_active(service, user) -> None:
    conversation_id = await user.conversation("a", "b", "c")
    key = {"owner": user.owner, "conversation_id": conversation_id}
    a, b, c = (item.id for item in await user.members(conversation_id))
    await service.delete_item(**key, item_id=b)
    left = await service.delete_item(**key, item_id=c)
    assert (left.leaf_id, left.switch_count) == (a, 0)
    [said] = await user.say(conversation_id, "d")
    assert said.parent_id == a
    assert await agreed(user, conversation_id) == ["a", "d"]
    for item_id in (said.id, a):
        left = await service.delete_item(**key, item_id=item_id)
    assert left.leaf_id is None
    assert await agreed(user, conversation_id) == []
    [said] = await user.say(conversation_id, "e")
    assert said.parent_id is None
    assert await agreed(user, conversation_id) == ["e"]


async def test_response_made_for_an_item_since_deleted_joins_its_branch(service, user) -> None:
    conversation_id = await user.conversation("a", "b")
    response_id = await user.begin("q", conversation=conversation_id)
    [_, b] = await user.members(conversation_id)
    await service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=b.id)
    await user.say(conversation_id, "c")
    await user.go_to(conversation_id, "a")
    await user.end(response_id, "answer")
    assert await user.context(previous=response_id) == ["a", "q", "answer"]
    assert await user.forks(conversation_id) == [("a", "c..c q..answer")]


async def test_deleted_response_leaves_its_branch(service, user) -> None:
    conversation_id = await user.conversation("q")
    response_ids = []
    for n in range(2):
        await user.go_to(conversation_id, "q")
        response_ids.append(await user.begin(conversation=conversation_id))
        await user.end(response_ids[-1], f"a{n}")
    aside = await user.begin("late", conversation=conversation_id)
    await user.go_to(conversation_id, "a0")
    unfinished = await user.begin("never", conversation=conversation_id)
    await user.end(aside, "answer")
    for response_id in (*response_ids, aside, unfinished):
        await service.delete_response(owner=user.owner, response_id=response_id)
    assert await agreed(user, conversation_id) == ["q", "a0"]
    assert await user.forks(conversation_id) == [("q", "*a0..a0 a1..answer")]


async def test_deleted_conversation_takes_all_branches_along(service, user) -> None:
    conversation_id = await user.conversation("q", "a")
    [q, a] = await user.members(conversation_id)
    running = await user.begin("late", conversation=conversation_id)
    await user.go_to(conversation_id, "q")
    [other] = await user.say(conversation_id, "other")
    await service.delete_conversation(owner=user.owner, conversation_id=conversation_id)
    for item in (q, a, other):
        with pytest.raises(ItemNotFound):
            await service.load_context(
                owner=user.owner, previous_response_id="", conversation_id="", item_ids=[item.id]
            )
    with pytest.raises(ConversationNotFound):
        await service.list_forks(owner=user.owner, conversation_id=conversation_id)
    await user.end(running, "answer")
    assert await user.context(previous=running) == ["late", "answer"]
