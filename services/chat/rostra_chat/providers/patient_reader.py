"""Reads a stream that may be silent for a while, but not for ever."""

import asyncio

import aiohttp


class PatientReader:
    """Reads what comes, each time until a deadline.

    A deadline is looked at when the one before has passed: a stream has one timer at a time, which is set anew once in
    a timeout and not with every chunk.
    """

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content
        self._loop = asyncio.get_running_loop()
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, *, deadline: float) -> bytes:
        """Return what has come, at least a byte; nothing at the end.

        Raises:
            TimeoutError: Nothing came until `deadline`, by the loop's clock.
        """
        self._deadline = deadline
        if self._timer is None or self._timer.when() > deadline:
            self._set_timer(deadline)
        try:
            return await self._content.readany()
        finally:
            # Nobody waits between two reads, however long that is.
            self._deadline = None

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self, when: float) -> None:
        self.close()
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        """Break the read off if its time is over; if it has time left, look again then."""
        self._timer = None
        if self._deadline is None:
            return
        if self._deadline <= self._loop.time():
            self._content.set_exception(TimeoutError())
        else:
            self._set_timer(self._deadline)
