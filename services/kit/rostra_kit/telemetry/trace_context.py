"""The trace that a request belongs to, from hop to hop, as W3C's Trace Context writes it."""

from collections.abc import Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

# What everybody is asked to pass on. More could be so long that gRPC refuses the calls that it goes with.
_MAX_STATE_CHARACTERS = 512

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("rostra")


def begin_trace(name: str, headers: Mapping[str, Any]) -> trace.Span:
    """Begin the server's span of a request of a client, as a part of the client's trace if it has one.

    The span is the current one until the task ends: it is not detached, for the task's context ends with it.
    """
    span = _TRACER.start_span(name, _incoming(headers), trace.SpanKind.SERVER)
    _make_current(span)
    return span


def join_trace(name: str, headers: Mapping[str, Any]) -> trace.Span:
    """Begin the server's span of a call within Rostra; calls that belong to no trace, such as polls, begin none."""
    if TRACEPARENT not in headers:
        return trace.INVALID_SPAN
    return begin_trace(name, headers)


def outgoing_trace(span: trace.Span | None = None) -> list[tuple[str, str]]:
    """Return the headers that let the next hop join the trace of `span`, or of the current one, if there is one."""
    context = (span or trace.get_current_span()).get_span_context()
    if not context.is_valid:
        return []
    headers = [(TRACEPARENT, traceparent_of(context))]
    if context.trace_state:
        headers.append((TRACESTATE, context.trace_state.to_header()))
    return headers


def traceparent_of(context: trace.SpanContext) -> str:
    """Return the value of the header that names this span as the parent."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def current_traceparent() -> str:
    """Return the header's value for the current span if it is recorded; empty otherwise."""
    span = trace.get_current_span()
    return traceparent_of(span.get_span_context()) if span.is_recording() else ""


def link_to(traceparent: str) -> list[trace.Link]:
    """Return the link to the span of this header, for work that began with it and does not end with it."""
    context = trace.get_current_span(_PROPAGATOR.extract({TRACEPARENT: traceparent})).get_span_context()
    return [trace.Link(context)] if context.is_valid else []


def exemplar() -> dict[str, str] | None:
    """Return what lets a measurement point at the trace under way; `None` where none is recorded."""
    span = trace.get_current_span()
    return {"trace_id": f"{span.get_span_context().trace_id:032x}"} if span.is_recording() else None


def _incoming(headers: Mapping[str, Any]) -> Context:
    # An empty context: what runs this task, such as a reader of sockets, is no parent of the request.
    if TRACEPARENT not in headers:
        return Context()
    if len(headers.get(TRACESTATE, "")) > _MAX_STATE_CHARACTERS:
        headers = {TRACEPARENT: headers[TRACEPARENT]}
    return _PROPAGATOR.extract(headers, Context())


def _make_current(span: trace.Span) -> None:
    if span.get_span_context().is_valid:
        otel_context.attach(trace.set_span_in_context(span))
