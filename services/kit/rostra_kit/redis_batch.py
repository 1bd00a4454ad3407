"""Commands of concurrent callers, sent to Redis together: alone, most of a command's cost is the way there and back."""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from hiredis import PushNotification, Reader, pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    InvalidResponse,
    NoScriptError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from rostra_kit.tasks import cancel
from rostra_kit.telemetry.redis import ObservedRedis

logger = logging.getLogger(__name__)

_NO_REPLY = object()

_Answer: TypeAlias = "asyncio.Future[Any]"


class RedisBatch:
    """Sends as one message what its callers ask in one turn of the event loop, or while an answer is awaited.

    A caller who is cancelled takes nothing back: the command may have been, or may yet be, carried out.

    Args:
        redis: Gives one of its connections, and closes it at its end; the timeout of its commands holds for each.
    """

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._observed: Callable[[Any], AbstractContextManager[Any]] = (
            redis.observer.command if isinstance(redis, ObservedRedis) else nullcontext
        )
        self._timeout_seconds: float | None = self._pool.connection_kwargs.get("socket_timeout")
        self._connection: AbstractConnection | None = None
        self._link: _Link | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._asked: list[tuple[bytes, _Answer]] = []
        self._is_closed = False

    @classmethod
    def of(cls, redis: Redis) -> "RedisBatch":
        """Return the one batch of a client: all who use it share its connection and keep their order."""
        return _batches.setdefault(redis, cls(redis))

    async def execute(self, *command: str | bytes | int) -> Any:
        """Return the answer to a command.

        Raises:
            RedisError: Redis cannot be reached, or does not answer, and nobody knows whether the command is carried
                out; or it answers with an error.
        """
        loop = asyncio.get_running_loop()
        packed = pack_command(command)  # type: ignore[arg-type]  # takes any number
        if not self._asked:
            loop.call_soon(self._send, context=Context())  # not that of whoever comes first
        answer: _Answer = loop.create_future()
        self._asked.append((packed, answer))
        with self._observed(command[0]):
            return await answer

    async def close(self) -> None:
        """Connect no longer: a connection made from now on would outlive the client."""
        self._is_closed = True
        if self._connecting is not None:
            await cancel(self._connecting)

    def _send(self) -> None:
        if not self._asked:
            return
        if self._is_closed:
            asked, self._asked = self._asked, []
            _fail(asked, RedisConnectionError("The client is closed."))
        elif self._link is None or not self._link.is_open:
            if self._connecting is None:
                self._connecting = asyncio.create_task(self._connect(), name="redis-batch")
        elif not self._link.is_awaited:  # else it calls: few large messages cost less than many small ones
            self._link.send(self._asked)
            self._asked = []

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                self._link = await self._new_link()
        except Exception as error:
            if not isinstance(error, RedisError | OSError):
                logger.exception("Redis cannot be reached")
            _fail(self._asked, error)
        else:
            self._link.send(self._asked)
        finally:
            self._asked = []
            self._connecting = None

    async def _new_link(self) -> "_Link":
        if self._connection is None:
            self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        else:
            await self._connection.disconnect(nowait=True)
            await self._connection.connect()  # type: ignore[no-untyped-call]
        return _Link(self._connection, timeout_seconds=self._timeout_seconds, on_idle=self._send)


_batches: WeakKeyDictionary[Redis, RedisBatch] = WeakKeyDictionary()


class _Link(asyncio.Protocol):
    """A connection, made and logged in by redis-py, through whose streams each answer would take ten times as long.

    Attributes:
        is_open: Whether commands may be sent.
    """

    def __init__(
        self, connection: AbstractConnection, *, timeout_seconds: float | None, on_idle: Callable[[], None]
    ) -> None:
        # redis-py has no public word for these.
        parser, writer = connection._parser, connection._writer  # noqa: SLF001
        if writer is None:
            raise RedisConnectionError("The connection was closed.")
        self.is_open = True
        self._reader = Reader(protocolError=InvalidResponse, replyError=parser.parse_error, notEnoughData=_NO_REPLY)
        self._waiting: deque[tuple[float, _Answer]] = deque()
        self._timeout_seconds = timeout_seconds
        self._on_idle = on_idle
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: Any = writer.transport
        self._streams = self._transport.get_protocol()
        self._transport.set_protocol(self)

    @property
    def is_awaited(self) -> bool:
        """Whether answers are yet to come."""
        return bool(self._waiting)

    def send(self, asked: Sequence[tuple[bytes, _Answer]]) -> None:
        """Send commands, each with the future that waits for its answer."""
        now = self._loop.time()
        self._waiting.extend([(now, answer) for _, answer in asked])
        self._transport.write(b"".join([packed for packed, _ in asked]))
        if self._timer is None and self._timeout_seconds is not None:
            self._timer = self._loop.call_later(self._timeout_seconds, self._look_for_late)

    def data_received(self, data: bytes) -> None:
        """Hand out the answers that have come."""
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not _NO_REPLY:
                if not isinstance(answer, PushNotification):
                    self._hand_out(answer)
        except InvalidResponse as error:
            self._end(error)
        if not self._waiting:
            self._on_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all who wait that nobody knows what has become of their commands."""
        self._end(exc or RedisConnectionError("Redis closed the connection."))
        self._streams.connection_lost(exc)  # redis-py waits for it

    def _hand_out(self, answer: Any) -> None:
        _, waiting = self._waiting.popleft()
        if isinstance(answer, ReadOnlyError):
            self.is_open = False  # after a failover the address leads elsewhere, but an open connection does not
        if waiting.done():
            return
        if isinstance(answer, BaseException):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)

    def _look_for_late(self) -> None:
        self._timer = None
        if not self._waiting or self._timeout_seconds is None:
            return
        late_at = self._waiting[0][0] + self._timeout_seconds
        if late_at > self._loop.time():
            self._timer = self._loop.call_at(late_at, self._look_for_late)
        else:
            self._end(RedisTimeoutError("Redis did not answer in time."))

    def _end(self, error: Exception) -> None:
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()
        waiting = [*self._waiting]
        self._waiting.clear()
        _fail(waiting, error)
        self._on_idle()


def _fail(asked: Iterable[tuple[Any, _Answer]], cause: Exception) -> None:
    for _, answer in asked:
        if not answer.done():
            failure = RedisConnectionError(str(cause) or "Redis did not answer in time.")
            failure.__cause__ = cause
            answer.set_exception(failure)


class Script:
    """A Lua script, called by its digest; Redis is sent its text when it does not know it.

    Args:
        batch: What it is sent with.
        text: The script.
    """

    def __init__(self, batch: RedisBatch, text: str) -> None:
        self._batch = batch
        self._text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        """Return what the script answers.

        Raises:
            RedisError: As `RedisBatch.execute` does.
        """
        try:
            return await self._batch.execute("EVALSHA", self._digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self._batch.execute("EVAL", self._text, len(keys), *keys, *arguments)
