import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import ConnectionError as RedisConnectionError

from rostra_kit.errors import UnavailableError
from rostra_user.background import repeated
from rostra_user.metrics import UserMetrics


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (ZeroDivisionError(), logging.ERROR),
        (UnavailableError("down"), logging.WARNING),
        (RedisConnectionError(), logging.WARNING),
    ],
)
async def test_failed_turn_is_counted_logged_and_tried_again(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture, error: Exception, level: int
) -> None:
    failures = UserMetrics(registry).background_failures.labels("erasure")
    errors, succeeded = [error], asyncio.Event()

    async def turn() -> None:
        if errors:
            raise errors.pop()
        succeeded.set()

    async with repeated("erasure", turn, pause_seconds=0, failures=failures):
        await asyncio.wait_for(succeeded.wait(), 5)
    assert registry.get_sample_value("rostra_user_background_failures_total", {"task": "erasure"}) == 1
    assert [record.levelno for record in caplog.records] == [level]


async def test_turn_that_swallows_a_cancellation_is_cancelled_again(registry: CollectorRegistry) -> None:
    failures = UserMetrics(registry).background_failures.labels("erasure")
    swallowed, begun = 0, asyncio.Event()

    async def turn() -> None:
        nonlocal swallowed
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            swallowed += 1
            if swallowed > 1:
                raise

    async with repeated("erasure", turn, pause_seconds=0, failures=failures):
        await begun.wait()
    assert swallowed == 2
