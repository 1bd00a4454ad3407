"""Running background responses: once each, to their end, whatever becomes of their runners."""

import asyncio
import time

from rostra_kit.errors import ResourceExhaustedError


async def test_queued_response_is_run_and_followed_to_its_end(bench):
    replica = await bench.start()

    response_id = await bench.create(replica)
    frames = await bench.follow(replica, response_id)

    response = await bench.ended(response_id)
    assert response["status"] == "completed"
    bench.assert_sound(frames, response)
    assert [event["type"] for event in bench.parse(frames)][:3] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    statuses = [event["response"]["status"] for event in bench.parse(frames) if "response" in event]
    assert statuses == ["queued", "queued", "in_progress", "completed"]
    assert bench.meter.ends == ["FINISHED"]


async def test_response_in_a_conversation_is_named_when_its_context_is_loaded_to_run_it(bench):
    replica = await bench.start()

    response_id = await bench.create(replica, conversation="conv_1")
    await bench.ended(response_id)

    assert [load["conversation_id"] for load in bench.loads] == ["conv_1", "conv_1"]
    assert [load["response_id"] for load in bench.loads] == ["", response_id]
    assert bench.queue.branch_points == {response_id: b"point"}


async def test_response_is_run_without_anybody_who_follows(bench):
    replica = await bench.start()

    response = await bench.ended(await bench.create(replica))

    assert response["output"][0]["content"][0]["text"] == bench.words(20)


async def test_many_responses_on_many_replicas_run_once_each(bench):
    replicas = [await bench.start(max_runs=5) for _ in range(3)]

    ids = [await bench.create(replicas[number % 3]) for number in range(30)]
    streams = await asyncio.gather(*(bench.follow(replicas[0], response_id) for response_id in ids))

    for response_id, frames in zip(ids, streams, strict=True):
        bench.assert_sound(frames, await bench.ended(response_id))
    assert sorted(bench.queue.finished) == sorted((response_id, "completed", 1) for response_id in ids)
    assert len(bench.model.bodies) == 30


async def test_limit_that_is_reached_fails_the_response_with_its_code(bench):
    replica = await bench.start()
    bench.meter.error = ResourceExhaustedError("Too many tokens.")

    response_id = await bench.create(replica)
    frames = await bench.follow(replica, response_id)

    response = await bench.ended(response_id)
    assert (response["status"], response["error"]["code"]) == ("failed", "rate_limit_exceeded")
    bench.assert_sound(frames, response)
    assert bench.model.bodies == []


async def test_function_call_is_published_whole_with_the_end(bench):
    replica = await bench.start()
    bench.model.hold_at = 4

    response_id = await bench.create(replica, "call-3", tools=[{"type": "function", "name": "look"}])
    events = await bench.read_until(replica, response_id, bench.words(3))
    await bench.model.held.wait()
    assert not any(event["type"].startswith("response.function") for event in events)
    bench.model.gate.set()
    frames = await bench.follow(replica, response_id)

    response = await bench.ended(response_id)
    bench.assert_sound(frames, response)
    assert response["output"][1]["arguments"] == '{"at": "it"}'


async def test_history_that_is_away_at_the_end_is_waited_for(bench):
    replica = await bench.start()
    bench.model.hold_at = 20
    response_id = await bench.create(replica)
    await bench.model.held.wait()

    bench.queue.is_away = True
    bench.model.gate.set()
    await asyncio.sleep(0.3)
    assert bench.queue.finished == []
    assert b".done" not in await bench.published(response_id)  # what is not stored is not final
    bench.queue.is_away = False

    assert (await bench.ended(response_id))["status"] == "completed"
    bench.assert_sound(await bench.follow(replica, response_id), await bench.ended(response_id))


async def test_nothing_is_taken_over_from_the_living_after_history_was_away_for_longer_than_a_lease(bench):
    replicas = [await bench.start(lease_seconds=1.0, renew_seconds=0.1, poll_seconds=0.05) for _ in range(3)]
    bench.model.hold_at = 5
    ids = [await bench.create(replicas[0]) for _ in range(6)]
    while len(bench.model.bodies) < len(ids):  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(0.01)

    bench.queue.is_away = True
    await asyncio.sleep(1.5)
    bench.queue.is_away = False
    await asyncio.sleep(1.5)
    bench.model.gate.set()

    assert {(await bench.ended(response_id))["status"] for response_id in ids} == {"completed"}
    assert len(bench.model.bodies) == len(ids)
    assert {attempt for _, _, attempt in bench.queue.finished} == {1}


async def test_runner_that_was_full_while_history_was_away_waits_before_it_claims(bench, caplog):
    full = await bench.start(max_runs=1, foreground_renewal_seconds=60)
    bench.model.hold_at = 5
    kept = await bench.create(full)
    await bench.model.held.wait()
    slow = await bench.start(max_runs=1)
    overdue = await bench.create(full)
    await bench.until(lambda: len(bench.model.bodies) == 2)

    bench.queue.is_away = True
    slow.freeze_leases()
    await asyncio.sleep(bench.settings.lease_seconds)
    await bench.until(lambda: "cannot be renewed" in caplog.text)
    bench.queue.is_away = False
    await bench.cancel(full, kept)
    await bench.until(lambda: not full.value("rostra_chat_background_runs"))

    await asyncio.sleep(bench.settings.lease_seconds + 5 * bench.settings.poll_seconds)
    attempt, lease_ends_at = bench.queue.leases[overdue]
    assert attempt == 1
    assert lease_ends_at < time.monotonic()


async def test_response_that_is_deleted_while_it_runs_is_left(bench):
    replica = await bench.start()
    bench.model.hold_at = 5
    response_id = await bench.create(replica)
    await bench.model.held.wait()

    del bench.queue.responses[response_id]
    await bench.until(lambda: not replica.value("rostra_chat_background_runs"))

    assert bench.queue.finished == []
    assert bench.meter.ends == ["CANCELLED"]


async def test_metrics_tell_of_runs_and_queue(bench):
    replica = await bench.start()
    bench.model.hold_at = 10

    response_id = await bench.create(replica)
    await bench.model.held.wait()
    await bench.until_published(response_id, b"word-8 ")
    events = (await bench.published(response_id)).count(b"event: ")

    # The two that tell of the queue are written by whoever is first: the creation, or the runner as it takes the log.
    await bench.until(lambda: events - 2 <= replica.value("rostra_chat_log_events_total") <= events)
    assert replica.value("rostra_chat_queue_seconds_count") == 1
    assert replica.value("rostra_chat_log_writes_total") >= 1
    assert replica.value("rostra_chat_takeovers_total") == 0
    bench.model.gate.set()
    await bench.follow(replica, response_id)
