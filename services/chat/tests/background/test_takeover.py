"""Runners that die, are paused, or are told to end: the next one goes on, and no follower sees a seam."""

import asyncio

import pytest

from rostra_chat.continuation import INSTRUCTION
from rostra_kit.errors import InternalError
from services.chat.tests.background.conftest import FAST


async def begun(bench, replica, model="words-20", *, at=8, **body):
    """Queue a response and let it run until it waits before its word number `at`; what it said is published."""
    bench.model.hold_at = at
    bench.model.held.clear()
    response_id = await bench.create(replica, model, **body)
    await bench.model.held.wait()
    await bench.read_until(replica, response_id, bench.words(at - 1))
    return response_id


def release(bench):
    """Let the model speak on, and whoever it held before as well."""
    bench.model.hold_at = None
    bench.model.gate.set()


async def test_text_of_a_dead_runner_is_continued_in_place(bench):
    first, second = await bench.start(), await bench.start(max_runs=0)
    response_id = await begun(bench, first)
    following = asyncio.create_task(bench.follow(second, response_id))

    first.kill()
    bench.model.hold_at = None
    third = await bench.start()
    frames = await following

    response = await bench.ended(response_id)
    bench.assert_sound(frames, response)
    assert len(response["output"]) == 1
    assert response["output"][0]["content"][0]["text"] == bench.words(20)
    assert bench.queue.finished == [(response_id, "completed", 2)]
    assert third.value("rostra_chat_takeovers_total") == 1
    said, instruction = bench.model.bodies[1]["messages"][-2:]
    assert said == {"role": "assistant", "content": bench.words(7)}
    assert instruction == {"role": "user", "content": INSTRUCTION}


async def test_response_whose_runner_died_before_it_published_a_word_is_run_by_the_next(bench):
    first, second = await bench.start(gather_seconds=60), await bench.start(max_runs=0)
    bench.model.hold_at = 3
    response_id = await bench.create(second)
    await bench.model.held.wait()
    assert bench.words(1).encode() not in await bench.published(response_id)

    first.kill()
    bench.model.hold_at = None
    await bench.start()

    response = await bench.ended(response_id)
    bench.assert_sound(await bench.follow(second, response_id), response)
    assert bench.queue.finished == [(response_id, "completed", 2)]


async def test_created_response_has_a_log_before_its_client_hears_of_it(bench):
    idle = await bench.start(max_runs=0)
    for _ in range(5):
        response_id = await bench.create(idle)
        assert b"response.queued" in await bench.published(response_id)


async def test_runner_paused_past_its_lease_neither_stores_nor_publishes(bench):
    first = await bench.start()
    response_id = await begun(bench, first)

    first.freeze_leases()
    second = await bench.start()
    await bench.until(lambda: len(bench.model.bodies) == 2)
    release(bench)  # both runners speak on at once

    frames = await bench.follow(second, response_id)
    response = await bench.ended(response_id)
    bench.assert_sound(frames, response)
    await bench.until(lambda: not bench.meter.open)
    assert bench.queue.finished == [(response_id, "completed", 2)]
    assert sorted(bench.meter.ends) == ["CANCELLED", "FINISHED"]
    assert await bench.follow(second, response_id) == frames


@pytest.mark.parametrize("deaths", [1, 2])
async def test_every_death_up_to_the_second_leads_on(bench, deaths):
    follower = await bench.start(max_runs=0)
    response_id = ""
    for death in range(deaths):
        replica = await bench.start()
        if death:
            bench.model.held.clear()
            bench.model.hold_at = 8 + 4 * death
            await bench.read_until(follower, response_id, bench.words(7 + 4 * death))
        else:
            response_id = await begun(bench, replica)
        replica.kill()
    bench.model.hold_at = None
    await bench.start()

    frames = await bench.follow(follower, response_id)
    bench.assert_sound(frames, await bench.ended(response_id))
    assert bench.queue.finished == [(response_id, "completed", deaths + 1)]


async def test_third_death_fails_the_response_with_a_reason(bench):
    follower = await bench.start(max_runs=0)
    response_id = await begun(bench, first := await bench.start())
    first.kill()
    for count in (2, 3):
        replica = await bench.start()
        await bench.until(lambda count=count: len(bench.model.bodies) == count)
        replica.kill()
    await bench.start()

    frames = await bench.follow(follower, response_id)
    response = await bench.ended(response_id)
    assert response["status"] == "failed"
    assert "3 times" in response["error"]["message"]
    bench.assert_sound(frames, response)
    assert bench.model.hold_at is not None
    assert len(bench.model.bodies) == 3


async def test_log_lost_with_its_runner_fails_the_response(bench, redis):
    first = await bench.start()
    response_id = await begun(bench, first)

    first.kill()
    await redis.flushall()
    await bench.start()

    response = await bench.ended(response_id)
    assert response["status"] == "failed"
    assert "lost" in response["error"]["message"]


async def test_log_that_cannot_be_read_fails_the_response(bench, redis):
    first = await bench.start()
    response_id = await begun(bench, first)

    first.kill()
    (newest,) = await redis.xrevrange(f"run:{{{response_id}}}:events", count=1)
    length = int(newest[0].partition(b"-")[0]) + 1
    frame = b'event: response.unknown\ndata: {"type":"response.unknown"}\n\n'
    await redis.xadd(f"run:{{{response_id}}}:events", {"f": frame, "e": "0"}, id=f"{length}-0")
    await bench.start()

    response = await bench.ended(response_id)
    assert response["status"] == "failed"


async def test_reasoning_that_broke_off_goes_on_in_a_part_of_its_own(bench):
    first, follower = await bench.start(), await bench.start(max_runs=0)
    bench.model.hold_at = 0
    response_id = await bench.create(first, "reasoning-5")
    await bench.model.held.wait()
    await bench.until_published(response_id, b"reasoning_summary_text.delta")

    first.kill()
    bench.model.hold_at = None
    await bench.start()
    frames = await bench.follow(follower, response_id)

    response = await bench.ended(response_id)
    bench.assert_sound(frames, response)
    reasoning, message = response["output"]
    assert [part["text"] for part in reasoning["summary"]] == ["Let ", "Let me think. "]
    assert message["content"][0]["text"] == bench.words(5)


async def test_reasoning_of_a_later_attempt_does_not_part_a_text(bench):
    first, follower = await bench.start(), await bench.start(max_runs=0)
    response_id = await begun(bench, first, "reasoning-20")

    first.kill()
    bench.model.hold_at = None
    await bench.start()
    frames = await bench.follow(follower, response_id)

    response = await bench.ended(response_id)
    bench.assert_sound(frames, response)
    assert [item["type"] for item in response["output"]] == ["reasoning", "message"]


async def test_function_call_of_a_dead_runner_is_made_anew(bench):
    first, follower = await bench.start(), await bench.start(max_runs=0)
    bench.model.hold_at = 4
    response_id = await bench.create(first, "call-3", tools=[{"type": "function", "name": "look"}])
    await bench.model.held.wait()
    await bench.read_until(follower, response_id, bench.words(3))

    first.kill()
    bench.model.hold_at = None
    await bench.start()
    frames = await bench.follow(follower, response_id)

    response = await bench.ended(response_id)
    bench.assert_sound(frames, response)
    assert [item["type"] for item in response["output"]] == ["message", "function_call"]


async def test_process_that_ends_lets_its_runs_finish(bench):
    replica = await bench.start(drain_seconds=5)
    response_id = await begun(bench, replica)

    draining = asyncio.create_task(replica.drain())
    await asyncio.sleep(0.05)
    release(bench)
    await draining

    assert bench.queue.finished == [(response_id, "completed", 1)]


async def test_process_that_ends_hands_over_what_is_not_finished(bench):
    follower = await bench.start(max_runs=0)
    replica = await bench.start(drain_seconds=0.1, lease_seconds=60.0)
    response_id = await begun(bench, replica)

    await replica.drain()
    bench.model.hold_at = None
    await bench.start()
    frames = await bench.follow(follower, response_id)

    bench.assert_sound(frames, await bench.ended(response_id))
    assert bench.queue.finished == [(response_id, "completed", 2)]
    assert bench.queue.tries[response_id] == 1
    assert bench.meter.ends == ["CANCELLED", "FINISHED"]


async def test_process_that_ends_claims_nothing_more(bench):
    replica = await bench.start(drain_seconds=5)
    held = await begun(bench, replica)
    draining = asyncio.create_task(replica.drain())
    await asyncio.sleep(0)

    other = await bench.start(max_runs=0)
    response_id = await bench.create(other)
    await asyncio.sleep(0.3)

    assert bench.queue.responses[response_id]["status"] == "queued"
    release(bench)
    await draining
    assert (await bench.ended(held))["status"] == "completed"


async def test_runner_that_dies_between_storing_and_telling_leaves_the_rest_to_followers(bench):
    first, follower = await bench.start(), await bench.start(max_runs=0)
    response_id = await begun(bench, first)
    (run,) = first.background.runner._runs.values()

    run._run_log.abandon()  # from here on nothing of it reaches Redis
    release(bench)
    await bench.ended(response_id)
    frames, again = await asyncio.gather(bench.follow(follower, response_id), bench.follow(follower, response_id))

    bench.assert_sound(frames, await bench.ended(response_id))
    assert again == frames


async def test_failure_of_the_provider_is_the_end(bench):
    bench.model.error = InternalError("The provider broke.")
    replica = await bench.start()

    response_id = await bench.create(replica)
    frames = await bench.follow(replica, response_id)

    response = await bench.ended(response_id)
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    bench.assert_sound(frames, response)
    assert bench.meter.ends == ["GIVEN BACK"]


async def test_whole_answer_is_stored_by_the_runner_that_is_told_to_end_while_it_settles(bench, monkeypatch):
    first = await bench.start()
    settling, go_on = asyncio.Event(), asyncio.Event()
    reserve = bench.meter.reserve

    async def reserve_slowly_settled(**wanted):
        charge = await reserve(**wanted)
        settle = charge.settle

        async def settle_slowly(*args, **options):
            settling.set()
            await go_on.wait()
            await settle(*args, **options)

        monkeypatch.setattr(charge, "settle", settle_slowly)
        return charge

    monkeypatch.setattr(bench.meter, "reserve", reserve_slowly_settled)
    response_id = await bench.create(first)
    async with asyncio.timeout(5):
        await settling.wait()
        draining = asyncio.create_task(first.drain())
        await asyncio.sleep(0.05)
        go_on.set()
        await draining
    assert bench.queue.finished == [(response_id, "completed", 1)]
    assert len(bench.model.bodies) == 1


@pytest.mark.parametrize("method", ["claim", "renew"])
async def test_unforeseen_error_of_the_queue_ends_no_loop(bench, monkeypatch, method):
    replica = await bench.start()
    real, broken = getattr(bench.queue, method), asyncio.Event()

    async def break_once(*args, **options):
        if not broken.is_set():
            broken.set()
            raise RuntimeError("Nobody foresaw this.")
        return await real(*args, **options)

    monkeypatch.setattr(bench.queue, method, break_once)
    bench.model.hold_at = 8
    response_id = await bench.create(replica)
    async with asyncio.timeout(5):
        await broken.wait()
        await bench.model.held.wait()
        await asyncio.sleep(3 * FAST.lease_seconds)  # so that it would be taken over if nobody renewed its lease
    release(bench)
    assert (await bench.ended(response_id))["status"] == "completed"
    assert bench.queue.finished == [(response_id, "completed", 1)]
