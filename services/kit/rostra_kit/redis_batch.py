"""Commands of concurrent callers, sent to Redis together: alone, most of a command's cost is the way there and back."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from typing import Any
from weakref import WeakKeyDictionary

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from rostra_kit.telemetry.redis import ObservedRedis

logger = logging.getLogger(__name__)

_MOST_AT_ONCE = 500


class RedisBatch:
    """Sends at once what its callers ask while an answer is awaited, in the order in which they ask.

    A caller who is cancelled takes nothing back: the command may have been, or may yet be, carried out.

    Args:
        redis: Gives one of its connections, and closes it at its end; the timeout of its commands holds for each batch.
    """

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._observed: Callable[[Any], AbstractContextManager[Any]] = (
            redis.observer.command if isinstance(redis, ObservedRedis) else nullcontext
        )
        self._timeout_seconds: float | None = self._pool.connection_kwargs.get("socket_timeout")
        self._connection: AbstractConnection | None = None
        self._waiting: list[tuple[bytes, asyncio.Future[Any]]] = []
        self._sending: asyncio.Task[None] | None = None

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
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((pack_command(command), answer))  # type: ignore[arg-type]  # takes any number
        if self._sending is None:
            # Not in the context of whoever comes first: it may be busy for others long after.
            self._sending = asyncio.create_task(self._send(), name="redis-batch", context=Context())
        with self._observed(command[0]):
            return await answer

    async def _send(self) -> None:
        batch: list[tuple[bytes, asyncio.Future[Any]]] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
                await self._exchange(batch)
        except Exception as error:
            if not isinstance(error, RedisError | OSError):
                logger.exception("commands could not be sent to Redis")
            # Who waits for a turn would learn the same, only later.
            for _, waiting in (*batch, *self._waiting):
                failure = RedisConnectionError(str(error) or "Redis did not answer in time.")
                failure.__cause__ = error
                _settle(waiting, failure)
            self._waiting.clear()
        finally:
            self._sending = None
            for _, waiting in (*batch, *self._waiting):
                waiting.cancel()  # without effect but where the event loop ends

    async def _exchange(self, batch: Sequence[tuple[bytes, asyncio.Future[Any]]]) -> None:
        """Send commands, and give each of their callers the answer as it comes."""
        async with asyncio.timeout(self._timeout_seconds):
            connection = await self._connected()
            await connection.send_packed_command(b"".join([packed for packed, _ in batch]), check_health=False)
            is_replica = False
            for _, waiting in batch:
                answer = await _read(connection)
                is_replica |= isinstance(answer, ReadOnlyError)
                _settle(waiting, answer)
            if is_replica:  # after a failover the address leads elsewhere, but an open connection does not
                await connection.disconnect(nowait=True)

    async def _connected(self) -> AbstractConnection:
        """Return the connection, which connects by itself if it has to."""
        if self._connection is None:
            self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
            # One timeout for a batch costs less than two for each of its commands.
            self._connection.socket_timeout = None
        elif self._connection.is_connected and await self._connection.can_read():
            await self._connection.disconnect(nowait=True)  # Redis closed it meanwhile
        return self._connection


_batches: WeakKeyDictionary[Redis, RedisBatch] = WeakKeyDictionary()


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


async def _read(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _settle(waiting: asyncio.Future[Any], answer: Any) -> None:
    if waiting.done():
        return
    if isinstance(answer, BaseException):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)
