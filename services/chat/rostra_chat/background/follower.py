"""Follows the event log of a background response from any point to its end, wherever it runs."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from rostra_chat.background.closing import closing_frames
from rostra_chat.background.event_log import Addition, Entry, EventLog
from rostra_chat.background.job_queue import ENDED, JobQueue
from rostra_chat.background.log_reader import LogReader
from rostra_chat.background.signals import Signals, events_topic
from rostra_chat.errors import EventsNotKept
from rostra_chat.metrics import ChatMetrics
from rostra_kit.errors import DeadlineExceededError, UnavailableError

# No runner's attempt comes near it: who ends a log for a runner that is gone shuts that runner out.
_CLOSING_ATTEMPT = 2**31

_LOOK_SECONDS = 1.0
_STATUS_SECONDS = 3.0
# How long a runner may need to write a log anew that Redis lost.
WRITING_SECONDS = 10.0
# How long Redis or history may be away: for a client that has heard nothing yet, and for one that has.
_PATIENCE_SECONDS = 3.0
_GIVE_UP_SECONDS = 60.0


class Follower:
    """Follows logs for any number of clients; all of them share one connection that tells of news.

    Args:
        log: The logs.
        queue: Knows how far a response is.
        signals: Tells that a log has grown.
        metrics: Counts those who follow.
    """

    def __init__(self, *, log: EventLog, queue: JobQueue, signals: Signals, metrics: ChatMetrics) -> None:
        self._log = log
        self._reader = LogReader(log)
        self._queue = queue
        self._signals = signals
        self._metrics = metrics

    async def follow(self, response_id: str, *, after: int, is_ended: bool = False) -> AsyncGenerator[bytes, None]:
        """Yield the frames of the events beyond the first `after`, up to the response's last one.

        A log that Redis lost is waited for as long as the response runs.

        Args:
            response_id: The response, which is the caller's.
            after: How many of the first events the client has.
            is_ended: Whether the response ended so long ago that its log is as it will stay.

        Raises:
            NotFoundError: There is no such response.
            EventsNotKept: The response has ended, and its log is gone.
            UnavailableError: Redis or history is away for long.
        """
        with self._signals.heard(events_topic(response_id)) as heard, self._metrics.followers.track_inprogress():
            quiet = _Quiet(is_ended=is_ended, patience_seconds=_PATIENCE_SECONDS)
            while True:
                heard.clear()
                entries = await self._read(response_id, after, quiet)
                for entry in entries:
                    yield entry.after(after)
                    after = entry.length
                    if entry.is_last:
                        return
                if entries:
                    quiet = _Quiet(is_ended=is_ended, patience_seconds=_GIVE_UP_SECONDS)
                    continue
                if quiet.wants_status() and await self._is_over(response_id, after, quiet):
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await heard.wait()

    async def close(self, response: dict[str, Any]) -> None:
        """Bring the log of a response that has ended to its end, unless that is there or the log is gone.

        Raises:
            RedisError: Redis does not answer.
        """
        response_id = response["id"]
        if await self._is_whole(response_id):
            return
        frames = await self._log.take(response_id, attempt=_CLOSING_ATTEMPT)
        # From here on nobody writes but who does the same; before, the runner may have come to its end.
        if not frames or await self._is_whole(response_id):
            return
        addition = Addition(
            response_id=response_id,
            attempt=_CLOSING_ATTEMPT,
            length=len(frames),
            frames=closing_frames(frames, response),
            is_last=True,
        )
        await self._log.append([addition])

    async def _is_whole(self, response_id: str) -> bool:
        """Tell whether there is nothing to bring to an end: the log has one, or is gone."""
        newest = await self._log.newest(response_id)
        return newest is None or newest.is_last

    async def _read(self, response_id: str, after: int, quiet: "_Quiet") -> list[Entry]:
        try:
            return await self._reader.read(response_id, after=after)
        except (RedisError, OSError) as error:
            if quiet.is_too_long():
                raise _unreadable() from error
            return []

    async def _is_over(self, response_id: str, after: int, quiet: "_Quiet") -> bool:
        """Tell whether nothing more comes: the response has ended, and the client has all of its log."""
        try:
            response = await self._queue.get(response_id)
            if response["status"] not in ENDED:
                return False
            await self.close(response)
            newest = await self._log.newest(response_id)
        except (RedisError, OSError, UnavailableError, DeadlineExceededError) as error:
            if quiet.is_too_long():
                raise _unreadable() from error
            return False
        if newest is not None:
            return newest.length <= after
        if quiet.is_waiting_in_vain():
            raise EventsNotKept("The events of this response are not kept any more.", param="stream")
        return False


class _Quiet:
    """A time in which a log does not grow, or cannot be read."""

    def __init__(self, *, is_ended: bool, patience_seconds: float) -> None:
        self._is_ended = is_ended
        self._patience_seconds = patience_seconds
        self._gone_since: float | None = None
        self._began = time.monotonic()
        self._asks_at = self._began if is_ended else self._began + _STATUS_SECONDS

    def wants_status(self) -> bool:
        """Tell, every few seconds, that it is time to ask how far the response is."""
        now = time.monotonic()
        if now < self._asks_at:
            return False
        self._asks_at = now + _STATUS_SECONDS
        return True

    def is_waiting_in_vain(self) -> bool:
        """Tell, of a log that is gone at the end of its response, that it will not be written any more.

        A runner may have it in memory and Redis just be back.
        """
        now = time.monotonic()
        self._gone_since = self._gone_since or now
        return self._is_ended or now - self._gone_since > WRITING_SECONDS

    def is_too_long(self) -> bool:
        """Tell whether a client should not be kept waiting for a part that does not answer."""
        return time.monotonic() - self._began > self._patience_seconds


def _unreadable() -> UnavailableError:
    return UnavailableError("The events of the response cannot be read now.", retry_after_seconds=1)
