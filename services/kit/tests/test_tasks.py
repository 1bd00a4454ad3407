"""Work whose end does not depend on who waits for it."""

import asyncio
import gc

import pytest

from rostra_kit.tasks import Every, cancel, uninterrupted


async def test_cancelled_caller_lets_the_work_end_and_is_cancelled_then() -> None:
    begun, proceed, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await proceed.wait()
        ended.set()

    caller = asyncio.create_task(uninterrupted(work()))
    await begun.wait()
    caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    proceed.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended.is_set()


async def test_error_that_nobody_waits_for_is_no_oversight(caplog: pytest.LogCaptureFixture) -> None:
    begun, proceed = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await proceed.wait()
        raise ValueError

    caller = asyncio.create_task(uninterrupted(work()))
    await begun.wait()
    caller.cancel()
    await asyncio.sleep(0)
    proceed.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    del caller
    gc.collect()
    assert not caplog.records


async def test_error_of_the_work_reaches_the_caller() -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await uninterrupted(work())


async def test_task_that_forgets_a_cancellation_is_cancelled_again() -> None:
    forgotten = 0

    async def forgetful() -> None:
        nonlocal forgotten
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if forgotten:
                    raise
                forgotten += 1

    task = asyncio.create_task(forgetful())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await cancel(task)
    assert task.cancelled()
    assert forgotten == 1


async def test_what_is_done_every_so_often_ends_with_the_block() -> None:
    times = 0

    async def count() -> None:
        nonlocal times
        times += 1

    with Every(0.02, count):
        await asyncio.sleep(0.01)
        assert times == 0
        await asyncio.sleep(0.1)
    assert times >= 2
    ended_at = times
    await asyncio.sleep(0.05)
    assert times == ended_at


async def test_what_is_still_being_done_is_not_begun_again_and_is_cancelled() -> None:
    begun, cancelled = 0, asyncio.Event()

    async def linger() -> None:
        nonlocal begun
        begun += 1
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with Every(0.01, linger):
        await asyncio.sleep(0.05)
    await asyncio.wait_for(cancelled.wait(), 1)
    assert begun == 1
