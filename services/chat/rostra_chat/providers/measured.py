"""A provider whose calls are measured, whoever makes them."""

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

from rostra_chat.catalogue import Model
from rostra_chat.metrics import ChatMetrics
from rostra_chat.providers.provider import Body, Frame, Provider
from rostra_kit.errors import AppError
from rostra_kit.status import reason_name


class MeasuredProvider:
    """Does what `provider` does, and records how long it took and how it failed."""

    def __init__(self, provider: Provider, metrics: ChatMetrics) -> None:
        self._provider = provider
        self._metrics = metrics

    @property
    def name(self) -> str:
        """Return the provider's name."""
        return self._provider.name

    async def complete(self, model: Model, body: Body) -> tuple[dict[str, Any], bytes]:
        """Complete a chat: see `Provider`."""
        with self._counted_errors():
            return await self._provider.complete(model, body)

    async def stream(self, model: Model, body: Body) -> AsyncGenerator[list[Frame], None]:
        """Complete a chat and yield its chunks: see `Provider`."""
        waited_for = self._metrics.first_token_seconds.labels(self.name, model.id)
        gap_seconds = self._metrics.token_gap_seconds.labels(self.name)
        with self._counted_errors(), self._metrics.open_streams.labels(self.name).track_inprogress():
            began = time.perf_counter()
            async with aclosing(self._provider.stream(model, body)) as batches:
                async for batch in batches:
                    waited_for.observe(time.perf_counter() - began)
                    waited_for = gap_seconds
                    yield batch
                    began = time.perf_counter()

    async def list_models(self) -> list[Model]:
        """Return the provider's models: see `Provider`."""
        return await self._provider.list_models()

    @contextmanager
    def _counted_errors(self) -> Iterator[None]:
        try:
            yield
        except AppError as error:
            self._metrics.provider_errors.labels(self.name, reason_name(error.reason).lower()).inc()
            raise
