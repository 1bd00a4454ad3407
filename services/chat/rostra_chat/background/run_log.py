"""The events of one run in the memory of the process that runs it, from which a lost log can be made anew."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from rostra_chat.background.event_log import Addition
from rostra_chat.responses.events import Event


class RunLog:
    """What one runner has to say of one response. `LogWriter` brings it to Redis.

    Args:
        response_id: The response.
        attempt: The runner's attempt.
        frames: The events so far, one frame for each.
        length: How many of them the log in Redis has.
        may_restore: Tells whether this runner certainly still runs the response. A log that Redis lost is made anew
            only then: nobody would stop an older attempt from doing so.
        on_over: Called when the log turns out to be a newer attempt's.

    Attributes:
        response_id: The response.
        is_over: Whether the log is a newer attempt's; what is added then is dropped.
    """

    def __init__(
        self,
        response_id: str,
        *,
        attempt: int,
        frames: Sequence[bytes] = (),
        length: int = 0,
        may_restore: Callable[[], bool] = lambda: True,
        on_over: Callable[[], None] = lambda: None,
    ) -> None:
        self.response_id = response_id
        self.is_over = False
        self._attempt = attempt
        self._frames = list(frames)
        self._may_restore = may_restore
        self._on_over = on_over
        self._length = length
        self._is_shorter = False
        self._is_ended = False
        self._written = asyncio.Event()
        self._note_written()

    def add(self, events: Iterable[Event]) -> None:
        """Append events."""
        self._frames += [event.frame() for event in events]
        self._note_written()

    def end(self) -> None:
        """Say that the last event was appended."""
        self._is_ended = True

    def abandon(self) -> None:
        """Write nothing more, not even what waits: another runner goes on from what is in the log."""
        self.is_over = True
        self._note_written()

    @property
    def is_ended(self) -> bool:
        """Tell whether nothing will be appended any more."""
        return self._is_ended

    @property
    def is_written(self) -> bool:
        """Tell whether Redis has all of it, as far as is known."""
        return self.is_over or self._length >= len(self._frames)

    async def wait_until_written(self) -> None:
        """Return when Redis has all of it, or a newer attempt has the log."""
        await self._written.wait()

    def pending(self) -> Addition | None:
        """Return what is to be appended to the log; `None` where nothing is, or may be."""
        if self.is_written or (self._is_shorter and not self._may_restore()):
            return None
        return Addition(
            response_id=self.response_id,
            attempt=self._attempt,
            length=self._length,
            frames=self._frames[self._length :],
            is_last=self._is_ended,
        )

    def note(self, length: int | None) -> int:
        """Take note of the log's length after an attempt to append, and return how many events it has more than before.

        The length is `None` where the log is a newer attempt's.

        A log that is shorter than it was lost its events with Redis; one that is longer has some whose arrival was not
        heard of. From either on it goes on with what is in memory.
        """
        more = 0
        if length is None or length > len(self._frames):
            self.is_over = True
            self._on_over()
        else:
            more = max(0, length - self._length)
            self._is_shorter = length < self._length
            self._length = length
        self._note_written()
        return more

    def _note_written(self) -> None:
        if self.is_written:
            self._written.set()
        else:
            self._written.clear()
