"""Brings the events of all runs of this process to Redis: gathered for some milliseconds, all in one round trip."""

import asyncio
import logging
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from redis.exceptions import RedisError

from rostra_chat.background.event_log import EventLog
from rostra_chat.background.run_log import RunLog
from rostra_chat.metrics import ChatMetrics
from rostra_kit.tasks import cancel

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5
_EXIT_SECONDS = 2.0
_SOON_SECONDS = 1.0
_MAX_ENDED = 1000


class LogWriter:
    """Writes logs in the background; an async context manager that writes what is left at its end.

    While Redis is away events wait in memory: those of a response that runs as long as it runs, those of one that ended
    for a while, and then they are dropped: whoever follows it learns the end from what history keeps.

    Args:
        log: The logs in Redis.
        metrics: Counts what is written.
        gather_seconds: The time between two writes.
        give_up_seconds: How long the events of a response that ended wait for Redis.
    """

    def __init__(
        self, log: EventLog, *, metrics: ChatMetrics, gather_seconds: float, give_up_seconds: float = 300.0
    ) -> None:
        self._log = log
        self._metrics = metrics
        self._gather_seconds = gather_seconds
        self._give_up_seconds = give_up_seconds
        self._unwritten: dict[int, RunLog] = {}
        self._ended_at: dict[int, float] = {}
        self._filled = asyncio.Event()
        self._down_since: float | None = None
        metrics.log_lag_seconds.set_function(self._lag_seconds)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to write."""
        self._task = asyncio.create_task(self._work(), name="event-log-writer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what is left, if Redis takes it soon."""
        if self._task is not None:
            await cancel(self._task)
        try:
            async with asyncio.timeout(_EXIT_SECONDS):
                while self._unwritten and await self._write():
                    pass
        except TimeoutError:
            logger.warning("the last events of responses cannot be written")

    def write(self, run_log: RunLog) -> None:
        """Have what was added to `run_log` written soon."""
        if not run_log.is_written:
            self._unwritten[id(run_log)] = run_log
            self._filled.set()

    async def write_soon(self, run_log: RunLog) -> None:
        """Have it written, and return when it is; while Redis is away, return without."""
        self.write(run_log)
        if self._down_since is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SOON_SECONDS):
                    await run_log.wait_until_written()

    async def _work(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            is_written = await self._write()
            if self._unwritten:
                self._filled.set()
            await asyncio.sleep(self._gather_seconds if is_written else _RETRY_SECONDS)

    async def _write(self) -> bool:
        """Write what there is, and tell whether Redis took it."""
        run_logs = list(self._unwritten.values())
        pairs = [(each, addition) for each in run_logs if (addition := each.pending()) is not None]
        try:
            lengths = await self._log.append([addition for _, addition in pairs]) if pairs else []
        except (RedisError, OSError) as error:
            self._note_failure(error)
            return False
        except Exception as error:  # whatever it is, events wait
            logger.exception("unforeseen error: events of responses cannot be written")
            self._note_failure(error)
            return False
        self._down_since = None
        self._metrics.log_writes.inc()
        for (run_log, _), length in zip(pairs, lengths, strict=True):
            self._metrics.log_events.inc(run_log.note(length))
        self._forget_written()
        # What may not be written yet waits a little: a lease is renewed every few seconds.
        return bool(pairs)

    def _forget_written(self) -> None:
        for key, run_log in list(self._unwritten.items()):
            if run_log.is_written:
                del self._unwritten[key]
                self._ended_at.pop(key, None)

    def _note_failure(self, error: Exception) -> None:
        now = time.monotonic()
        if self._down_since is None:
            logger.warning("Redis does not answer: events of responses wait in memory", exc_info=error)
            self._down_since = now
        for key, run_log in self._unwritten.items():
            if run_log.is_ended:
                self._ended_at.setdefault(key, now)
        too_many = len(self._ended_at) - _MAX_ENDED
        for place, (key, ended_at) in enumerate(list(self._ended_at.items())):
            if place < too_many or now - ended_at > self._give_up_seconds:
                self._drop(key)

    def _drop(self, key: int) -> None:
        run_log = self._unwritten.pop(key)
        del self._ended_at[key]
        self._metrics.log_drops.inc()
        logger.warning("the events of a response are dropped", extra={"response_id": run_log.response_id})

    def _lag_seconds(self) -> float:
        return 0.0 if self._down_since is None else time.monotonic() - self._down_since
