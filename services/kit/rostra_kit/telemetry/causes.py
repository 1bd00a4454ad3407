"""What caused work that is done later, perhaps elsewhere: remembered in Redis, so that its trace can point at it."""

import logging
from typing import Any

from opentelemetry import trace
from redis.asyncio import Redis
from redis.exceptions import RedisError

from rostra_kit.telemetry.spans import is_tracing
from rostra_kit.telemetry.trace_context import current_traceparent, link_to

logger = logging.getLogger(__name__)

_KEEP_SECONDS = 24 * 3600


class Causes:
    """Remembers the spans that caused work. What Redis does not keep is a link less, and nothing else."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def remember(self, work_id: str) -> None:
        """Remember that the current span, if it is recorded, caused this work."""
        if traceparent := current_traceparent():
            try:
                await self._redis.set(_key(work_id), traceparent, ex=_KEEP_SECONDS)
            except (RedisError, OSError) as error:
                logger.debug("the cause of some work is not remembered: %s", error)

    async def recall(self, work_id: str) -> list[trace.Link]:
        """Return links to what caused this work; none where nothing is known, or nothing is recorded here."""
        if not is_tracing():
            return []
        try:
            traceparent: Any = await self._redis.get(_key(work_id))
        except (RedisError, OSError) as error:
            logger.debug("the cause of some work cannot be recalled: %s", error)
            return []
        return link_to(traceparent.decode()) if traceparent else []


def _key(work_id: str) -> str:
    return f"run:{{{work_id}}}:cause"
