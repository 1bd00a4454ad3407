"""When a service is ready."""

import asyncio

from rostra_kit.readiness import wait_until_ready


async def test_failing_check_is_tried_until_it_succeeds() -> None:
    attempts = 0

    async def check() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise ConnectionError("not yet")

    async with asyncio.timeout(5):
        await wait_until_ready([check])
    assert attempts == 3


async def test_no_checks_is_ready_at_once() -> None:
    async with asyncio.timeout(1):
        await wait_until_ready([])


async def test_one_check_that_never_succeeds_keeps_all_waiting() -> None:
    async def fails() -> None:
        raise ConnectionError("never")

    async def succeeds() -> None:
        return

    waiting = asyncio.create_task(wait_until_ready([succeeds, fails]))
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    waiting.cancel()
    assert not done
