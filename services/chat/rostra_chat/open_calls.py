"""The calls under way, written down in Redis before a provider is asked, so that one whose chat is killed is billed.

Each chat renews its own. Whoever finds one that nobody has renewed puts its event into the queue of usage events, with
what was known when the call began: its input. The event's id is that of the one which the call would have written, so
the ledger has one of the two, also when the chat was only paused and writes after all.

The hash and the sorted set share the hash tag of the queue, which Redis Cluster needs for one script.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from itertools import islice
from types import TracebackType
from typing import Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from rostra.user.v1.usage_pb2 import UsageEvent
from rostra_chat.limit_claims import actual_costs, lapsed_grants
from rostra_chat.metrics import ChatMetrics
from rostra_kit.errors import AppError
from rostra_kit.limits import Limiter
from rostra_kit.redis_batch import RedisBatch, Script
from rostra_kit.tasks import cancel
from rostra_kit.usage_queue import EVENT_FIELD, MAX_STREAM_LENGTH, OPEN_CALL_EVENTS, OPEN_CALL_LAPSES, USAGE_STREAM

logger = logging.getLogger(__name__)

_RENEWALS_PER_HOLD = 10
_AT_ONCE = 100
# What was cancelled before these is billed for its input, should Redis be away for so long.
_MOST_CANCELLED = 100_000
_KEYS = (OPEN_CALL_LAPSES, OPEN_CALL_EVENTS, USAGE_STREAM)

# KEYS: lapses by id, events by id, the queue. The clock is that of Redis: all replicas share it.
_NOW = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
"""
# ARGV: how long a call is held in milliseconds, its id, its event.
_BEGIN = (
    _NOW
    + """
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
"""
)
# ARGV: how long a call is held in milliseconds, then the ids. What was ended or swept meanwhile stays away.
_RENEW = (
    _NOW
    + """
for at = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', now + ARGV[1], ARGV[at])
end
"""
)
# ARGV: the ids.
_TAKE_BACK = """
redis.call('HDEL', KEYS[2], unpack(ARGV))
redis.call('ZREM', KEYS[1], unpack(ARGV))
"""
# ARGV: how many at once, the queue's length, its field. Answers the events that it queued.
_SWEEP = (
    _NOW
    + """
local swept = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local event = redis.call('HGET', KEYS[2], id)
  if event then
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[2], '*', ARGV[3], event)
    swept[#swept + 1] = event
  end
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[1], id)
end
return swept
"""
)


class OpenCalls:
    """The calls of this process that are under way, and the search for those of dead ones; an async context manager.

    Args:
        redis: A client with short timeouts that repeats nothing.
        limiter: Charges the budget of a call that nobody settles, and frees its places.
        metrics: Counts the calls that were billed for a dead process.
        hold_seconds: How long after the last renewal a call is billed. While Redis is away nobody renews, so for as
            long after that nobody searches.
    """

    def __init__(self, redis: Redis, *, limiter: Limiter, metrics: ChatMetrics, hold_seconds: float = 30.0) -> None:
        self._limiter = limiter
        self._metrics = metrics
        self._hold_seconds = hold_seconds
        self._hold_ms = round(hold_seconds * 1000)
        self._ids: set[str] = set()
        self._cancelled: deque[str] = deque(maxlen=_MOST_CANCELLED)
        self._searches_from = 0.0
        # One batch keeps the order: a call that ends as it begins is taken back after it is written down.
        batch = RedisBatch.of(redis)
        self._begin, self._renew, self._take_back, self._sweep = (
            Script(batch, text) for text in (_BEGIN, _RENEW, _TAKE_BACK, _SWEEP)
        )
        self._keeper: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many calls are under way."""
        return len(self._ids)

    async def __aenter__(self) -> Self:
        """Begin to renew and to search."""
        self._keeper = asyncio.create_task(self._keep(), name="open-calls")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave what is still written down to others."""
        if self._keeper is not None:
            await cancel(self._keeper)

    async def begin(self, event: UsageEvent) -> None:
        """Write down what is billed should this process die; without Redis the call goes on all the same."""
        self._ids.add(event.id)
        try:
            await self._begin(_KEYS, [self._hold_ms, event.id, event.SerializeToString()])
        except (RedisError, OSError) as error:
            logger.warning("a call is not written down: %s", error)

    async def cancel(self, event_id: str) -> None:
        """Take back a call that costs nothing; while Redis does not hear of it, again and again."""
        self._ids.discard(event_id)
        try:
            await self._take_back(_KEYS, [event_id])
        except (RedisError, OSError) as error:
            logger.warning("a call that costs nothing stays written down for now: %s", error)
            self._cancelled.append(event_id)

    def ended(self, event_ids: Sequence[str]) -> None:
        """Stop to renew the calls whose events are in the queue."""
        self._ids.difference_update(event_ids)

    async def _keep(self) -> None:
        now = asyncio.get_running_loop().time
        self._searches_from = now() + self._hold_seconds
        while True:
            began = now()
            await asyncio.sleep(self._hold_seconds / _RENEWALS_PER_HOLD)
            if now() - began > self._hold_seconds:
                # This process was stopped, and others perhaps with it: they renew before anybody searches.
                self._searches_from = now() + self._hold_seconds
            try:
                await self._take_back_late()
                if self._ids:
                    await self._renew(_KEYS, [self._hold_ms, *self._ids])
                if now() >= self._searches_from:
                    await self._search()
            except (RedisError, OSError) as error:
                self._searches_from = now() + self._hold_seconds
                logger.info("the calls under way are not renewed: %s", error)
            except Exception:  # whatever it is, all calls would lapse if nobody renewed them any more
                logger.exception("the calls under way are not renewed")

    async def _take_back_late(self) -> None:
        while late := list(islice(self._cancelled, _AT_ONCE)):
            await self._take_back(_KEYS, late)
            for _ in late:
                self._cancelled.popleft()

    async def _search(self) -> None:
        swept = await self._sweep(_KEYS, [_AT_ONCE, MAX_STREAM_LENGTH, EVENT_FIELD])
        for data in swept:
            event = UsageEvent.FromString(data)
            logger.warning("a call is billed for its input: its process is gone", extra={"usage_event_id": event.id})
            self._metrics.calls_billed_for_others.inc()
            await self._charge(event)

    async def _charge(self, event: UsageEvent) -> None:
        """Let the budget know what the ledger will; what it does not hear now it hears when it is loaded again."""
        try:
            for grant in lapsed_grants(event):
                actual = actual_costs(grant.claims, tokens=event.input_tokens, cost_micros=event.cost_micros)
                await self._limiter.settle(grant, actual)
        except AppError as error:
            logger.warning("the limits do not know of a call: %s", error, extra={"usage_event_id": event.id})
