"""What spans take from providers' answers."""

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from rostra_kit.telemetry.gen_ai import note_answers


def noted(answer: dict[str, Any]) -> dict[str, Any]:
    span = TracerProvider().get_tracer("test").start_span("chat")
    note_answers(span, [answer])
    assert isinstance(span, ReadableSpan)
    return dict(span.attributes or {})


def test_reasons_and_model_are_noted() -> None:
    told = noted({"choices": [{"finish_reason": "stop"}, 7, {"finish_reason": None}], "model": "m"})
    assert told == {"gen_ai.response.finish_reasons": ("stop",), "gen_ai.response.model": "m"}


@pytest.mark.parametrize("choices", [7, True, "stop", {"finish_reason": "stop"}, None])
def test_choices_that_are_no_list_are_passed_over(choices: object) -> None:
    assert noted({"choices": choices, "model": "m", "usage": {"prompt_tokens": 3}}) == {"gen_ai.usage.input_tokens": 3}
