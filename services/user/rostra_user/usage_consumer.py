"""Writes queued usage events to the ledger: each once, none lost, whatever dies in between.

An entry leaves the queue after it is committed. Events of a replica that died in between are taken over by another, and
the ledger knows by their ids which it has already.
"""

import asyncio
import base64
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from opentelemetry.trace import Link, SpanKind
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from rostra_kit.errors import AppError, UnavailableError
from rostra_kit.telemetry.spans import is_tracing, linked_span
from rostra_kit.telemetry.trace_context import link_to
from rostra_kit.usage_queue import CAUSE_FIELD, CONSUMER_GROUP, EVENT_FIELD, USAGE_STREAM
from rostra_user.domain import UsageEvent
from rostra_user.metrics import UserMetrics
from rostra_user.settings import UsageQueueSettings
from rostra_user.store import UsageStore
from rostra_user.usage_event import BadUsageEventError, parse_usage_event

logger = logging.getLogger(__name__)

Entry = tuple[bytes, Mapping[bytes, bytes] | None]

_CAUSE = CAUSE_FIELD.encode()
_MAX_LINKS = 128
_DEAD_AFTER_MILLISECONDS = 24 * 3600 * 1000


class UsageConsumer:
    """Takes usage events from the queue, batch by batch.

    Args:
        redis: A client that waits as long as a blocking read takes.
        name: This process among the consumers of the group.
    """

    def __init__(
        self, *, redis: Redis, usage: UsageStore, settings: UsageQueueSettings, metrics: UserMetrics, name: str
    ) -> None:
        self._redis = redis
        self._usage = usage
        self._settings = settings
        self._metrics = metrics
        self._name = name

    async def run(self) -> None:
        """Empty the queue until cancelled.

        Raises:
            RedisError: Redis is away, or has lost the group. Run it again.
            UnavailableError: The database is away; what was taken waits. Run it again.
        """
        await self._join()
        while entries := await self._read("0"):  # what this process took, and could not write, before
            await self._settle(entries)
        while True:
            entries = await self._take_over() or await self._read(">")
            await self._settle(entries)
            if len(entries) < self._settings.batch_size:
                await asyncio.sleep(self._settings.gather_seconds)

    async def _join(self) -> None:
        with suppress(ResponseError):  # the group exists
            await self._redis.xgroup_create(USAGE_STREAM, CONSUMER_GROUP, id="0", mkstream=True)
        for consumer in await self._redis.xinfo_consumers(USAGE_STREAM, CONSUMER_GROUP):
            if consumer["pending"] == 0 and consumer["idle"] > _DEAD_AFTER_MILLISECONDS:
                await self._redis.xgroup_delconsumer(USAGE_STREAM, CONSUMER_GROUP, consumer["name"])

    async def _take_over(self) -> Sequence[Entry]:
        """Take entries that another process took and has not written."""
        idle_milliseconds = round(self._settings.claim_after_seconds * 1000)
        reply = await self._redis.xautoclaim(
            USAGE_STREAM, CONSUMER_GROUP, self._name, min_idle_time=idle_milliseconds, count=self._settings.batch_size
        )
        entries: Sequence[Entry] = reply[1]
        return entries

    async def _read(self, start: str) -> Sequence[Entry]:
        """Read new entries (`>`), waiting a little for some, or those that this process took before (`0`)."""
        reply: Any = await self._redis.xreadgroup(
            CONSUMER_GROUP,
            self._name,
            {USAGE_STREAM: start},
            count=self._settings.batch_size,
            block=round(self._settings.block_seconds * 1000),
        )
        entries: Sequence[Entry] = reply[0][1] if reply else ()
        return entries

    async def _settle(self, entries: Sequence[Entry]) -> None:
        """Write a batch to the ledger, then drop it from the queue."""
        self._metrics.usage_queue_lag_seconds.set(_age_seconds(entries[0][0]) if entries else 0)
        # Before it is written, so that a queue is seen to grow while the database is away.
        self._metrics.usage_queue_entries.set(await self._redis.xlen(USAGE_STREAM))
        if entries:
            with linked_span(f"process {USAGE_STREAM}", _causes(entries), kind=SpanKind.CONSUMER):
                await self._write([event for entry in entries if (event := self._parse(*entry)) is not None])
                await self._drop([entry_id for entry_id, _ in entries])

    def _parse(self, entry_id: bytes, fields: Mapping[bytes, bytes] | None) -> UsageEvent | None:
        serialized = (fields or {}).get(EVENT_FIELD.encode(), b"")
        try:
            return parse_usage_event(serialized)
        except BadUsageEventError as error:
            self._metrics.usage_events.labels("bad").inc()
            logger.error(  # noqa: TRY400 - the reason is the message
                "a usage event cannot be read and is dropped: %s",
                error,
                extra={"entry_id": entry_id.decode(), "event": base64.b64encode(serialized).decode()},
            )
            return None

    async def _write(self, events: Sequence[UsageEvent]) -> None:
        try:
            recorded = await self._usage.record(events)
        except UnavailableError:
            raise
        except AppError:
            await self._write_one_by_one(events)
            return
        self._metrics.usage_events.labels("recorded").inc(recorded)
        self._metrics.usage_events.labels("skipped").inc(len(events) - recorded)

    async def _write_one_by_one(self, events: Sequence[UsageEvent]) -> None:
        """Write what the ledger accepts: one event that it refuses must not hold up all others."""
        for event in events:
            try:
                recorded = await self._usage.record([event])
            except UnavailableError:
                raise
            except AppError as error:
                self._metrics.usage_events.labels("bad").inc()
                logger.error("the ledger refused a usage event: %r", event, exc_info=error)  # noqa: TRY400 - given
            else:
                self._metrics.usage_events.labels("recorded" if recorded else "skipped").inc()

    async def _drop(self, entry_ids: Sequence[bytes]) -> None:
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.xack(USAGE_STREAM, CONSUMER_GROUP, *entry_ids)
            pipeline.xdel(USAGE_STREAM, *entry_ids)
            await pipeline.execute()


def _age_seconds(entry_id: bytes) -> float:
    """Return how long ago an entry was queued: its id begins with the moment, in milliseconds."""
    return max(0.0, time.time() - int(entry_id.partition(b"-")[0]) / 1000)


def _causes(entries: Sequence[Entry]) -> list[Link]:
    """Return links to the traced calls among those that are recorded."""
    if not is_tracing():
        return []
    told = [fields[_CAUSE] for _, fields in entries if fields and _CAUSE in fields]
    return [link for traceparent in told[:_MAX_LINKS] for link in link_to(traceparent.decode("latin-1"))]
