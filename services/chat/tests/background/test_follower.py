"""Following: from any point, by any number of clients, on any replica, while it runs and afterwards."""

import asyncio
from contextlib import aclosing

import orjson
import pytest

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra_chat.background import follower as follower_module
from rostra_chat.errors import EventsNotKept
from rostra_kit.errors import InvalidArgumentError, NotFoundError


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(follower_module, "_STATUS_SECONDS", 0.2)
    monkeypatch.setattr(follower_module, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(follower_module, "WRITING_SECONDS", 1.0)


async def test_tails_from_every_point_are_the_same_bytes(bench):
    replica, other = await bench.start(), await bench.start(max_runs=0)
    bench.model.pause_seconds = 0
    response_id = await bench.create(replica, "words-490")
    whole = await bench.follow(other, response_id)
    frames = [frame + b"\n\n" for frame in whole.split(b"\n\n")[:-1]]
    assert len(frames) > 490

    for number in range(len(frames)):
        assert await bench.follow(other, response_id, starting_after=number) == b"".join(frames[number + 1 :])


async def test_followers_who_join_at_any_time_see_the_same(bench):
    replica, other = await bench.start(), await bench.start(max_runs=0)
    response_id = await bench.create(replica, "words-100")

    async def follow_later(number):
        await asyncio.sleep(0.02 * number)
        return await bench.follow(other, response_id)

    streams = await asyncio.gather(*(follow_later(number) for number in range(20)))

    assert len(set(streams)) == 1
    bench.assert_sound(streams[0], await bench.ended(response_id))


async def test_follower_who_comes_back_misses_nothing(bench):
    replica, other = await bench.start(), await bench.start(max_runs=0)
    response_id = await bench.create(replica, "words-60")
    seen, number = b"", None
    while not seen or b"response.completed" not in seen:
        request = pb.FollowResponseRequest(response_id=response_id, starting_after=number)
        async with aclosing(other.background.responses.follow(request)) as messages:
            async for message in messages:
                seen += message.frames
                number = bench.parse(message.frames)[-1]["sequence_number"]
                break

    bench.assert_sound(seen, await bench.ended(response_id))


async def test_stream_that_makes_the_response_begins_with_its_first_event(bench):
    replica = await bench.start()
    body = {"model": "words-5", "input": "Hi", "background": True, "stream": True}
    state = pb.ResponseState(store=True, background=True)
    request = pb.StreamResponseRequest(model="words-5", body=orjson.dumps(body), state=state)

    frames = b"".join([message.frames async for message in replica.background.responses.stream(request)])

    response_id = bench.parse(frames)[0]["response"]["id"]
    bench.assert_sound(frames, await bench.ended(response_id))


async def test_client_who_leaves_its_stream_does_not_end_the_response(bench):
    replica = await bench.start()
    body = {"model": "words-20", "input": "Hi", "background": True, "stream": True}
    state = pb.ResponseState(store=True, background=True)
    request = pb.StreamResponseRequest(model="words-20", body=orjson.dumps(body), state=state)
    async with aclosing(replica.background.responses.stream(request)) as messages:
        first = await anext(messages)

    response = await bench.ended(bench.parse(first.frames)[0]["response"]["id"])

    assert response["status"] == "completed"
    assert replica.value("rostra_chat_followers") == 0


async def test_follower_of_a_queued_response_waits(bench):
    replica = await bench.start(max_runs=0)
    response_id = await bench.create(replica)
    following = asyncio.create_task(bench.follow(replica, response_id))
    await asyncio.sleep(0.5)
    assert not following.done()

    await bench.start()

    bench.assert_sound(await following, await bench.ended(response_id))


async def test_log_that_is_gone_is_told_at_once_of_a_response_that_ended_a_while_ago(bench, redis):
    replica = await bench.start()
    response_id = await bench.create(replica)
    await bench.follow(replica, response_id)
    bench.queue.responses[response_id]["completed_at"] -= 60
    await redis.flushall()

    with pytest.raises(EventsNotKept):
        async with asyncio.timeout(0.1):
            await bench.follow(replica, response_id)


async def test_log_that_is_gone_is_waited_for_while_its_runner_may_write_it_anew(bench, redis):
    replica = await bench.start()
    response_id = await bench.create(replica)
    frames = await bench.follow(replica, response_id)
    kept = await redis.xrange(f"run:{{{response_id}}}:events")
    await redis.flushall()
    following = asyncio.create_task(bench.follow(replica, response_id))
    await asyncio.sleep(0.3)
    assert not following.done()

    for entry_id, fields in kept:
        await redis.xadd(f"run:{{{response_id}}}:events", fields, id=entry_id)

    assert await following == frames


async def test_log_that_vanishes_while_it_is_followed_is_followed_on(bench, redis):
    replica, other = await bench.start(), await bench.start(max_runs=0)
    bench.model.hold_at = 8
    response_id = await bench.create(replica)
    following = asyncio.create_task(bench.follow(other, response_id))
    await bench.model.held.wait()
    await bench.read_until(other, response_id, bench.words(7))

    await redis.flushall()
    await asyncio.sleep(0.5)
    bench.model.gate.set()

    bench.assert_sound(await following, await bench.ended(response_id))
    bench.assert_sound(await bench.follow(other, response_id), await bench.ended(response_id))


async def test_log_that_vanishes_with_its_runner_ends_the_stream(bench, redis):
    replica, other = await bench.start(), await bench.start(max_runs=0)
    bench.model.hold_at = 8
    response_id = await bench.create(replica)
    following = asyncio.create_task(bench.follow(other, response_id))
    await bench.model.held.wait()
    await bench.read_until(other, response_id, bench.words(7))

    replica.kill()
    await redis.flushall()
    await bench.start()

    with pytest.raises(EventsNotKept):
        async with asyncio.timeout(5):
            await following
    assert (await bench.ended(response_id))["status"] == "failed"


async def test_point_beyond_the_end_of_an_ended_response_gives_nothing(bench):
    replica = await bench.start()
    response_id = await bench.create(replica)
    await bench.follow(replica, response_id)

    assert await bench.follow(replica, response_id, starting_after=10_000) == b""


async def test_point_before_the_beginning_is_refused(bench):
    replica = await bench.start(max_runs=0)
    response_id = await bench.create(replica)

    with pytest.raises(InvalidArgumentError):
        await bench.follow(replica, response_id, starting_after=-1)


async def test_unknown_response_is_not_found(bench):
    replica = await bench.start(max_runs=0)

    with pytest.raises(NotFoundError):
        await bench.follow(replica, "resp_unknown")


async def test_response_that_was_not_made_in_the_background_has_no_events(bench):
    replica = await bench.start(max_runs=0)
    bench.queue.responses["resp_1"] = {"id": "resp_1", "status": "completed", "background": False, "output": []}

    with pytest.raises(EventsNotKept):
        await bench.follow(replica, "resp_1")


async def test_history_that_is_away_for_a_while_does_not_end_a_stream(bench):
    replica = await bench.start(max_runs=0)
    response_id = await bench.create(replica)
    following = asyncio.create_task(bench.follow(replica, response_id))
    await asyncio.sleep(0.1)

    bench.queue.is_away = True
    await asyncio.sleep(0.5)
    bench.queue.is_away = False
    await bench.start()

    bench.assert_sound(await following, await bench.ended(response_id))


async def test_two_hundred_followers_share_a_few_connections(bench, redis):
    replica = await bench.start(max_runs=0)
    response_id = await bench.create(replica)
    streams = [asyncio.create_task(bench.follow(replica, response_id)) for _ in range(200)]
    await bench.until(lambda: replica.value("rostra_chat_followers") == 200)

    await bench.start()

    assert len(set(await asyncio.gather(*streams))) == 1
