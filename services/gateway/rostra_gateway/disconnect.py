"""Ends work for clients that have left."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Receive

ResultT = TypeVar("ResultT")


async def while_connected(request: Request, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Return the result of `work`, or cancel it when the client leaves. The request's body has been read.

    Raises:
        ClientDisconnect: The client left; nobody will read the answer.
    """
    with Connected(request.receive):
        return await work


class Connected:
    """Cancels what is done within a `with` when the client leaves, as `asyncio.timeout` does when time is over.

    Raises:
        ClientDisconnect: At the end of the `with`: the client left.

    Args:
        receive: Receives the client's messages; the request's body has been read.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._has_left = self._is_over = False

    def __enter__(self) -> None:
        """Begin to watch the client."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a client is watched within a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._watch = asyncio.create_task(_disconnect(self._receive))
        self._watch.add_done_callback(self._leave)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Watch no longer."""
        self._is_over = True
        self._watch.cancel()
        if self._has_left and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise ClientDisconnect from error

    def _leave(self, _watch: "asyncio.Task[None]") -> None:
        if not self._is_over:
            self._has_left = True
            self._task.cancel()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
