"""Hears of revoked credentials within milliseconds, on a Redis channel that the user service publishes to."""

import asyncio
import logging

from redis.asyncio import Redis
from redis.exceptions import RedisError

from rostra_gateway.caller_cache import CallerCache
from rostra_kit.revocation import CHANNEL, parse_revocation

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5


class RevocationListener:
    """Tells the cache what was revoked.

    Attributes:
        listening: Whether revocations arrive. While they do not, nothing may be remembered for longer than a second.
    """

    def __init__(self, redis: Redis, cache: CallerCache) -> None:
        self._redis = redis
        self._cache = cache
        self.listening = False

    async def run(self) -> None:
        """Listen until cancelled; when the connection breaks, forget everything and connect again."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                logger.warning("revocations do not arrive: %s", error)
            finally:
                self.listening = False
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _listen(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=False) as channel:
            await channel.subscribe(CHANNEL)
            async for message in channel.listen():
                if message["type"] == "subscribe":
                    # What was revoked while nobody listened is not known.
                    self._cache.clear()
                    self.listening = True
                elif message["type"] == "message":
                    self._forget(message["data"])

    def _forget(self, data: bytes) -> None:
        revocation = parse_revocation(data)
        if revocation is None:
            logger.warning("a revocation could not be read")
            self._cache.clear()
            return
        self._cache.revoke(revocation)
