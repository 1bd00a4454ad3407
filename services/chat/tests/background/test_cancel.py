"""Cancelling: in every state, wherever the response runs, and once."""

import asyncio

import pytest

from rostra_chat.background import follower as follower_module
from rostra_chat.background import service as service_module
from rostra_chat.background.event_log import EventLog
from rostra_kit.errors import InvalidArgumentError, NotFoundError


async def test_queued_response_is_cancelled_at_once(bench):
    replica = await bench.start(max_runs=0)
    response_id = await bench.create(replica)
    following = asyncio.create_task(bench.follow(replica, response_id))
    await bench.read_until(replica, response_id, "")

    response = await bench.cancel(replica, response_id)

    assert (response["status"], response["output"]) == ("cancelled", [])
    async with asyncio.timeout(1):
        frames = await following
    assert [event["type"] for event in bench.parse(frames)] == [
        "response.created",
        "response.queued",
        "response.cancelled",
    ]
    await bench.start()
    await asyncio.sleep(0.3)
    assert bench.model.bodies == []


async def test_running_response_is_cancelled_wherever_it_runs(bench):
    runner, other = await bench.start(renew_seconds=5.0, lease_seconds=20.0), await bench.start(max_runs=0)
    bench.model.hold_at = 8
    response_id = await bench.create(other)
    following = asyncio.create_task(bench.follow(other, response_id))
    await bench.model.held.wait()

    async with asyncio.timeout(2):
        response = await bench.cancel(other, response_id)

    assert response["status"] == "cancelled"
    assert response["output"][0]["status"] == "incomplete"
    bench.assert_sound(await following, response)
    assert bench.meter.ends == ["CANCELLED"]
    assert runner.value("rostra_chat_background_runs") == 0


async def test_ended_response_is_returned_as_it_is(bench):
    replica = await bench.start()
    response_id = await bench.create(replica)
    ended = await bench.ended(response_id)

    assert await bench.cancel(replica, response_id) == ended


async def test_cancelled_response_is_returned_as_it_is(bench):
    replica = await bench.start(max_runs=0)
    response_id = await bench.create(replica)
    first = await bench.cancel(replica, response_id)

    assert await bench.cancel(replica, response_id) == first


async def test_response_whose_runner_is_dead_is_cancelled_by_the_next(bench):
    first, other = await bench.start(), await bench.start(max_runs=0)
    bench.model.hold_at = 8
    response_id = await bench.create(first)
    await bench.model.held.wait()
    await bench.read_until(other, response_id, bench.words(7))

    first.kill()
    cancelling = asyncio.create_task(bench.cancel(other, response_id))
    await asyncio.sleep(0.1)
    await bench.start()

    response = await cancelling
    assert response["status"] == "cancelled"
    bench.assert_sound(await bench.follow(other, response_id), response)


async def test_response_that_is_cancelled_while_it_is_taken_over_keeps_what_was_said(bench, monkeypatch):
    first, other = await bench.start(), await bench.start(max_runs=0)
    bench.model.hold_at = 8
    response_id = await bench.create(first)
    await bench.model.held.wait()
    await bench.read_until(other, response_id, bench.words(7))
    take = EventLog.take

    async def take_slowly(*arguments, **options):
        await asyncio.sleep(0.5)
        return await take(*arguments, **options)

    monkeypatch.setattr(EventLog, "take", take_slowly)
    first.kill()
    cancelling = asyncio.create_task(bench.cancel(other, response_id))
    await asyncio.sleep(0.1)
    await bench.start()

    response = await cancelling
    assert response["status"] == "cancelled"
    assert response["output"][0]["content"][0]["text"] == bench.words(7)
    bench.assert_sound(await bench.follow(other, response_id), response)


async def test_runner_that_is_not_heard_of_does_not_keep_the_client_waiting(bench, monkeypatch):
    monkeypatch.setattr(service_module, "_CANCEL_SECONDS", 0.3)
    first, other = await bench.start(lease_seconds=60.0), await bench.start(max_runs=0)
    bench.model.hold_at = 8
    response_id = await bench.create(first)
    await bench.model.held.wait()
    first.freeze_leases()

    async with asyncio.timeout(2):
        response = await bench.cancel(other, response_id)

    assert response["status"] == "in_progress"


async def test_response_that_is_no_background_one_cannot_be_cancelled(bench):
    replica = await bench.start(max_runs=0)
    bench.queue.responses["resp_1"] = {"id": "resp_1", "status": "completed", "background": False, "output": []}

    with pytest.raises(InvalidArgumentError, match="Cannot cancel a synchronous response"):
        await bench.cancel(replica, "resp_1")


async def test_unknown_response_cannot_be_cancelled(bench):
    replica = await bench.start(max_runs=0)

    with pytest.raises(NotFoundError):
        await bench.cancel(replica, "resp_unknown")


async def test_cancellation_without_redis_is_heard_with_the_next_renewal(bench, redis_server, monkeypatch):
    monkeypatch.setattr(follower_module, "_LOOK_SECONDS", 0.1)
    runner, other = await bench.start(), await bench.start(max_runs=0)
    bench.model.hold_at = 8
    response_id = await bench.create(runner)
    await bench.model.held.wait()

    redis_server.kill()
    async with asyncio.timeout(5):
        response = await bench.cancel(other, response_id)

    assert response["status"] == "cancelled"
