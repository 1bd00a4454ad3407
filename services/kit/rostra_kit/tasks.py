"""Work whose end does not depend on who waits for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

_CANCEL_AGAIN_SECONDS = 1.0


async def uninterrupted(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Return the result of `work`, which goes on to its end even when the caller is cancelled meanwhile.

    The cancellation is raised afterwards.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # nobody is left to hear of it, which asyncio would log as an oversight
        raise


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel `task` until it has ended.

    Once is not always enough: before Python 3.12 `asyncio.wait_for`, through which redis-py sends, forgets a
    cancellation that arrives as the sending ends (python/cpython#86296).
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_AGAIN_SECONDS)
