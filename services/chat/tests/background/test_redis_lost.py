"""Redis that goes away, or comes back empty, while responses run: every one ends, and what is stored is whole."""

import asyncio

import pytest

from rostra_chat.background import follower as follower_module
from rostra_kit.errors import UnavailableError


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(follower_module, "_STATUS_SECONDS", 0.2)
    monkeypatch.setattr(follower_module, "_LOOK_SECONDS", 0.1)


async def test_redis_that_comes_back_empty_stops_no_response(bench, redis_server):
    runner, other = await bench.start(), await bench.start(max_runs=0)
    bench.model.hold_at = 8
    ids = [await bench.create(runner) for _ in range(20)]
    streams = [asyncio.create_task(bench.follow(other, response_id)) for response_id in ids]
    await asyncio.gather(*(bench.read_until(other, response_id, bench.words(7)) for response_id in ids))

    redis_server.kill()
    await asyncio.sleep(0.3)
    redis_server.start()
    bench.model.gate.set()

    async with asyncio.timeout(20):
        for response_id, stream in zip(ids, streams, strict=True):
            response = await bench.ended(response_id)
            assert response["status"] == "completed"
            bench.assert_sound(await stream, response)


async def test_response_runs_while_redis_is_away_and_is_followed_later(bench, redis_server):
    runner = await bench.start()
    redis_server.kill()

    response_id = await bench.create(runner)
    response = await bench.ended(response_id)
    assert response["status"] == "completed"
    redis_server.start()

    await bench.until_published(response_id, b"response.completed")
    bench.assert_sound(await bench.follow(runner, response_id), response)


async def test_whoever_begins_to_follow_while_redis_is_away_is_refused_soon(bench, redis_server, monkeypatch):
    monkeypatch.setattr(follower_module, "_PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(follower_module, "_GIVE_UP_SECONDS", 3600.0)
    runner = await bench.start()
    response_id = await bench.create(runner)
    await bench.ended(response_id)
    redis_server.kill()

    async with asyncio.timeout(30):
        with pytest.raises(UnavailableError):
            await bench.follow(runner, response_id)


async def test_takeover_waits_for_redis(bench, redis_server):
    first, other = await bench.start(), await bench.start(max_runs=0)
    bench.model.hold_at = 8
    response_id = await bench.create(first)
    await bench.model.held.wait()
    await bench.read_until(other, response_id, bench.words(7))

    with redis_server.frozen():
        first.kill()
        bench.model.hold_at = None
        await bench.start()
        await asyncio.sleep(1.0)
        assert bench.queue.finished == []

    frames = await bench.follow(other, response_id)
    bench.assert_sound(frames, await bench.ended(response_id))
