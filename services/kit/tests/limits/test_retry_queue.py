"""What becomes of jobs that cannot be done yet."""

import asyncio

import pytest

from rostra_kit.limits import LimitsUnavailable, RetryQueue


class Job:
    """Fails a number of times, then succeeds."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.attempts = 0
        self.done = asyncio.Event()

    async def __call__(self) -> None:
        self.attempts += 1
        if self._failures:
            raise self._failures.pop(0)
        self.done.set()


class Losses:
    def __init__(self) -> None:
        self.count = 0
        self.first = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self.first.set()


def unavailable(times: int) -> list[Exception]:
    return [LimitsUnavailable("down") for _ in range(times)]


async def test_failing_job_is_repeated_until_it_succeeds() -> None:
    losses, job, next_job = Losses(), Job(*unavailable(3)), Job()
    async with RetryQueue(on_lost=losses, delay_seconds=0.001) as queue:
        queue.put(job)
        queue.put(next_job)
        await asyncio.wait_for(next_job.done.wait(), 5)
    assert (job.attempts, next_job.attempts, losses.count, len(queue)) == (4, 1, 0, 0)


async def test_queue_serves_again_after_it_was_empty() -> None:
    async with RetryQueue(on_lost=Losses(), delay_seconds=0.001) as queue:
        for job in (Job(), Job()):
            queue.put(job)
            await asyncio.wait_for(job.done.wait(), 5)


async def test_job_that_fails_for_too_long_is_lost() -> None:
    losses, job = Losses(), Job(*unavailable(10_000))
    async with RetryQueue(on_lost=losses, delay_seconds=0.001, give_up_seconds=0.05, max_delay_seconds=0.01) as queue:
        queue.put(job)
        await asyncio.wait_for(losses.first.wait(), 5)
        assert len(queue) == 0
    assert losses.count == 1
    assert job.attempts > 1


async def test_job_with_another_error_is_lost_and_stops_no_other() -> None:
    losses, broken, job = Losses(), Job(LookupError("broken")), Job()
    async with RetryQueue(on_lost=losses, delay_seconds=0.001) as queue:
        queue.put(broken)
        queue.put(job)
        await asyncio.wait_for(job.done.wait(), 5)
    assert (broken.attempts, losses.count) == (1, 1)


async def test_full_queue_loses_the_newcomer() -> None:
    losses = Losses()
    queue = RetryQueue(on_lost=losses, max_jobs=2)
    for _ in range(3):
        queue.put(Job())
    assert (len(queue), losses.count) == (2, 1)


async def test_uncounted_job_is_lost_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    losses = Losses()
    queue = RetryQueue(on_lost=losses, max_jobs=0)
    queue.put(Job(), is_counted=False)
    assert losses.count == 0
    assert not caplog.records


async def test_exit_tries_the_rest_once_more() -> None:
    losses, job = Losses(), Job()
    async with RetryQueue(on_lost=losses, delay_seconds=60) as queue:
        queue.put(job)
    assert (job.attempts, losses.count) == (1, 0)


async def test_exit_waits_for_a_bounded_time_and_counts_the_rest() -> None:
    losses = Losses()

    async def hang() -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(5), RetryQueue(on_lost=losses, delay_seconds=60, exit_seconds=0.01) as queue:
        queue.put(hang)
        queue.put(Job())
    assert losses.count == 2
