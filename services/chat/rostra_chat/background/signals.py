"""Hints between the replicas, by Redis' pub/sub: nothing depends on one, each only makes something happen sooner."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from rostra_chat.background.event_log import EVENTS
from rostra_kit.tasks import cancel

logger = logging.getLogger(__name__)

WORK = "rostra:work"
CANCEL = "rostra:cancel"

_QUIET_SECONDS = 15.0
_RETRY_SECONDS = 1.0


def events_topic(response_id: str) -> str:
    """Return the topic on which to hear that the log of a response has grown."""
    return f"{EVENTS} {response_id}"


class Signals:
    """Listens on one connection for whoever in this process is interested; an async context manager.

    A topic is a channel, or a channel and an id that its messages name.

    Args:
        listener: A client that reads as long as it takes.
        sender: A client that fails fast.
    """

    def __init__(self, *, listener: Redis, sender: Redis) -> None:
        self._listener = listener
        self._sender = sender
        self._listening: dict[str, set[asyncio.Event]] = {}
        self._subscribed: set[str] = set()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._start(self._listen(), name="signals")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Cease to listen."""
        await asyncio.gather(*map(cancel, set(self._tasks)))

    @contextmanager
    def heard(self, topic: str) -> Iterator[asyncio.Event]:
        """Listen to a topic, and set the event at every message and whenever one may have been missed."""
        event = asyncio.Event()
        events = self._listening.setdefault(topic, set())
        events.add(event)
        self._changed.set()
        try:
            yield event
        finally:
            events.discard(event)
            if not events:
                del self._listening[topic]
            self._changed.set()

    def send(self, channel: str) -> None:
        """Wake who listens to `channel` in other replicas soon, and here at once."""
        self._wake(channel)
        self._start(self._publish(channel), name="signal")

    async def _publish(self, channel: str) -> None:
        try:
            await self._sender.publish(channel, b"")
        except (RedisError, OSError):
            logger.debug("a hint is not sent", extra={"channel": channel})

    async def _listen(self) -> None:
        while True:
            self._subscribed = set()
            self._changed.set()
            try:
                async with self._listener.pubsub() as pubsub:
                    await self._follow_changes(pubsub)
            except (RedisError, OSError) as error:
                logger.info("hints are not heard: %s", error)
            self._wake_all()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _follow_changes(self, pubsub: PubSub) -> None:
        """Read messages, and keep to the channels that somebody here listens to."""
        await self._subscribe(pubsub)
        changing = asyncio.create_task(self._keep_subscribed(pubsub))
        try:
            await self._read(pubsub)
        finally:
            await cancel(changing)

    async def _keep_subscribed(self, pubsub: PubSub) -> None:
        while True:
            await self._changed.wait()
            await self._subscribe(pubsub)

    async def _subscribe(self, pubsub: PubSub) -> None:
        self._changed.clear()
        wanted = {WORK, *(topic.partition(" ")[0] for topic in self._listening)}
        if new := wanted - self._subscribed:
            await pubsub.subscribe(*new)
        if old := self._subscribed - wanted:
            await pubsub.unsubscribe(*old)
        self._subscribed = wanted
        if new:
            # What was said before the subscription was not heard.
            self._wake_all()

    async def _read(self, pubsub: PubSub) -> None:
        is_asked = False
        while True:
            message = await pubsub.get_message(timeout=_QUIET_SECONDS)
            if message is not None:
                is_asked = False
                if message["type"] == "message":
                    self._hear(message["channel"].decode(), message["data"].decode())
            elif is_asked:
                raise RedisConnectionError("nothing is heard of Redis any more")
            else:
                await pubsub.ping()
                is_asked = True

    def _hear(self, channel: str, ids: str) -> None:
        self._wake(channel)
        for each in ids.split():
            self._wake(f"{channel} {each}")

    def _wake(self, topic: str) -> None:
        for event in self._listening.get(topic, ()):
            event.set()

    def _wake_all(self) -> None:
        for topic in self._listening:
            self._wake(topic)

    def _start(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
