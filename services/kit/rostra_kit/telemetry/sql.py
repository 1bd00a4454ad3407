"""SQL statements through SQLAlchemy: measured, and spans. Values never show: statements have placeholders for them.

For services that depend on SQLAlchemy.
"""

import time
from typing import Any

from opentelemetry import trace
from sqlalchemy import event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from rostra_kit.telemetry.database import DatabaseMetrics
from rostra_kit.telemetry.spans import mark_failed

_TRACER = trace.get_tracer("rostra")
_MAX_TEXT = 1000


def watch_statements(engine: AsyncEngine, metrics: DatabaseMetrics) -> None:
    """Measure the statements of `engine`."""
    system = engine.dialect.name

    def begin(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        span = None
        if trace.get_current_span().is_recording():
            operation = _operation(statement)
            attributes = {
                "db.system.name": system,
                "db.operation.name": operation,
                "db.query.text": statement[:_MAX_TEXT],
            }
            span = _TRACER.start_span(operation, kind=trace.SpanKind.CLIENT, attributes=attributes)
        context.rostra_began = (time.perf_counter(), span)

    def end(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        began, span = context.rostra_began
        metrics.observe(_operation(statement), time.perf_counter() - began)
        if span is not None:
            span.end()

    def fail(failure: ExceptionContext) -> None:
        context: Any = failure.execution_context
        began, span = getattr(context, "rostra_began", (None, None))
        if began is not None and failure.statement is not None:
            metrics.observe(_operation(failure.statement), time.perf_counter() - began)
        if span is not None:
            mark_failed(span, failure.original_exception)
            span.end()

    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", fail)


def _operation(statement: str) -> str:
    """Return the word that a statement begins with."""
    words = statement.split(None, 1)
    return words[0].upper() if words else ""
