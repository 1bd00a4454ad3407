"""What every store does with responses that wait for a runner: who gets them, for how long, and who hears of what."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from rostra_history.errors import ConversationNotFound, LeaseLost, PreviousResponseNotFound, ResponseNotFound
from rostra_history.leases import Job, Lease
from rostra_history.settings import DatabaseSettings
from rostra_kit.errors import InvalidArgumentError
from support.servers import fresh_database

ENDINGS = ["completed", "incomplete", "failed", "cancelled"]


@pytest.fixture
def documentdb_settings(mongodb_url: str) -> Iterator[DatabaseSettings]:
    """A database for each test: a runner gets whatever waits, whoever's it is."""
    with fresh_database(mongodb_url) as url:
        yield DatabaseSettings(url=url)


async def test_nothing_waits_in_an_empty_store(runner) -> None:
    assert await runner.claim() is None


async def test_queued_response_is_claimed_with_its_job(service, user, runner) -> None:
    response_id = await user.queue("q")
    assert await user.status(response_id) == "queued"
    assert await user.output(response_id) == []
    claim = await runner.claim()
    assert (claim.lease, claim.tries) == (Lease(response_id, 1), 1)
    assert claim.job == Job(b"\x00body\xff", user.owner.encode())
    stored, _ = await service.get_response(owner=user.owner, response_id=response_id)
    assert claim.response == stored
    assert (stored.status, stored.background, stored.attempt) == ("in_progress", True, 1)
    assert len(await user.input(response_id)) == 1
    assert await runner.claim() is None


async def test_oldest_comes_first_whoever_owns_it(new_user, runner) -> None:
    response_ids = [await new_user().queue("q") for _ in range(5)]
    assert [await runner.claimed_id() for _ in range(6)] == [*response_ids, None]


async def test_response_is_not_claimed_before_its_time(user, runner) -> None:
    runner.clock.advance(seconds=-1)
    await user.queue("q")
    assert await runner.claim() is None


async def test_creating_again_does_not_queue_again(user, runner) -> None:
    response_id = await user.queue("q")
    job = Job(b"other", b"other")
    await user.begin("q", response_id=response_id, job=job)
    claim = await runner.claim()
    assert claim.job.request_body == b"\x00body\xff"
    await user.begin("q", response_id=response_id, job=job)
    assert await runner.claim() is None
    await user.end(response_id, "a", attempt=1)
    await user.begin("q", response_id=response_id, job=job)
    assert await runner.take_over() is None
    assert await user.status(response_id) == "completed"


async def test_twenty_runners_get_each_of_two_hundred_responses_once(open_store, user, runner) -> None:
    response_ids = [await user.queue("q") for _ in range(200)]
    claims = []

    async def claim_all(queue) -> None:
        lease_end_us = runner.clock() + 6_000_000
        while claim := await queue.claim(now_us=runner.clock(), lease_end_us=lease_end_us):
            claims.append(claim)

    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(open_store()) for _ in range(2)]
        await asyncio.gather(*(claim_all(replicas[n % 2].queue) for n in range(20)))
    assert Counter(claim.response.id for claim in claims) == dict.fromkeys(response_ids, 1)
    assert {(claim.response.attempt, claim.tries) for claim in claims} == {(1, 1)}
    assert await runner.claim() is None


async def test_parallel_takeovers_happen_once(open_store, user, runner) -> None:
    response_ids = [await user.queue("q") for _ in range(5)]
    while await runner.claim():
        pass
    runner.clock.advance(seconds=6, microseconds=1)
    async with open_store() as other:
        queues = [other.queue, runner.service._queue] * 10
        now_us = runner.clock()
        claims = await asyncio.gather(*(queue.claim(now_us=now_us, lease_end_us=now_us + 1) for queue in queues))
    assert sorted(claim.response.id for claim in claims if claim) == sorted(response_ids)
    assert {claim.response.attempt for claim in claims if claim} == {2}


async def test_queue_survives_a_restart(open_store, user_of, runner_of) -> None:
    async with open_store() as store:
        user, runner = user_of(store), runner_of(store)
        running, waiting = await user.queue("q"), await user.queue("q")
        assert await runner.claimed_id() == running
    async with open_store() as store:
        runner = runner_of(store)
        claim = await runner.claim()
        assert (claim.response.id, claim.job) == (waiting, Job(b"\x00body\xff", user.owner.encode()))
        assert await runner.claim() is None
        assert await runner.renew(Lease(running, 1)) == ([], [])


async def test_lease_lasts_to_its_last_moment(user, runner) -> None:
    response_id = await user.queue("q")
    await runner.claim()
    runner.clock.advance(seconds=6)
    assert await runner.claim() is None
    runner.clock.advance(microseconds=1)
    claim = await runner.claim()
    assert (claim.lease, claim.tries) == (Lease(response_id, 2), 2)
    assert claim.job == Job(b"\x00body\xff", user.owner.encode())


async def test_response_taken_over_is_older_than_what_is_queued(user, runner) -> None:
    first = await user.queue("q")
    await runner.claim()
    second = await user.queue("q")
    assert (await runner.take_over()).response.id == first
    assert await runner.claimed_id() == second


async def test_renewed_lease_lasts_from_then_on(user, runner) -> None:
    await user.queue("q")
    claim = await runner.claim()
    for _ in range(5):
        runner.clock.advance(seconds=4)
        assert await runner.renew(claim.lease) == ([], [])
        assert await runner.claim() is None
    assert (await runner.take_over()).response.attempt == 2


async def test_ended_lease_can_be_renewed_until_somebody_else_claims(user, runner) -> None:
    response_id = await user.queue("q")
    claim = await runner.claim()
    runner.clock.advance(seconds=60)
    assert await runner.renew(claim.lease) == ([], [])
    assert await runner.claim() is None
    second = await runner.take_over()
    assert await runner.renew(claim.lease) == ([response_id], [])
    assert await runner.renew(claim.lease, second.lease) == ([], [])


async def test_renewal_tells_what_is_lost(service, user, new_user, runner) -> None:
    leaver = new_user()
    held, ended, deleted, released = [await user.queue("q") for _ in range(4)]
    erased = await leaver.queue("q")
    leases = [(await runner.claim()).lease for _ in range(5)]
    queued = await user.queue("q")
    await user.end(ended, "a", attempt=1)
    await service.delete_response(owner=user.owner, response_id=deleted)
    await service.delete_user_data(owner=leaver.owner)
    await runner.service.release(Lease(released, 1))
    foreground = await user.begin("q")
    others = [Lease(queued, 0), Lease("resp_unknown", 1), Lease(foreground, 1)]
    lost, cancelled = await runner.renew(*leases, *others)
    assert lost == [ended, deleted, released, erased, queued, "resp_unknown", foreground]
    assert cancelled == []
    runner.clock.advance(seconds=6)
    assert await runner.renew(Lease(held, 1)) == ([], [])


async def test_former_runner_does_not_prolong_its_successors_lease(user, runner) -> None:
    await user.queue("q")
    first = await runner.claim()
    await runner.take_over()
    runner.clock.advance(seconds=4)
    await runner.renew(first.lease)
    runner.clock.advance(seconds=3)
    assert (await runner.claim()).response.attempt == 3


async def test_nothing_is_renewed_for_a_runner_without_leases(runner) -> None:
    assert await runner.renew() == ([], [])


async def test_released_response_comes_next_and_its_try_does_not_count(user, runner) -> None:
    first, second = await user.queue("q"), await user.queue("q")
    for attempt in (1, 2, 3, 4):
        claim = await runner.claim()
        assert (claim.lease, claim.tries) == (Lease(first, attempt), 1)
        await runner.service.release(claim.lease)
        assert await user.status(first) == "queued"
    assert (await runner.claim()).lease == Lease(first, 5)
    assert await runner.claimed_id() == second
    claim = await runner.take_over()
    assert (claim.lease, claim.tries) == (Lease(first, 6), 2)


async def test_only_a_held_lease_is_released(user, runner) -> None:
    response_id = await user.queue("q")
    first = await runner.claim()
    second = await runner.take_over()
    await runner.service.release(first.lease)
    assert await user.status(response_id) == "in_progress"
    await runner.service.release(second.lease)
    await runner.service.release(second.lease)
    await runner.service.release(Lease("resp_unknown", 1))
    third = await runner.claim()
    assert (third.response.attempt, third.tries) == (3, 2)
    await user.end(response_id, "a", attempt=3)
    await runner.service.release(third.lease)
    assert await user.status(response_id) == "completed"
    assert await runner.take_over() is None


async def test_queued_response_is_cancelled_at_once(user, runner) -> None:
    response_id, other = await user.queue("q"), await user.queue("q")
    cancelled = await runner.service.cancel(owner=user.owner, response_id=response_id)
    assert (cancelled.id, cancelled.status, cancelled.background) == (response_id, "cancelled", True)
    assert await user.status(response_id) == "cancelled"
    assert await runner.claimed_id() == other
    assert await runner.claim() is None
    with pytest.raises(PreviousResponseNotFound):
        await user.begin("q", previous=response_id)
    again = await runner.service.cancel(owner=user.owner, response_id=response_id)
    assert again == cancelled


async def test_runner_hears_that_its_response_is_to_be_cancelled(user, runner) -> None:
    response_id, other = await user.queue("q"), await user.queue("q")
    leases = [(await runner.claim()).lease for _ in range(2)]
    cancelled = await runner.service.cancel(owner=user.owner, response_id=response_id)
    assert cancelled.status == "in_progress"
    for _ in range(2):
        assert await runner.renew(*leases) == ([], [response_id])
    await user.end(response_id, "par", status="cancelled", attempt=1)
    assert await user.output(response_id) == ["par"]
    assert await runner.renew(*leases) == ([response_id], [])
    assert await user.status(other) == "in_progress"


async def test_next_runner_hears_of_a_cancellation_too(user, runner) -> None:
    response_id = await user.queue("q")
    await runner.claim()
    await runner.service.cancel(owner=user.owner, response_id=response_id)
    second = await runner.take_over()
    assert await runner.renew(second.lease) == ([], [response_id])
    await runner.service.release(second.lease)
    third = await runner.claim()
    assert await runner.renew(third.lease) == ([], [response_id])


@pytest.mark.parametrize("status", ENDINGS)
async def test_ended_response_is_not_cancelled(user, runner, status) -> None:
    response_id = await user.queue("q")
    await runner.claim()
    await user.end(response_id, "a", status=status, attempt=1)
    assert (await runner.service.cancel(owner=user.owner, response_id=response_id)).status == status
    assert await user.output(response_id) == ["a"]


async def test_response_of_a_waiting_client_is_not_cancelled(user, runner) -> None:
    for response_id in (await user.begin("q"), await user.turn("q", "a")):
        with pytest.raises(InvalidArgumentError, match="Cannot cancel a synchronous response"):
            await runner.service.cancel(owner=user.owner, response_id=response_id)
    assert await user.status(await user.begin("q")) == "in_progress"


async def test_nobody_cancels_what_is_anothers(user, new_user, runner) -> None:
    queued = await user.queue("q")
    await runner.claim()
    running = queued
    queued = await user.queue("q")
    for response_id in (queued, running, "resp_unknown"):
        with pytest.raises(ResponseNotFound):
            await runner.service.cancel(owner=new_user().owner, response_id=response_id)
    assert await runner.renew(Lease(running, 1)) == ([], [])
    assert await user.status(queued) == "queued"


async def test_cancelling_while_it_is_claimed_is_heard_of_or_done(user, runner) -> None:
    for _ in range(20):
        response_id = await user.queue("q")
        claim, cancelled = await asyncio.gather(
            runner.claim(), runner.service.cancel(owner=user.owner, response_id=response_id)
        )
        if claim is None:
            assert (cancelled.status, await user.status(response_id)) == ("cancelled", "cancelled")
        else:
            assert (cancelled.status, await user.status(response_id)) == ("in_progress", "in_progress")
            assert await runner.renew(claim.lease) == ([], [response_id])


async def test_deleted_response_is_not_claimed(service, user, runner) -> None:
    queued, running = await user.queue("q"), await user.queue("q")
    await runner.claim()
    for response_id in (queued, running):
        await service.delete_response(owner=user.owner, response_id=response_id)
    assert await runner.take_over() is None
    with pytest.raises(ResponseNotFound):
        await user.end(running, "a", attempt=1)


async def test_deleted_users_responses_are_not_claimed(service, user, runner) -> None:
    await user.queue("q")
    running = await runner.claim()
    await user.queue("q")
    await service.delete_user_data(owner=user.owner)
    assert await runner.take_over() is None
    with pytest.raises(ResponseNotFound):
        await user.end(running.response.id, "a", attempt=1)


async def test_deleted_conversation_spares_what_waits_in_it(service, user, runner) -> None:
    conversation_id = await user.conversation("hello")
    response_id = await user.queue("q", conversation=conversation_id)
    await service.delete_conversation(owner=user.owner, conversation_id=conversation_id)
    assert len(await user.input(response_id)) == 1
    assert await runner.claimed_id() == response_id
    await user.end(response_id, "a", attempt=1)
    assert await user.context(previous=response_id) == ["q", "a"]
    with pytest.raises(ConversationNotFound):
        await user.members(conversation_id)


async def test_abandoned_response_is_given_to_a_runner_to_be_ended(user, runner) -> None:
    response_id = await user.begin("q")
    ended = await user.turn("q", "a")
    runner.clock.advance(seconds=4199)
    assert await runner.claim() is None
    runner.clock.advance(seconds=1)
    claim = await runner.claim()
    assert (claim.lease, claim.job, claim.response.background) == (Lease(response_id, 1), None, False)
    assert claim.response.owner == user.owner
    assert await runner.claim() is None
    await user.end(response_id, status="failed", attempt=1)
    assert await runner.take_over() is None
    assert [await user.status(each) for each in (response_id, ended)] == ["failed", "completed"]


async def test_response_of_a_waiting_client_is_given_to_a_runner_when_its_lease_ends(user, runner) -> None:
    response_id = await user.begin("q", lease_seconds=20)
    runner.clock.advance(seconds=19)
    assert await runner.claim() is None
    assert await runner.renew(Lease(response_id, 0)) == ([], [])
    runner.clock.advance(seconds=5)
    assert await runner.claim() is None
    runner.clock.advance(seconds=1)
    claim = await runner.claim()
    assert (claim.lease, claim.job) == (Lease(response_id, 1), None)
    assert await runner.renew(Lease(response_id, 0)) == ([response_id], [])
    assert await runner.renew(claim.lease) == ([], [])
    runner.clock.advance(seconds=5)
    assert await runner.claim() is None
    with pytest.raises(LeaseLost):
        await user.end(response_id, "a")
    await user.end(response_id, status="failed", attempt=1)
    assert await runner.take_over() is None
    assert await user.status(response_id) == "failed"


async def test_response_that_ends_within_its_lease_is_nobodys_to_claim(user, runner) -> None:
    response_id = await user.begin("q", lease_seconds=20)
    await user.end(response_id, "a")
    assert await runner.renew(Lease(response_id, 0)) == ([response_id], [])
    runner.clock.advance(seconds=60)
    assert await runner.claim() is None
    assert (await user.status(response_id), await user.output(response_id)) == ("completed", ["a"])


async def test_claims_are_counted_by_their_reason(user, runner) -> None:
    await user.begin("q")
    await user.queue("q")
    await runner.service.release((await runner.claim()).lease)
    await runner.claim()
    await runner.take_over()
    runner.clock.advance(seconds=4200)
    while await runner.claim():
        pass

    def value(reason: str) -> float:
        return runner.metrics.responses_claimed.labels(reason)._value.get()

    assert [value(reason) for reason in ("queued", "lease_ended", "abandoned")] == [2, 2, 1]
    assert runner.metrics.queue_seconds._sum.get() == pytest.approx(0.123, abs=0.001)
