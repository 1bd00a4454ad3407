"""Commands of concurrent callers, sent to Redis together: alone, most of a command's cost is the way there and back."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError, ResponseError

from rostra_kit.telemetry.redis import ObservedRedis

Command: TypeAlias = tuple[str | bytes | int, ...]

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
        self._waiting: list[tuple[Command, asyncio.Future[Any]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def execute(self, *command: str | bytes | int) -> Any:
        """Return the answer to a command.

        Raises:
            RedisError: Redis cannot be reached, does not answer, or answers with an error.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="redis-batch")
        with self._observed(command[0]):
            return await answer

    async def _send(self) -> None:
        batch: list[tuple[Command, asyncio.Future[Any]]] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
                for (_, waiting), answer in zip(batch, await self._answers(batch), strict=True):
                    _settle(waiting, answer)
        except (RedisError, OSError) as error:
            # Who waits for a turn would learn the same, only later.
            for _, waiting in (*batch, *self._waiting):
                _settle(waiting, error)
            self._waiting.clear()
        finally:
            self._sending = None
            for _, waiting in batch:
                waiting.cancel()  # without effect but where the event loop ends

    async def _answers(self, batch: Sequence[tuple[Command, object]]) -> list[Any]:
        """Return what Redis answers to each command, errors included."""
        async with asyncio.timeout(self._timeout_seconds):
            connection = await self._connected()
            sent = b"".join([pack_command(command) for command, _ in batch])  # type: ignore[arg-type]  # takes any number
            await connection.send_packed_command(sent, check_health=False)
            return [await _read(connection) for _ in batch]

    async def _connected(self) -> AbstractConnection:
        """Return the connection, which connects by itself if it has to."""
        if self._connection is None:
            self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
            # One timeout for a batch costs less than two for each of its commands.
            self._connection.socket_timeout = None
        elif self._connection.is_connected and await self._connection.can_read():
            await self._connection.disconnect(nowait=True)  # Redis closed it meanwhile
        return self._connection


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
