"""Hears of revoked credentials within milliseconds, on a Redis channel that the user service publishes to.

A Redis that hangs looks like one that has nothing to say, so it is made to say something a few times a second.
"""

import asyncio
import logging
import time
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from rostra_gateway.caller_cache import CallerCache
from rostra_kit.revocation import CHANNEL, parse_revocation

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5
_PING_SECONDS = 0.3
# Less than a second, for which a caller may be remembered while nobody listens.
_LONGEST_SILENCE_SECONDS = 0.7
_SUBSCRIBE_SECONDS = 2.0


class RevocationListener:
    """Tells the cache what was revoked."""

    def __init__(self, redis: Redis, cache: CallerCache) -> None:
        self._redis = redis
        self._cache = cache
        self._subscribed = False
        self._heard = float("-inf")

    @property
    def listening(self) -> bool:
        """Return whether revocations arrive. While they do not, nothing may be remembered for longer than a second."""
        # By the clock, so that it is true to the fact also while redis-py waits for something.
        return self._subscribed and self._silent_seconds() < _LONGEST_SILENCE_SECONDS

    async def run(self) -> None:
        """Listen until cancelled; when the connection breaks or hangs, forget everything and connect again."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                logger.warning("revocations do not arrive: %s", str(error) or "Redis is silent")
            finally:
                self._subscribed = False
                self._cache.clear()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _listen(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=False) as channel:
            async with asyncio.timeout(_SUBSCRIBE_SECONDS):
                await channel.subscribe(CHANNEL)
            self._heard = time.monotonic()
            while (left := _LONGEST_SILENCE_SECONDS - self._silent_seconds()) > 0:
                await self._hear(channel, seconds=min(_PING_SECONDS, left))
        raise TimeoutError

    async def _hear(self, channel: PubSub, *, seconds: float) -> None:
        """Handle one message, or ask for a sign of life after `seconds` without any."""
        # redis-py connects again by itself, which may take long.
        async with asyncio.timeout(_SUBSCRIBE_SECONDS):
            message = await channel.get_message(timeout=seconds)
            if message is None:
                await channel.ping()
                return
        self._heard = time.monotonic()
        self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            # What was revoked while nobody listened is not known.
            self._cache.clear()
            self._subscribed = True
        elif message["type"] == "message":
            self._forget(message["data"])

    def _silent_seconds(self) -> float:
        return time.monotonic() - self._heard

    def _forget(self, data: bytes) -> None:
        revocation = parse_revocation(data)
        if revocation is None:
            logger.warning("a revocation could not be read")
            self._cache.clear()
            return
        self._cache.revoke(revocation)
