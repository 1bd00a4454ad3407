"""Spans on their way to the collector: never more than fit in memory, never waited for, each that is lost counted.

The SDK's own processor logs each span that finds its queue full, and waits half a minute for a dead collector at exit.
"""

import logging
import os
from collections import deque
from threading import Event, Thread

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry, Counter

logger = logging.getLogger(__name__)

_EXIT_SECONDS = 3.0


class SpanQueue(SpanProcessor):
    """Exports spans from a thread of its own, in small batches, so that the event loop is never held up for long.

    It heeds the standard `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` and `OTEL_BSP_SCHEDULE_DELAY`.

    Args:
        exporter: Sends a batch, and takes as long as it takes.
        registry: Takes the count of spans.
    """

    def __init__(self, exporter: SpanExporter, registry: CollectorRegistry) -> None:
        spans = Counter(
            "rostra_telemetry_spans",
            "Spans by what became of them: exported, dropped (the queue was full), failed (the collector took none).",
            ["outcome"],
            registry=registry,
        )
        self._exported, self._dropped, self._failed = (
            spans.labels(outcome) for outcome in ("exported", "dropped", "failed")
        )
        self._exporter = exporter
        self._max_spans = _number("OTEL_BSP_MAX_QUEUE_SIZE", 2048)
        self._max_batch = _number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 64)
        self._delay_seconds = _number("OTEL_BSP_SCHEDULE_DELAY", 1000) / 1000
        self._spans: deque[ReadableSpan] = deque()
        self._is_due = Event()
        self._is_over = False
        self._thread = Thread(target=self._work, name="spans", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended."""
        if len(self._spans) >= self._max_spans:
            self._dropped.inc()
            return
        self._spans.append(span)
        if len(self._spans) >= self._max_batch and not self._is_due.is_set():
            self._is_due.set()

    def shutdown(self) -> None:
        """Send what is left, as long as that takes little time."""
        self._is_over = True
        self._is_due.set()
        self._thread.join(_EXIT_SECONDS)
        if self._thread.is_alive():
            logger.warning("the collector of traces does not answer: the last spans are lost")
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the SDK's contract
        """Have what waits sent at once, without waiting for it."""
        self._is_due.set()
        return not self._spans

    def _work(self) -> None:
        while not self._is_over:
            self._is_due.wait(self._delay_seconds)
            self._is_due.clear()
            self._send(least=1)
            while len(self._spans) >= self._max_batch:
                self._send(least=self._max_batch)
        while self._spans:
            self._send(least=1)

    def _send(self, *, least: int) -> None:
        size = min(len(self._spans), self._max_batch)
        if size < least:
            return
        batch = [self._spans.popleft() for _ in range(size)]
        try:
            outcome = self._exporter.export(batch)
        except Exception:  # the thread must outlive whatever the exporter meets
            logger.exception("spans cannot be sent")
            outcome = SpanExportResult.FAILURE
        (self._exported if outcome is SpanExportResult.SUCCESS else self._failed).inc(size)


def _number(name: str, default: int) -> int:
    return int(os.environ.get(name) or default)
