"""Spans wait for the collector in bounded memory, and each that is lost is counted."""

from collections.abc import Iterator, Sequence
from threading import Event

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry

from rostra_kit.telemetry.span_queue import SpanQueue


class Collector(SpanExporter):
    """Takes spans once it may, and says what it was told to."""

    def __init__(self, outcome: SpanExportResult | Exception = SpanExportResult.SUCCESS) -> None:
        self.outcome = outcome
        self.asked, self.may_answer = Event(), Event()
        self.names: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.may_answer.wait(30)
        self.names += [span.name for span in spans]
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture(autouse=True)
def small_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MAX_QUEUE_SIZE": 10, "MAX_EXPORT_BATCH_SIZE": 2, "SCHEDULE_DELAY": 5}.items():
        monkeypatch.setenv(f"OTEL_BSP_{name}", str(value))


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    provider = TracerProvider(shutdown_on_exit=False)
    yield provider
    provider.shutdown()


def end_spans(provider: TracerProvider, number: int) -> None:
    for place in range(number):
        provider.get_tracer("test").start_span(f"span {place}").end()


def counts(registry: CollectorRegistry) -> tuple[float, ...]:
    return tuple(
        registry.get_sample_value("rostra_telemetry_spans_total", {"outcome": outcome}) or 0
        for outcome in ("exported", "dropped", "failed")
    )


def test_spans_are_exported_in_their_order(provider: TracerProvider, registry: CollectorRegistry) -> None:
    collector = Collector()
    collector.may_answer.set()
    provider.add_span_processor(SpanQueue(collector, registry))
    end_spans(provider, 7)
    provider.shutdown()
    assert collector.names == [f"span {place}" for place in range(7)]
    assert counts(registry) == (7, 0, 0)


def test_slow_collector_loses_what_does_not_fit_and_holds_nobody_up(
    provider: TracerProvider, registry: CollectorRegistry
) -> None:
    collector = Collector()
    provider.add_span_processor(SpanQueue(collector, registry))
    end_spans(provider, 1)
    assert collector.asked.wait(30)  # one is on its way, and stays there
    end_spans(provider, 25)  # returns although nobody takes them
    assert counts(registry) == (0, 15, 0)
    collector.may_answer.set()
    provider.shutdown()
    assert counts(registry) == (11, 15, 0)


@pytest.mark.parametrize("outcome", [SpanExportResult.FAILURE, ConnectionError("gone")])
def test_what_the_collector_does_not_take_is_counted(
    provider: TracerProvider, registry: CollectorRegistry, outcome: SpanExportResult | Exception
) -> None:
    collector = Collector(outcome)
    collector.may_answer.set()
    provider.add_span_processor(SpanQueue(collector, registry))
    end_spans(provider, 4)
    provider.shutdown()
    assert counts(registry) == (0, 0, 4)


def test_end_does_not_wait_for_a_collector_that_hangs(
    provider: TracerProvider, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rostra_kit.telemetry.span_queue._EXIT_SECONDS", 0.05)
    collector = Collector()
    provider.add_span_processor(SpanQueue(collector, registry))
    end_spans(provider, 3)
    provider.shutdown()  # the collector would answer after 30 s
    assert not collector.names
    collector.may_answer.set()
