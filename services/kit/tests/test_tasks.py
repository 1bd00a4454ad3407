"""Work whose end does not depend on who waits for it."""

import asyncio
import gc

import pytest

from rostra_kit.tasks import cancel, uninterrupted


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
