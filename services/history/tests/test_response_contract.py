"""What every store does with responses."""

import asyncio
from dataclasses import replace

import pytest

from rostra_history.domain import PageRequest, ResponseStatus
from rostra_history.drafts import NewItem
from rostra_history.errors import ConversationNotFound, ItemNotFound, PreviousResponseNotFound, ResponseNotFound
from rostra_kit.errors import AlreadyExistsError, InvalidArgumentError

ENDINGS = ["completed", "incomplete", "failed", "cancelled"]


async def test_response_in_progress_shows_its_input_and_no_output(service, user, open_store) -> None:
    response_id = await user.begin("one", "two")
    assert await user.status(response_id) == "in_progress"
    assert await user.output(response_id) == []
    async with open_store() as other:
        page = await other.responses.list_input_page(
            owner=user.owner, response_id=response_id, page=PageRequest(limit=1, descending=False)
        )
    assert (len(page.elements), page.has_more) == (1, True)


@pytest.mark.parametrize("status", ENDINGS)
async def test_finished_response_keeps_status_body_and_output(service, user, status) -> None:
    response_id = await user.begin("question")
    await user.end(response_id, "first", "second", status=status)
    response, output = await service.get_response(owner=user.owner, response_id=response_id)
    assert (response.status, response.body) == (status, f'{{"status": "{status}"}}')
    assert [item.position for item in output] == [0, 1]
    assert await user.output(response_id) == ["first", "second"]


async def test_chain_context_is_input_and_output_in_order(user) -> None:
    first = await user.turn("q1", "a1")
    second = await user.turn("q2", "a2", previous=first)
    third = await user.turn("q3", "a3", previous=second)
    assert await user.context(previous=third) == ["q1", "a1", "q2", "a2", "q3", "a3"]
    assert await user.context(previous=first) == ["q1", "a1"]


async def test_one_response_continued_twice_makes_two_branches(user) -> None:
    root = await user.turn("q", "a")
    left, right = await asyncio.gather(
        user.turn("left?", "left!", previous=root), user.turn("right?", "right!", previous=root)
    )
    deeper = await user.turn("deeper?", "deeper!", previous=left)
    assert await user.context(previous=deeper) == ["q", "a", "left?", "left!", "deeper?", "deeper!"]
    assert await user.context(previous=right) == ["q", "a", "right?", "right!"]


async def test_context_of_two_hundred_responses_is_one_query(service, user, monkeypatch) -> None:
    response_id = ""
    for n in range(200):
        response_id = await user.turn(f"q{n}", f"a{n}", previous=response_id)
    loads = []
    original = service._store.items.load_thread

    async def counted(**arguments):
        loads.append(arguments)
        return await original(**arguments)

    monkeypatch.setattr(service._store.items, "load_thread", counted)
    assert await user.context(previous=response_id) == [f"{kind}{n}" for n in range(200) for kind in "qa"]
    assert len(loads) == 1


async def test_response_without_items_passes_its_context_on(user) -> None:
    first = await user.turn("q", "a")
    empty = await user.begin(previous=first)
    await user.end(empty)
    assert await user.context(previous=empty) == ["q", "a"]
    conversation_id = await user.conversation("one")
    silent = await user.begin(conversation=conversation_id)
    await user.end(silent)
    assert await user.context(previous=silent) == ["one"]


@pytest.mark.parametrize("status", ["completed", "incomplete"])
async def test_response_joins_its_conversation_when_it_ends_well(user, status) -> None:
    conversation_id = await user.conversation("hello")
    response_id = await user.begin("q1", "q2", conversation=conversation_id)
    await user.say(conversation_id, "meanwhile")
    assert await user.texts(conversation_id) == ["hello", "meanwhile"]
    await user.end(response_id, "a", status=status)
    expected = ["hello", "meanwhile", "q1", "q2", "a"]
    assert await user.texts(conversation_id) == expected
    assert await user.context(conversation=conversation_id) == expected
    assert await user.context(previous=response_id) == expected
    assert [item.seq for item in await user.members(conversation_id)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_response_that_ends_badly_leaves_its_conversation_alone(user, status) -> None:
    conversation_id = await user.conversation("hello")
    response_id = await user.begin("q", conversation=conversation_id)
    await user.end(response_id, "partial", status=status)
    assert await user.texts(conversation_id) == ["hello"]
    assert await user.output(response_id) == ["partial"]
    assert len(await user.input(response_id)) == 1
    await user.turn("q", "a", conversation=conversation_id)
    assert await user.context(conversation=conversation_id) == ["hello", "q", "a"]


async def test_parallel_responses_join_as_whole_turns(user) -> None:
    conversation_id = await user.conversation()
    await asyncio.gather(*(user.turn(f"q{n}", f"a{n}", conversation=conversation_id) for n in range(20)))
    texts = await user.texts(conversation_id)
    assert [question.replace("q", "a") for question in texts[::2]] == texts[1::2]
    assert sorted(texts[1::2]) == sorted(f"a{n}" for n in range(20))
    assert await user.context(conversation=conversation_id) == texts


async def test_continuing_a_conversations_response_branches_off_it(user) -> None:
    conversation_id = await user.conversation("hello")
    inside = await user.turn("q1", "a1", conversation=conversation_id)
    aside = await user.turn("aside?", "aside!", previous=inside)
    await user.turn("q2", "a2", conversation=conversation_id)
    assert await user.context(previous=aside) == ["hello", "q1", "a1", "aside?", "aside!"]
    assert await user.context(conversation=conversation_id) == ["hello", "q1", "a1", "q2", "a2"]
    assert await user.texts(conversation_id) == ["hello", "q1", "a1", "q2", "a2"]


async def test_creating_twice_changes_nothing(service, user) -> None:
    items = [NewItem("msg_" + user.owner, "{}")]
    key = {"owner": user.owner, "response_id": "resp_" + user.owner, "previous_response_id": "", "conversation_id": ""}
    await service.create_response(**key, body="{}", items=items)
    await service.create_response(**key, body='{"other":1}', items=items)
    response, _ = await service.get_response(owner=user.owner, response_id=key["response_id"])
    assert response.body == "{}"
    await user.end(response.id, "a")
    await service.create_response(**key, body="{}", items=items)
    assert await user.status(response.id) == "completed"
    assert len(await user.input(response.id)) == 1


async def test_parallel_creation_of_one_response_happens_once(service, user) -> None:
    items = [NewItem("msg_" + user.owner, "{}")]
    key = {"owner": user.owner, "response_id": "resp_" + user.owner, "previous_response_id": "", "conversation_id": ""}
    await asyncio.gather(*(service.create_response(**key, body="{}", items=items) for _ in range(10)))
    assert len(await user.input(key["response_id"])) == 1


async def test_taken_ids_are_refused(service, user, new_user) -> None:
    other = new_user()
    response_id = await other.begin("theirs")
    [item] = await other.input(response_id)
    with pytest.raises(AlreadyExistsError):
        await user.begin("mine", response_id=response_id)
    key = {"owner": user.owner, "response_id": "resp_" + user.owner, "previous_response_id": "", "conversation_id": ""}
    with pytest.raises(AlreadyExistsError):
        await service.create_response(**key, body="{}", items=[NewItem(item.id, "{}")])
    with pytest.raises(ResponseNotFound):
        await service.get_response(owner=user.owner, response_id=key["response_id"])
    assert await other.input(response_id) == [item]


@pytest.mark.parametrize("in_conversation", [False, True])
async def test_finishing_twice_keeps_the_first_ending(user, in_conversation) -> None:
    conversation_id = await user.conversation() if in_conversation else ""
    response_id = await user.begin("q", conversation=conversation_id)
    await user.end(response_id, "first")
    await user.end(response_id, "second", status="failed")
    await user.end(response_id, "third")
    assert (await user.status(response_id), await user.output(response_id)) == ("completed", ["first"])
    if in_conversation:
        assert await user.texts(conversation_id) == ["q", "first"]


@pytest.mark.parametrize("in_conversation", [False, True])
async def test_parallel_endings_leave_exactly_one(store, user, in_conversation) -> None:
    conversation_id = await user.conversation() if in_conversation else ""
    response_id = await user.begin("q", conversation=conversation_id)
    started = await store.responses.get(owner=user.owner, response_id=response_id)

    class Late:
        """Every finisher has read the response before any of them ends it."""

        async def get(self, **_):
            return started

        def __getattr__(self, name):
            return getattr(store.responses, name)

    service = user.service
    service._store = _Parts(store.conversations, store.items, Late())
    endings = [("completed", "yes"), ("failed", "no")] * 5
    await asyncio.gather(
        *(user.end(response_id, f"{text} {n}", status=status) for n, (status, text) in enumerate(endings))
    )
    service._store = store
    [output] = await user.output(response_id)
    assert output.split()[0] == {"completed": "yes", "failed": "no"}[await user.status(response_id)]
    if in_conversation:
        joined = ["q", output] if output.startswith("yes") else []
        await user.say(conversation_id, "next")
        assert await user.context(conversation=conversation_id) == [*joined, "next"]
        assert [item.seq for item in await user.members(conversation_id)] == list(range(len(joined) + 1))


class _Parts:
    def __init__(self, conversations, items, responses) -> None:
        self.conversations, self.items, self.responses = conversations, items, responses


async def test_deleted_response_cannot_be_finished(service, store, user) -> None:
    response_id = await user.begin("q")
    started = await store.responses.get(owner=user.owner, response_id=response_id)
    await service.delete_response(owner=user.owner, response_id=response_id)
    with pytest.raises(ResponseNotFound):
        await user.end(response_id, "a")
    with pytest.raises(ResponseNotFound):
        await store.responses.finish(replace(started, status=ResponseStatus.COMPLETED), [], now_us=1)
    with pytest.raises(ResponseNotFound):
        await service.delete_response(owner=user.owner, response_id=response_id)


@pytest.mark.parametrize("status", ["in_progress", "failed", "cancelled"])
async def test_response_without_an_answer_cannot_be_continued(user, status) -> None:
    response_id = await user.begin("q")
    if status != "in_progress":
        await user.end(response_id, status=status)
    for attempt in (user.context(previous=response_id), user.begin("q", previous=response_id)):
        with pytest.raises(PreviousResponseNotFound) as caught:
            await attempt
        assert caught.value.param == "previous_response_id"


async def test_response_continues_one_thing_that_exists(user) -> None:
    with pytest.raises(PreviousResponseNotFound):
        await user.begin("q", previous="resp_unknown")
    with pytest.raises(ConversationNotFound):
        await user.begin("q", conversation="conv_unknown")
    with pytest.raises(InvalidArgumentError):
        await user.begin("q", previous="resp_unknown", conversation="conv_unknown")


async def test_deleting_a_response_keeps_what_later_ones_need(store, service, user) -> None:
    first = await user.turn("q1", "a1")
    second = await user.turn("q2", "a2", previous=first)
    third = await user.turn("q3", "a3", previous=second)
    branch = await user.turn("q4", "a4", previous=first)
    everything = ["q1", "a1", "q2", "a2", "q3", "a3"]

    await service.delete_response(owner=user.owner, response_id=first)
    await service.delete_response(owner=user.owner, response_id=second)
    with pytest.raises(PreviousResponseNotFound):
        await user.context(previous=second)
    assert await user.context(previous=third) == everything
    assert await user.context(previous=branch) == ["q1", "a1", "q4", "a4"]

    await service.delete_response(owner=user.owner, response_id=third)
    left = await store.items.load_thread(owner=user.owner, thread_id=first, end_seq=99)
    assert len(left) == 4
    await service.delete_response(owner=user.owner, response_id=branch)
    assert await store.items.load_thread(owner=user.owner, thread_id=first, end_seq=99) == []


async def test_deleting_a_response_leaves_its_conversation_alone(service, user) -> None:
    conversation_id = await user.conversation("hello")
    good = await user.turn("q", "a", conversation=conversation_id)
    bad = await user.begin("bad q", conversation=conversation_id)
    await user.end(bad, "bad a", status="failed")
    [bad_input] = await user.input(bad)
    for response_id in (good, bad):
        await service.delete_response(owner=user.owner, response_id=response_id)
    assert await user.context(conversation=conversation_id) == ["hello", "q", "a"]
    with pytest.raises(ItemNotFound):
        await service.load_context(
            owner=user.owner, previous_response_id="", conversation_id="", item_ids=[bad_input.id]
        )


async def test_deleted_item_is_missing_from_its_response_too(service, user) -> None:
    conversation_id = await user.conversation()
    response_id = await user.turn("q", "a", conversation=conversation_id)
    question, answer = await user.members(conversation_id)
    for item in (question, answer):
        await service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=item.id)
    assert await user.output(response_id) == []
    assert await user.input(response_id) == []
    assert await user.context(previous=response_id) == []


@pytest.mark.parametrize("descending", [True, False])
async def test_input_is_paged_by_position(service, user, descending) -> None:
    response_id = await user.begin(*map(str, range(7)))
    expected = [item.id for item in await user.input(response_id)]
    seen, after_id, more = [], None, True
    while more:
        page = await service.list_input_items(
            owner=user.owner,
            response_id=response_id,
            page=PageRequest(limit=3, after_id=after_id, descending=descending),
        )
        seen += [item.id for item in page.elements]
        after_id, more = seen[-1], page.has_more
    assert seen == (expected[::-1] if descending else expected)


async def test_nothing_of_another_owner_is_found(service, user, new_user) -> None:
    response_id = await user.turn("q", "a")
    running = await user.begin("q")
    [item] = await user.input(response_id)
    thief = new_user()
    calls = [
        thief.status(response_id),
        thief.input(response_id),
        thief.end(running, "mine"),
        service.delete_response(owner=thief.owner, response_id=response_id),
    ]
    for call in calls:
        with pytest.raises(ResponseNotFound):
            await call
    for call in (thief.context(previous=response_id), thief.begin("q", previous=response_id)):
        with pytest.raises(PreviousResponseNotFound):
            await call
    with pytest.raises(InvalidArgumentError):
        await service.list_input_items(
            owner=user.owner, response_id=running, page=PageRequest(limit=1, after_id=item.id)
        )
    assert await user.context(previous=response_id) == ["q", "a"]
    assert await user.status(running) == "in_progress"
