"""What every store does with shares, and what reading one shows."""

import json
import re

import pytest

from rostra_history.domain import PageRequest
from rostra_history.errors import ConversationNotFound, ShareNotFound
from rostra_kit.errors import InvalidArgumentError

WHOLE = PageRequest(limit=1000, descending=False)


@pytest.fixture
def share(shares, user):
    """Shares a conversation of the user's, and returns the share's id."""

    async def create(conversation_id: str, *, expire_time_us: int | None = None) -> str:
        made = await shares.create(owner=user.owner, conversation_id=conversation_id, expire_time_us=expire_time_us)
        return made.id

    return create


@pytest.fixture
def shown(shares):
    """Reads a share as anybody may, and returns the texts."""

    async def read(share_id: str, page: PageRequest = WHOLE) -> list[str]:
        _, messages = await shares.read(share_id=share_id, page=page)
        return [json.loads(message.body)["content"][0]["text"] for message in messages.elements]

    return read


async def test_share_shows_the_conversation_as_it_was(shares, user, share, shown) -> None:
    conversation_id = await user.conversation("one")
    await user.change(conversation_id, title="Then")
    share_id = await share(conversation_id)
    await user.say(conversation_id, "two")
    await user.turn("three", "four", conversation=conversation_id)
    await user.change(conversation_id, title="Now")
    assert await shown(share_id) == ["one"]
    assert await shown(await share(conversation_id)) == ["one", "two", "three", "four"]
    kept, _ = await shares.read(share_id=share_id, page=WHOLE)
    assert (kept.title, kept.expire_time_us) == ("Then", None)
    assert await shares.get(owner=user.owner, share_id=share_id) == kept


async def test_what_is_deleted_later_is_not_shown_any_more(service, user, share, shown) -> None:
    conversation_id = await user.conversation("one", "two", "three")
    share_id = await share(conversation_id)
    for item in (await user.members(conversation_id))[1:]:
        await service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=item.id)
    await user.say(conversation_id, "four")
    assert await shown(share_id) == ["one"]


async def test_share_shows_the_branch_that_was_active(user, share, shown) -> None:
    conversation_id = await user.conversation("one", "two", "three")
    one, *_ = await user.members(conversation_id)
    first = await share(conversation_id)
    await user.change(conversation_id, active_item_id=one.id)
    short = await share(conversation_id)
    await user.say(conversation_id, "other two")
    second = await share(conversation_id)
    await user.change(conversation_id, active_item_id="")
    nothing = await share(conversation_id)
    await user.say(conversation_id, "other one")
    shares = {first: ["one", "two", "three"], short: ["one"], second: ["one", "other two"], nothing: []}
    assert {share_id: await shown(share_id) for share_id in shares} == shares


async def test_answer_that_was_under_way_is_not_shown(user, share, shown) -> None:
    conversation_id = await user.conversation("one")
    response_id = await user.begin("two", conversation=conversation_id)
    share_id = await share(conversation_id)
    await user.end(response_id, "three")
    assert await shown(share_id) == ["one"]
    assert await user.texts(conversation_id) == ["one", "two", "three"]


async def test_share_of_an_empty_conversation_stays_empty(user, share, shown) -> None:
    conversation_id = await user.conversation()
    share_id = await share(conversation_id)
    await user.say(conversation_id, "one")
    assert await shown(share_id) == []


async def test_share_ends_when_it_was_said_to(shares, user, clock, share, shown) -> None:
    share_id = await share(await user.conversation("one"), expire_time_us=clock() + 5)
    clock.advance(microseconds=4)
    assert await shown(share_id) == ["one"]
    clock.advance(microseconds=1)
    with pytest.raises(ShareNotFound):
        await shown(share_id)
    assert (await shares.get(owner=user.owner, share_id=share_id)).expire_time_us == clock()


@pytest.mark.parametrize("early", [0, 1])
async def test_share_cannot_end_in_the_past(user, clock, share, early: int) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await share(await user.conversation("one"), expire_time_us=clock() - early)
    assert caught.value.param == "expires_at"


async def test_ended_share_is_gone_for_all_replicas(shares, open_store, user, share, shown) -> None:
    share_id, other_id = [await share(await user.conversation(text)) for text in ("one", "two")]
    async with open_store() as other:
        await other.shares.delete(owner=user.owner, share_id=share_id)
        with pytest.raises(ShareNotFound):
            await other.shares.find(share_id=share_id)
    for call in (
        shown(share_id),
        shares.get(owner=user.owner, share_id=share_id),
        shares.delete(owner=user.owner, share_id=share_id),
    ):
        with pytest.raises(ShareNotFound):
            await call
    assert await shown(other_id) == ["two"]


async def test_shares_go_with_their_conversation(service, store, shares, user, share, shown) -> None:
    conversation_id, other_id = await user.conversation("one"), await user.conversation("two")
    ended, kept = await share(conversation_id), await share(other_id)
    await service.delete_conversation(owner=user.owner, conversation_id=conversation_id)
    with pytest.raises(ShareNotFound):
        await shown(ended)
    with pytest.raises(ShareNotFound):
        await store.shares.find(share_id=ended)
    with pytest.raises(ConversationNotFound):
        await share(conversation_id)
    listed = await shares.list_page(owner=user.owner, conversation_id=None, page=WHOLE)
    assert [element.id for element in listed.elements] == [kept]


async def test_conversation_deleted_while_its_share_is_read_is_not_shown(
    service, store, user, share, shown, monkeypatch
) -> None:
    conversation_id = await user.conversation("one")
    share_id = await share(conversation_id)
    load_thread = store.items.load_thread

    async def load_before_it_goes(**names):
        thread = await load_thread(**names)
        await service.delete_conversation(owner=user.owner, conversation_id=conversation_id)
        return thread

    monkeypatch.setattr(store.items, "load_thread", load_before_it_goes)
    with pytest.raises(ShareNotFound):
        await shown(share_id)


async def test_shares_go_with_their_owner(service, store, user, new_user, shares, share, shown) -> None:
    share_id = await share(await user.conversation("one"))
    somebody = new_user()
    other = await shares.create(
        owner=somebody.owner, conversation_id=await somebody.conversation("two"), expire_time_us=None
    )
    await service.delete_user_data(owner=user.owner)
    with pytest.raises(ShareNotFound):
        await store.shares.find(share_id=share_id)
    assert await shown(other.id) == ["two"]


async def test_share_of_another_user_is_not_found(shares, user, new_user, share, shown) -> None:
    conversation_id = await user.conversation("one")
    share_id = await share(conversation_id)
    mallory = new_user().owner
    with pytest.raises(ConversationNotFound):
        await shares.create(owner=mallory, conversation_id=conversation_id, expire_time_us=None)
    with pytest.raises(ShareNotFound):
        await shares.get(owner=mallory, share_id=share_id)
    with pytest.raises(ShareNotFound):
        await shares.delete(owner=mallory, share_id=share_id)
    for of in (None, conversation_id):
        assert (await shares.list_page(owner=mallory, conversation_id=of, page=WHOLE)).elements == []
    with pytest.raises(InvalidArgumentError):
        page = PageRequest(limit=1, after_id=share_id)
        await shares.list_page(owner=mallory, conversation_id=None, page=page)
    assert await shown(share_id) == ["one"]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("of_one", [False, True])
async def test_shares_are_listed_in_pages_by_age(shares, user, clock, share, descending: bool, of_one: bool) -> None:
    conversation_id, other_id = await user.conversation("one"), await user.conversation("two")
    expected = []
    for number in range(7):
        clock.advance(microseconds=number % 2)  # some at the same time
        share_id = await share(conversation_id)
        other = await share(other_id)
        expected += [(clock(), share_id)] if of_one else [(clock(), share_id), (clock(), other)]
    expected.sort(reverse=descending)
    seen, after_id, more = [], None, True
    while more:
        page = await shares.list_page(
            owner=user.owner,
            conversation_id=conversation_id if of_one else None,
            page=PageRequest(limit=3, after_id=after_id, descending=descending),
        )
        seen += [element.id for element in page.elements]
        after_id, more = seen[-1], page.has_more
    assert seen == [share_id for _, share_id in expected]


async def test_list_of_one_conversation_does_not_go_on_after_anothers(shares, user, share) -> None:
    conversation_id = await user.conversation("one")
    other = await share(await user.conversation("two"))
    with pytest.raises(InvalidArgumentError) as caught:
        page = PageRequest(limit=1, after_id=other)
        await shares.list_page(owner=user.owner, conversation_id=conversation_id, page=page)
    assert caught.value.param == "after"


@pytest.mark.parametrize("descending", [False, True])
async def test_pages_show_each_message_once_while_some_are_deleted(
    service, shares, user, share, shown, descending: bool
) -> None:
    conversation_id = await user.conversation(*map(str, range(7)))
    hidden = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    await service.create_items(owner=user.owner, conversation_id=conversation_id, items=[hidden, hidden])
    await user.say(conversation_id, "7", "8")
    share_id = await share(conversation_id)
    await user.say(conversation_id, "later")
    seen, after_id, more = [], None, True
    while more:
        page = PageRequest(limit=2, after_id=after_id, descending=descending)
        seen += await shown(share_id, page)
        _, messages = await shares.read(share_id=share_id, page=page)
        after_id, more = messages.elements[-1].id, messages.has_more
        await service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=after_id)
    expected = [str(number) for number in range(9)]
    assert seen == (expected[::-1] if descending else expected)


async def test_page_of_long_messages_ends_early(user, shares, share) -> None:
    texts = ["a" * 2_000_000, "b" * 400_000, "c" * 400_000, "d" * 400_000, "e"]
    share_id = await share(await user.conversation(*texts))
    seen, after_id, more = [], None, True
    while more:
        page = PageRequest(limit=100, after_id=after_id, descending=False)
        _, messages = await shares.read(share_id=share_id, page=page)
        seen.append([json.loads(message.body)["content"][0]["text"][0] for message in messages.elements])
        after_id, more = messages.elements[-1].id, messages.has_more
    assert seen == [["a"], ["b", "c"], ["d", "e"]]


async def test_page_does_not_begin_after_what_came_later(user, share, shown) -> None:
    conversation_id = await user.conversation("one")
    share_id = await share(conversation_id)
    [later] = await user.say(conversation_id, "two")
    for after_id in (later.id, "msg_unknown"):
        with pytest.raises(InvalidArgumentError) as caught:
            await shown(share_id, PageRequest(limit=1, after_id=after_id))
        assert caught.value.param == "after"


async def test_id_cannot_be_guessed(user, share) -> None:
    conversation_id = await user.conversation("one")
    ids = {await share(conversation_id) for _ in range(20)}
    assert all(re.fullmatch(r"share_[0-9a-f]{48}", share_id) for share_id in ids)
    assert len(ids) == len({share_id[6:14] for share_id in ids}) == 20  # no beginning in common
