"""Work that nobody waits for, or whose end does not depend on who does."""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
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


class Every:
    """Does something every so often for the length of a `with`; until it is due the first time, it costs a timer.

    Args:
        seconds: The time from the beginning to the first time, and from one to the next.
        work: What is done, not again while it is still being done, and cancelled at the end.
    """

    def __init__(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._seconds = seconds
        self._work = work
        self._doing: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        """Begin to wait."""
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._begin)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Do it no more."""
        self._timer.cancel()
        if self._doing is not None:
            self._doing.cancel()

    def _begin(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._begin)
        if self._doing is None or self._doing.done():
            self._doing = asyncio.create_task(self._work())
