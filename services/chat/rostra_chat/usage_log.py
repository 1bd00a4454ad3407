"""The way of usage events to the ledger: a Redis Stream, which the user service reads."""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from rostra.user.v1.usage_pb2 import UsageEvent
from rostra_chat.metrics import ChatMetrics
from rostra_chat.open_calls import OpenCalls
from rostra_kit.redis_batch import RedisBatch, Script
from rostra_kit.tasks import cancel
from rostra_kit.telemetry.trace_context import current_traceparent
from rostra_kit.usage_queue import (
    CAUSE_FIELD,
    EVENT_FIELD,
    MAX_STREAM_LENGTH,
    OPEN_CALL_EVENTS,
    OPEN_CALL_LAPSES,
    USAGE_STREAM,
)

logger = logging.getLogger(__name__)

_BATCH = 500
_KEYS = (OPEN_CALL_LAPSES, OPEN_CALL_EVENTS, USAGE_STREAM)

# KEYS: lapses by id, events by id, the queue. ARGV: the queue's length, its two fields, then of each event its id, the
# event and its cause, which may be empty. Answers how many old events the queue had no room for.
_APPEND = """
local length = redis.call('XLEN', KEYS[3])
for at = 4, #ARGV, 3 do
  local fields = { ARGV[2], ARGV[at + 1] }
  if ARGV[at + 2] ~= '' then
    fields[3], fields[4] = ARGV[3], ARGV[at + 2]
  end
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[1], '*', unpack(fields))
  redis.call('HDEL', KEYS[2], ARGV[at])
  redis.call('ZREM', KEYS[1], ARGV[at])
  length = length + 1
end
return length - redis.call('XLEN', KEYS[3])
"""


@dataclass(frozen=True, slots=True)
class _Entry:
    event_id: str
    data: bytes
    cause: str
    attempted: asyncio.Event = field(default_factory=asyncio.Event)


class UsageLog:
    """Appends usage events to the stream, many with one round trip; an async context manager.

    While Redis is away events wait in memory and are tried again in the background. On exit what waits is written.

    Args:
        redis: A client with short timeouts that repeats nothing.
        calls: The calls under way: one whose event is in the stream is so no more.
        metrics: Counts the events that wait, and those that find the queue full or are left at the end.
        max_waiting: How many events wait at most.
        retry_seconds: The pause after a failure.
        exit_seconds: How long the exit may take.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        calls: OpenCalls,
        metrics: ChatMetrics,
        max_waiting: int = 100_000,
        retry_seconds: float = 1.0,
        exit_seconds: float = 5.0,
    ) -> None:
        self.calls = calls
        self._append = Script(RedisBatch.of(redis), _APPEND)
        self._metrics = metrics
        self._max_waiting = max_waiting
        self._retry_seconds = retry_seconds
        self._exit_seconds = exit_seconds
        self._waiting: deque[_Entry] = deque()
        metrics.usage_events_waiting.set_function(self.__len__)
        self._filled = asyncio.Event()
        self._is_down = False
        self._writer: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._waiting)

    async def __aenter__(self) -> Self:
        """Begin to write."""
        self._writer = asyncio.create_task(self._write(), name="usage-log")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what waits, or lose it loudly."""
        if self._writer is not None:
            await cancel(self._writer)
        try:
            async with asyncio.timeout(self._exit_seconds):
                while self._waiting:
                    await self._write_batch()
        except (RedisError, OSError) as failure:
            logger.warning("usage events cannot be written at the end: %s", failure)
        while self._waiting:
            self._lose(self._waiting.popleft(), "the process ends")

    async def append(self, event: UsageEvent) -> None:
        """Return once `event` is in the stream or, while Redis is away, in the queue of this process."""
        entry = _Entry(event.id, event.SerializeToString(), current_traceparent())
        if len(self._waiting) >= self._max_waiting:
            self._lose(entry, "the queue is full")
            return
        self._waiting.append(entry)
        self._filled.set()
        if not self._is_down:
            await entry.attempted.wait()

    async def _write(self) -> None:
        while True:
            await self._filled.wait()
            try:
                await self._write_batch()
            except Exception as error:
                if not isinstance(error, RedisError | OSError):
                    logger.exception("unforeseen error: usage events cannot be written")
                self._note_failure(error)
                await asyncio.sleep(self._retry_seconds)
            else:
                self._is_down = False

    async def _write_batch(self) -> None:
        """Write the oldest events. A batch that arrives without our hearing of it comes twice: events have ids."""
        batch = list(islice(self._waiting, _BATCH))
        try:
            told = [part for entry in batch for part in (entry.event_id, entry.data, entry.cause)]
            trimmed = await self._append(_KEYS, [MAX_STREAM_LENGTH, EVENT_FIELD, CAUSE_FIELD, *told])
            self.calls.ended([entry.event_id for entry in batch])
            for _ in batch:
                self._waiting.popleft()
            if not self._waiting:
                self._filled.clear()
            if trimmed:
                logger.error("usage events are lost", extra={"why": "the stream is full", "usage_events": trimmed})
                self._metrics.usage_events_lost.inc(trimmed)
        finally:
            for entry in batch:
                entry.attempted.set()

    def _note_failure(self, error: Exception) -> None:
        if not self._is_down:
            logger.warning("Redis does not answer: usage events wait in memory", exc_info=error)
        self._is_down = True
        # Whoever appended while the failing batch was under way need not wait for the next one.
        for entry in self._waiting:
            entry.attempted.set()

    def _lose(self, entry: _Entry, why: str) -> None:
        self.calls.ended([entry.event_id])
        logger.error("a usage event is lost", extra={"why": why, "usage_event": entry.data.hex()})
        self._metrics.usage_events_lost.inc()
