"""The leaves of a trace: calls of others, for the length of a `with`. One check is all they cost unrecorded."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.util.types import Attributes

_TRACER = trace.get_tracer("rostra")
_NOTHING = nullcontext(trace.INVALID_SPAN)


def is_tracing() -> bool:
    """Tell whether this process exports spans."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def leaf_span(
    name: str, attributes: Attributes = None, *, kind: trace.SpanKind = trace.SpanKind.CLIENT
) -> AbstractContextManager[trace.Span]:
    """Return a child of the current span for the length of a `with`, one that records nothing if that one does not.

    It does not become the current span, so it may be open while a generator is suspended.
    """
    if not trace.get_current_span().is_recording():
        return _NOTHING
    return _Leaf(_TRACER.start_span(name, kind=kind, attributes=attributes))


@contextmanager
def linked_span(
    name: str, links: Sequence[trace.Link], attributes: Attributes = None, *, kind: trace.SpanKind
) -> Iterator[trace.Span]:
    """Begin a trace of its own that points at what caused it; it is recorded if one of those is."""
    if not links:
        yield trace.INVALID_SPAN
        return
    span = _TRACER.start_span(name, Context(), kind, attributes, links)
    token = otel_context.attach(trace.set_span_in_context(span))
    try:
        with _Leaf(span):
            yield span
    finally:
        otel_context.detach(token)


def mark_failed(span: trace.Span, error: BaseException) -> None:
    """Say that what the span stands for failed, and how; never in the error's words, which may quote people."""
    span.set_attribute("error.type", type(error).__name__)
    if not isinstance(error, asyncio.CancelledError | GeneratorExit):
        span.set_status(trace.StatusCode.ERROR)


class _Leaf:
    """A span that ends with a `with`."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def __enter__(self) -> trace.Span:
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            mark_failed(self._span, error)
        self._span.end()
