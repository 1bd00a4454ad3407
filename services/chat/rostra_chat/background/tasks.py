"""Ends tasks for certain."""

import asyncio
from collections.abc import Collection
from typing import Any

_REPEAT_SECONDS = 0.2


async def end_tasks(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks and return when all have ended.

    Once is not enough: redis-py sends through asyncio.wait_for, which before Python 3.12 forgets a cancellation that
    arrives as the sending ends (python/cpython#86296).
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_REPEAT_SECONDS)
