"""Spans of models' calls, by OpenTelemetry's names for generative AI. Those may still change: they stand here alone."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import trace

from rostra_kit.telemetry.spans import leaf_span

_USAGE = (
    ("gen_ai.usage.input_tokens", "prompt_tokens", None),
    ("gen_ai.usage.output_tokens", "completion_tokens", None),
    ("gen_ai.usage.cache_read.input_tokens", "prompt_tokens_details", "cached_tokens"),
    ("gen_ai.usage.reasoning.output_tokens", "completion_tokens_details", "reasoning_tokens"),
)


def chat_span(*, provider: str, model: str, is_streamed: bool) -> AbstractContextManager[trace.Span]:
    """Return the span of one call of a model, for the length of a `with`. What is said in it is not recorded."""
    if not trace.get_current_span().is_recording():
        return leaf_span("")
    attributes: dict[str, str | bool] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.request.stream": is_streamed,
    }
    return leaf_span(f"chat {model}", attributes)


def note_first_chunk(span: trace.Span, seconds: float) -> None:
    """Say how long the first piece of a stream took."""
    span.set_attribute("gen_ai.response.time_to_first_chunk", seconds)


def note_answers(span: trace.Span, answers: Iterable[Mapping[str, Any]]) -> None:
    """Take from OpenAI's completions or chunks what is to be counted: usage, reasons to finish, the model that ran."""
    for answer in answers:
        usage = answer.get("usage")
        if isinstance(usage, Mapping):
            _note_usage(span, usage)
        choices = answer.get("choices")
        reasons = [
            choice["finish_reason"]
            for choice in (choices if isinstance(choices, list) else ())
            if isinstance(choice, Mapping) and isinstance(choice.get("finish_reason"), str)
        ]
        if reasons:
            span.set_attribute("gen_ai.response.finish_reasons", reasons)
            model = answer.get("model")
            if isinstance(model, str):
                span.set_attribute("gen_ai.response.model", model)


def _note_usage(span: trace.Span, usage: Mapping[str, Any]) -> None:
    for name, key, part in _USAGE:
        value = usage.get(key)
        if part is not None:
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, int):
            span.set_attribute(name, value)
