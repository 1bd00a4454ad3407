"""The use case behind `POST /v1/responses`, streamed and not."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self

import orjson

from rostra.chat.v1.chat_service_pb2 import (
    CreateResponseRequest,
    CreateResponseResponse,
    ResponseState,
    StreamResponseRequest,
    StreamResponseResponse,
)
from rostra_chat.metering import Meter
from rostra_chat.models import ModelDirectory
from rostra_chat.responses.foreground import Foreground
from rostra_chat.responses.leases import Leases
from rostra_chat.responses.planner import Planner
from rostra_chat.responses.run import ResponseRun
from rostra_chat.responses.store import ResponseStore


class ResponsesEngine:
    """Makes responses: loads what they continue, runs the model, and stores and settles what came of it.

    Leaving the engine's context waits for the runs that are still ending, so what they need must be closed after it.

    Args:
        models: Finds a model and its provider.
        meter: Reserves tokens and money before the provider is called.
        store: Remembers responses; `HistoryResponseStore(client)` in production.
        default_max_output_tokens: The bound of an answer that neither the request nor the model bounds.
        lease_seconds: When a response whose process is not heard of is ended by others.
    """

    def __init__(
        self,
        *,
        models: ModelDirectory,
        meter: Meter,
        store: ResponseStore,
        default_max_output_tokens: int,
        lease_seconds: float,
    ) -> None:
        self._planner = Planner(models=models, store=store, default_max_output_tokens=default_max_output_tokens)
        self._meter = meter
        self._store = store
        self._leases = Leases(store, lease_seconds=lease_seconds)
        self._foreground = Foreground()

    async def __aenter__(self) -> Self:
        """Begin to renew leases."""
        await self._leases.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait until every run has ended."""
        await self._foreground.drain()
        await self._leases.__aexit__(kind, error, traceback)

    async def create(self, request: CreateResponseRequest) -> CreateResponseResponse:
        """Make a response and return it finished.

        Cancelling cuts the provider's call and ends the response as cancelled.

        Raises:
            AppError: The request is wrong, a limit is reached, or a part of the way to the model failed.
        """
        run = await self._prepare(request.body, request.state)
        async with aclosing(self._foreground.follow(run)) as batches:
            async for _ in batches:
                pass
        if run.error is not None:
            raise run.error
        return CreateResponseResponse(body=orjson.dumps(run.response), limits=run.limits)

    async def stream(self, request: StreamResponseRequest) -> AsyncGenerator[StreamResponseResponse, None]:
        """Make a response and yield its events while it is made.

        Closing the iterator cuts the provider's call and ends the response as cancelled.

        Raises:
            AppError: As `create` does, before the first message; after it, the last event says what went wrong.
        """
        run = await self._prepare(request.body, request.state)
        is_first = True
        async with aclosing(self._foreground.follow(run)) as batches:
            async for batch in batches:
                frames = b"".join(event.frame() for event in batch)
                yield StreamResponseResponse(frames=frames, limits=run.limits if is_first else ())
                is_first = False

    async def _prepare(self, body: bytes, state: ResponseState) -> ResponseRun:
        plan = await self._planner.plan(body, state)
        return ResponseRun(plan, meter=self._meter, store=self._store, leases=self._leases)
