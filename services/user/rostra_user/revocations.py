"""Telling the gateways what was revoked."""

import asyncio
import logging
from typing import Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from rostra_kit.revocation import CHANNEL, Revocation
from rostra_user.metrics import UserMetrics

logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 1.0


class Revocations(Protocol):
    """Where revocations are announced."""

    async def publish(self, *revocations: Revocation) -> None:
        """Tell every gateway, once the revocation is committed. Never raises.

        A gateway that this does not reach remembers credentials for a second only.
        """


class RedisRevocations:
    """Announces revocations on a Redis channel."""

    def __init__(self, redis: Redis, metrics: UserMetrics) -> None:
        self._redis = redis
        self._metrics = metrics

    async def publish(self, *revocations: Revocation) -> None:
        """See `Revocations.publish`."""
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                for revocation in revocations:
                    await self._redis.publish(CHANNEL, revocation.message())
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._metrics.revocations.labels("failed").inc(len(revocations))
            logger.warning("revocations were not announced: %s", error)
        else:
            self._metrics.revocations.labels("published").inc(len(revocations))
