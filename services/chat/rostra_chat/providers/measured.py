"""A provider whose calls are measured, whoever makes them."""

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

from opentelemetry.trace import Span

from rostra_chat.catalogue import Model
from rostra_chat.metrics import ChatMetrics
from rostra_chat.providers.provider import Body, Frame, Provider
from rostra_kit.errors import AppError
from rostra_kit.status import reason_name
from rostra_kit.telemetry.facts import note_facts
from rostra_kit.telemetry.gen_ai import chat_span, note_answers, note_first_chunk
from rostra_kit.telemetry.trace_context import exemplar


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
        with self._measured(model, is_streamed=False) as span:
            answer, raw = await self._provider.complete(model, body)
            if span.is_recording():
                note_answers(span, [answer])
            return answer, raw

    async def stream(self, model: Model, body: Body) -> AsyncGenerator[list[Frame], None]:
        """Complete a chat and yield its chunks: see `Provider`."""
        gap_seconds = self._metrics.token_gap_seconds.labels(self.name)
        is_first = True
        with (
            self._measured(model, is_streamed=True) as span,
            self._metrics.open_streams.labels(self.name).track_inprogress(),
        ):
            began = time.perf_counter()
            async with aclosing(self._provider.stream(model, body)) as batches:
                async for batch in batches:
                    waited = time.perf_counter() - began
                    if is_first:
                        is_first = False
                        self._note_first(model, span, waited)
                    else:
                        gap_seconds.observe(waited)
                    if span.is_recording():
                        note_answers(span, (frame.data for frame in batch))
                    yield batch
                    began = time.perf_counter()

    async def list_models(self) -> list[Model]:
        """Return the provider's models: see `Provider`."""
        return await self._provider.list_models()

    def _note_first(self, model: Model, span: Span, seconds: float) -> None:
        self._metrics.first_token_seconds.labels(self.name, model.id).observe(seconds, exemplar())
        note_facts(first_token_seconds=round(seconds, 4))
        if span.is_recording():
            note_first_chunk(span, seconds)

    @contextmanager
    def _measured(self, model: Model, *, is_streamed: bool) -> Iterator[Span]:
        began = time.perf_counter()
        try:
            with chat_span(provider=self.name, model=model.id, is_streamed=is_streamed) as span:
                yield span
        except AppError as error:
            self._metrics.provider_errors.labels(self.name, reason_name(error.reason).lower()).inc()
            raise
        finally:
            seconds = time.perf_counter() - began
            self._metrics.provider_seconds.labels(self.name, model.id).observe(seconds, exemplar())
