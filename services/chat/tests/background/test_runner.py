"""Running background responses: once each, to their end, whatever becomes of their runners."""

import asyncio


async def test_queued_response_is_run_and_followed_to_its_end(bench):
    replica = await bench.start()

    response_id = await bench.create(replica)
    frames = await bench.follow(replica, response_id)

    response = await bench.ended(response_id)
    assert response["status"] == "completed"
    bench.assert_sound(frames, response)
    assert bench.meter.ends == ["FINISHED"]
