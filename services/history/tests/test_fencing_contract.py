"""What every store does when somebody ends a response who may, or may no longer, do so."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rostra_history.domain import ItemKind, ResponseStatus
from rostra_history.drafts import NewItem, response_items
from rostra_history.errors import LeaseLost
from rostra_history.leases import Lease
from rostra_history.settings import DatabaseSettings
from support.servers import fresh_database

ENDINGS = ["completed", "incomplete", "failed", "cancelled"]


@pytest.fixture
def documentdb_settings(mongodb_url: str) -> Iterator[DatabaseSettings]:
    """A database for each test: a runner gets whatever waits, whoever's it is."""
    with fresh_database(mongodb_url) as url:
        yield DatabaseSettings(url=url)


@pytest.mark.parametrize("status", ENDINGS)
async def test_present_runner_ends_its_response(user, runner, status) -> None:
    response_id = await user.queue("q")
    await runner.claim()
    await user.end(response_id, "a", status=status, attempt=1)
    assert (await user.status(response_id), await user.output(response_id)) == (status, ["a"])
    assert await runner.take_over() is None


async def test_background_response_joins_its_conversation_and_is_continued(user, runner) -> None:
    conversation_id = await user.conversation("hello")
    first = await user.queue("q1", conversation=conversation_id)
    await runner.claim()
    await user.end(first, "a1", attempt=1)
    assert await user.texts(conversation_id) == ["hello", "q1", "a1"]
    second = await user.queue("q2", previous=first)
    await runner.claim()
    await user.end(second, "a2", attempt=1)
    assert await user.context(previous=second) == ["hello", "q1", "a1", "q2", "a2"]


@pytest.mark.parametrize("in_conversation", [False, True])
async def test_former_runner_cannot_end_it(user, runner, in_conversation) -> None:
    conversation_id = await user.conversation() if in_conversation else ""
    response_id = await user.queue("q", conversation=conversation_id)
    await runner.claim()
    second = await runner.take_over()
    with pytest.raises(LeaseLost):
        await user.end(response_id, "late", attempt=1)
    assert (await user.status(response_id), await user.output(response_id)) == ("in_progress", [])
    await user.end(response_id, "a", attempt=2)
    with pytest.raises(LeaseLost):
        await user.end(response_id, "later", attempt=1)
    assert await user.output(response_id) == ["a"]
    assert await runner.renew(second.lease) == ([response_id], [])
    if in_conversation:
        assert await user.texts(conversation_id) == ["q", "a"]


@pytest.mark.parametrize("in_conversation", [False, True])
async def test_repeated_end_changes_nothing(user, runner, in_conversation) -> None:
    conversation_id = await user.conversation() if in_conversation else ""
    response_id = await user.queue("q", conversation=conversation_id)
    await runner.claim()
    await user.end(response_id, "first", attempt=1)
    await user.end(response_id, "second", status="failed", attempt=1)
    assert (await user.status(response_id), await user.output(response_id)) == ("completed", ["first"])


async def test_nobody_without_a_lease_ends_a_background_response(user, runner) -> None:
    response_id = await user.queue("q")
    for attempt in (0, 1, 2):
        with pytest.raises(LeaseLost):
            await user.end(response_id, "a", attempt=attempt)
    await runner.claim()
    for attempt in (0, 2):
        with pytest.raises(LeaseLost):
            await user.end(response_id, "a", attempt=attempt)
    await user.end(response_id, "a", attempt=1)
    with pytest.raises(LeaseLost):
        await user.end(response_id, "b")
    assert await user.output(response_id) == ["a"]


async def test_nobody_with_a_lease_ends_a_response_of_a_waiting_client(user) -> None:
    response_id = await user.begin("q")
    with pytest.raises(LeaseLost):
        await user.end(response_id, "a", attempt=1)
    await user.end(response_id, "a")


async def test_abandoned_response_is_not_ended_by_who_comes_back(user, runner) -> None:
    response_id = await user.begin("q")
    runner.clock.advance(seconds=4200)
    await runner.claim()
    with pytest.raises(LeaseLost):
        await user.end(response_id, "a")
    await user.end(response_id, status="failed", attempt=1)
    with pytest.raises(LeaseLost):
        await user.end(response_id, "a")


async def test_runner_that_gave_it_back_cannot_end_it(user, runner) -> None:
    response_id = await user.queue("q")
    await runner.service.release((await runner.claim()).lease)
    with pytest.raises(LeaseLost):
        await user.end(response_id, "a", attempt=1)
    await runner.service.cancel(owner=user.owner, response_id=response_id)
    with pytest.raises(LeaseLost):
        await user.end(response_id, "a", attempt=1)
    assert (await user.status(response_id), await user.output(response_id)) == ("cancelled", [])


async def finish(store, response, attempt: int, text: str) -> str | None:
    """End the response, without the service's look at it before, with items whose ids are the same for all attempts."""
    item = NewItem(f"msg_{response.id}", json.dumps({"content": [{"text": text}]}))
    stored = replace(response, attempt=attempt)
    output = response_items([item], response=stored, kind=ItemKind.OUTPUT, now_us=1)
    ended = replace(stored, status=ResponseStatus.COMPLETED).followed_by(output)
    try:
        await store.responses.finish(ended, output, now_us=1)
    except LeaseLost:
        return None
    return text


@pytest.mark.parametrize("in_conversation", [False, True])
async def test_store_itself_refuses_a_former_runner(store, user, runner, in_conversation) -> None:
    conversation_id = await user.conversation() if in_conversation else ""
    response_id = await user.queue("q", conversation=conversation_id)
    response = (await runner.claim()).response
    await runner.service.release(Lease(response_id, 1))
    assert await finish(store, response, 1, "released") is None
    await runner.claim()
    assert await finish(store, response, 1, "late") is None
    assert await finish(store, response, 2, "a") == "a"
    assert await finish(store, response, 1, "later") is None
    assert await finish(store, response, 2, "again") == "again"
    assert (await user.status(response_id), await user.output(response_id)) == ("completed", ["a"])
    assert await user.context(previous=response_id) == ["q", "a"]


@pytest.mark.parametrize("in_conversation", [False, True])
async def test_runners_that_end_it_at_once_leave_what_the_present_one_says(
    store, open_store, user, runner, in_conversation
) -> None:
    conversation_id = await user.conversation() if in_conversation else ""
    async with open_store() as other:
        for n in range(5):
            response_id = await user.queue(f"q{n}", conversation=conversation_id)
            for _ in range(3):
                response = (await runner.take_over()).response
            ends = (finish([store, other][k % 2], response, 1 + k % 3, f"a{n}.{1 + k % 3}") for k in range(9))
            outcomes = await asyncio.gather(*ends)
            assert set(outcomes) == {f"a{n}.3", None}
            assert await user.output(response_id) == [f"a{n}.3"]
            assert await user.context(previous=response_id) == (
                await user.texts(conversation_id) if in_conversation else [f"q{n}", f"a{n}.3"]
            )


async def test_former_runners_that_try_again_and_again_change_nothing_of_what_the_present_one_says(
    store, open_store, user, runner
) -> None:
    async with open_store() as other:
        for n in range(25):
            response_id = await user.queue(f"q{n}")
            for _ in range(3):
                response = (await runner.take_over()).response

            async def insist(its_store, attempt: int, response=response) -> set[str | None]:
                return {await finish(its_store, response, attempt, "late") for _ in range(4)}

            former = [insist(each, attempt) for each in (store, other) for attempt in (1, 2, 1)]
            outcomes = await asyncio.gather(*former, finish(other, response, 3, f"a{n}"))
            assert outcomes == [{None}] * len(former) + [f"a{n}"]
            assert await user.output(response_id) == [f"a{n}"]
