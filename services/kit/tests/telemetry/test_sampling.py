"""Which traces are recorded."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from rostra_kit.telemetry.sampling import LinkSampler, default_sampler


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"):
        monkeypatch.delenv(name, raising=False)


def recorded(sampler: Sampler | None, number: int) -> int:
    """Return how many of some new traces are recorded."""
    tracer = TracerProvider(sampler=sampler, shutdown_on_exit=False).get_tracer("test")
    return sum(tracer.start_span("request").is_recording() for _ in range(number))


def test_one_trace_in_ten_is_recorded() -> None:
    # The chance that a right sampler is outside of this is one in a million millions.
    assert 100 < recorded(default_sampler(), 2000) < 300


def test_ratio_alone_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "1")
    assert recorded(default_sampler(), 50) == 50


def test_standard_sampler_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert default_sampler() is None
    assert recorded(default_sampler(), 50) == 0


@pytest.mark.parametrize("others", [ALWAYS_ON, ALWAYS_OFF])
@pytest.mark.parametrize("is_recorded", [True, False])
def test_linked_work_is_recorded_with_its_cause(others: Sampler, is_recorded: bool) -> None:
    tracer = TracerProvider(sampler=LinkSampler(others), shutdown_on_exit=False).get_tracer("test")
    cause = trace.SpanContext(1, 1, is_remote=True, trace_flags=trace.TraceFlags(int(is_recorded)))
    span = tracer.start_span("work", attributes={"kept": 1}, links=[trace.Link(cause)])
    assert span.is_recording() == is_recorded
    if is_recorded:
        assert dict(getattr(span, "attributes", {})) == {"kept": 1}


def test_other_spans_are_left_to_the_other_sampler() -> None:
    assert recorded(LinkSampler(ALWAYS_ON), 5) == 5
    assert recorded(LinkSampler(ALWAYS_OFF), 5) == 0
