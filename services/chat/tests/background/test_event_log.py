"""The event log alone: what is read is what was written, from any point, by the newest attempt only."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import RedisError

from rostra_chat.background.event_log import Addition, AttemptOverError, EventLog
from rostra_chat.background.log_writer import LogWriter
from rostra_chat.background.run_log import RunLog
from rostra_chat.metrics import ChatMetrics
from rostra_chat.responses.events import Event

EVENTS = "run:{resp_1}:events"
ATTEMPT = "run:{resp_1}:attempt"


@pytest.fixture
def log(redis):
    return EventLog(redis, keep_seconds=60)


@pytest.fixture
async def writer(log):
    async with LogWriter(log, metrics=ChatMetrics(CollectorRegistry()), gather_seconds=0.001) as writer:
        yield writer


def events(first: int, count: int) -> list[Event]:
    data = [{"type": "response.output_text.delta", "sequence_number": number} for number in range(first, first + count)]
    return [Event(each) for each in data]


def frames(first: int, count: int) -> list[bytes]:
    return [event.frame() for event in events(first, count)]


def addition(first: int, count: int, *, attempt: int = 1, is_last: bool = False) -> Addition:
    return Addition(response_id="resp_1", attempt=attempt, length=first, frames=frames(first, count), is_last=is_last)


async def read_all(log: EventLog, *, after: int = 0) -> bytes:
    found = b""
    while entries := (await log.read([("resp_1", after)]))[0]:
        for entry in entries:
            found += entry.after(after)
            after = entry.length
    return found


async def test_events_are_read_as_written_from_every_point(log):
    total = 500
    sizes = [1, 2, 3, 7, 40, 1, 11]
    length = 0
    while length < total:
        count = min(sizes[length % len(sizes)], total - length)
        assert await log.append([addition(length, count)]) == [length + count]
        length += count
    whole = frames(0, total)

    for after in range(total + 1):
        assert await read_all(log, after=after) == b"".join(whole[after:])


async def test_many_events_at_once_become_entries_of_bounded_size(log, redis):
    await log.append([addition(0, 2000, is_last=True)])

    (entries,) = await log.read([("resp_1", 0)])
    assert [entry.length for entry in entries] == [512, 1024, 1536, 2000]
    assert [entry.is_last for entry in entries] == [False, False, False, True]


async def test_older_attempt_cannot_write(log):
    await log.append([addition(0, 2)])
    taken = await log.take("resp_1", attempt=2)

    assert taken == frames(0, 2)
    assert await log.append([addition(2, 1)]) == [None]
    assert await log.append([addition(2, 1, attempt=2)]) == [3]
    assert await read_all(log) == b"".join(frames(0, 3))


async def test_first_attempt_begins_a_log_that_is_empty_and_only_then(log):
    assert await log.take("resp_1", attempt=1, beginning=frames(0, 2)) == frames(0, 2)
    assert await log.append([addition(0, 1, attempt=0), addition(2, 1)]) == [None, 3]
    assert await log.take("resp_1", attempt=1, beginning=frames(0, 2)) == frames(0, 3)
    assert await read_all(log) == b"".join(frames(0, 3))


async def test_older_attempt_cannot_take_the_log(log):
    await log.take("resp_1", attempt=2)

    with pytest.raises(AttemptOverError):
        await log.take("resp_1", attempt=1)


async def test_log_of_another_length_takes_nothing_and_says_so(log):
    await log.append([addition(0, 3)])

    assert await log.append([addition(5, 1), addition(3, 1)]) == [3, 4]


async def test_log_ends_a_while_after_its_last_event(log, redis):
    await log.append([addition(0, 1)])
    await redis.expire(EVENTS, 5)
    await log.append([addition(1, 1)])

    assert 50 < await redis.ttl(EVENTS) <= 60
    assert 50 < await redis.ttl(ATTEMPT) <= 60


async def test_script_that_redis_forgot_is_loaded_again(log, redis):
    await log.append([addition(0, 1)])
    await redis.script_flush()

    assert await log.append([addition(1, 1)]) == [2]


async def test_events_of_many_runs_go_in_one_round_trip(log, redis):
    metrics = ChatMetrics(CollectorRegistry())
    run_logs = [RunLog(f"resp_{number}", attempt=1) for number in range(20)]
    writer = LogWriter(log, metrics=metrics, gather_seconds=0)
    for run_log in run_logs:
        run_log.add(events(0, 2))
        writer.write(run_log)
    async with writer:
        async with asyncio.timeout(5):
            await asyncio.gather(*(run_log.wait_until_written() for run_log in run_logs))

    assert metrics.log_writes._value.get() == 1
    assert metrics.log_events._value.get() == 40


async def test_lost_log_is_written_anew_from_memory(log, writer, redis):
    run_log = RunLog("resp_1", attempt=1)
    run_log.add(events(0, 10))
    writer.write(run_log)
    await run_log.wait_until_written()

    await redis.flushall()
    run_log.add(events(10, 1))
    writer.write(run_log)
    async with asyncio.timeout(5):
        await run_log.wait_until_written()

    assert await read_all(log) == b"".join(frames(0, 11))


async def test_lost_log_is_not_written_anew_by_a_runner_without_its_lease(log, writer, redis):
    has_lease = False
    run_log = RunLog("resp_1", attempt=1, may_restore=lambda: has_lease)
    run_log.add(events(0, 3))
    writer.write(run_log)
    await run_log.wait_until_written()

    await redis.flushall()
    run_log.add(events(3, 1))
    writer.write(run_log)
    await asyncio.sleep(0.1)
    assert await redis.exists(EVENTS) == 0

    has_lease = True
    async with asyncio.timeout(5):
        await run_log.wait_until_written()
    assert await read_all(log) == b"".join(frames(0, 4))


async def test_runner_hears_that_its_log_is_a_newer_attempts(log, writer):
    over = asyncio.Event()
    run_log = RunLog("resp_1", attempt=1, on_over=over.set)
    run_log.add(events(0, 1))
    writer.write(run_log)
    await run_log.wait_until_written()

    await log.take("resp_1", attempt=2)
    run_log.add(events(1, 1))
    writer.write(run_log)
    async with asyncio.timeout(5):
        await over.wait()

    assert await read_all(log) == b"".join(frames(0, 1))


async def test_append_whose_answer_is_lost_is_not_made_twice(log, writer):
    run_log = RunLog("resp_1", attempt=1)
    run_log.add(events(0, 2))
    first = run_log.pending()
    await log.append([first])  # nobody tells the run

    run_log.add(events(2, 1))
    writer.write(run_log)
    async with asyncio.timeout(5):
        await run_log.wait_until_written()

    assert await read_all(log) == b"".join(frames(0, 3))


async def test_events_wait_in_memory_while_redis_is_away(redis_server, log, writer):
    redis_server.kill()
    run_log = RunLog("resp_1", attempt=1)
    run_log.add(events(0, 5))
    writer.write(run_log)
    with pytest.raises((RedisError, OSError)):
        await log.append([addition(0, 1)])

    redis_server.start()
    async with asyncio.timeout(15):
        await run_log.wait_until_written()

    assert await read_all(log) == b"".join(frames(0, 5))
