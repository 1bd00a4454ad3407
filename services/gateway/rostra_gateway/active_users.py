"""How many users all gateways together have seen lately: counted in Redis by HyperLogLog, which keeps no ids."""

import asyncio
import logging
import math
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from rostra_gateway.metrics import GatewayMetrics

logger = logging.getLogger(__name__)

# Windows, the seconds of one of the buckets that make them up, and how many complete ones there are beside the newest.
_WINDOWS = {"15m": (300, 3), "24h": (3600, 24)}


class ActiveUsers:
    """Brings the users that this gateway has seen to Redis, and learns from it how many all gateways have.

    A window is between one bucket too long and exact: 15 to 20 minutes, 24 to 25 hours.

    Args:
        redis: Where the buckets are.
        metrics: Has whom this gateway saw, and the gauge.
        pause_seconds: The time between two turns.
    """

    def __init__(self, redis: Redis, metrics: GatewayMetrics, *, pause_seconds: float = 10.0) -> None:
        self._redis = redis
        self._metrics = metrics
        self._pause_seconds = pause_seconds

    async def run(self) -> None:
        """Count until cancelled."""
        while True:
            await asyncio.sleep(self._pause_seconds)
            try:
                await self.count()
            except (RedisError, OSError) as error:
                logger.debug("active users are not counted: %s", error)
                for window in _WINDOWS:
                    self._metrics.active_users.labels(window).set(math.nan)

    async def count(self) -> None:
        """Take one turn.

        Raises:
            RedisError: Redis is away; whom this gateway saw waits for the next turn.
        """
        seen, now = list(self._metrics.users_seen), time.time()
        async with self._redis.pipeline(transaction=False) as pipeline:
            for seconds, number in _WINDOWS.values():
                newest = int(now // seconds)
                if seen:
                    pipeline.pfadd(_key(seconds, newest), *seen)
                    pipeline.expire(_key(seconds, newest), seconds * (number + 2))
            for seconds, number in _WINDOWS.values():
                newest = int(now // seconds)
                pipeline.pfcount(*(_key(seconds, newest - age) for age in range(number + 1)))
            answers = await pipeline.execute()
        self._metrics.users_seen.difference_update(seen)
        for window, found in zip(_WINDOWS, answers[-len(_WINDOWS) :], strict=True):
            self._metrics.active_users.labels(window).set(found)


def _key(seconds: int, bucket: int) -> str:
    # One hash tag: what is counted together lies together in a cluster.
    return f"{{active_users}}:{seconds}:{bucket}"
