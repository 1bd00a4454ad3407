"""What the gateway's line in the log, and its span, say of one request. Neither quotes what its sender wrote."""

from typing import Any

from opentelemetry import trace

from rostra_gateway.exchange import Exchange
from rostra_gateway.metrics import METHODS


def access_fields(method: str, route: str, exchange: Exchange, seconds: float) -> dict[str, Any]:
    """Return the fields of the line: who asked for what, how it ended, what it took and used."""
    fields: dict[str, Any] = {
        "method": method,
        "route": route,
        "status": exchange.status,
        "seconds": round(seconds, 4),
        "user_id": exchange.user_id,
        "key_id": exchange.key_id,
        "model": _model(exchange),
    }
    if exchange.first_byte_seconds is not None:
        fields["first_byte_seconds"] = round(exchange.first_byte_seconds, 4)
    if exchange.broken:
        fields["broken"] = exchange.broken
    return fields | exchange.facts


def finish_span(span: trace.Span, method: str, route: str, exchange: Exchange) -> None:
    """Describe the request's span, now that its route is known, and end it."""
    known = method if method in METHODS else "_OTHER"
    span.update_name(f"{known} {route}")
    attributes: dict[str, Any] = {
        "http.request.method": known,
        "http.route": route,
        "http.response.status_code": exchange.status,
        "rostra.request.id": exchange.request_id,
        "user.id": exchange.user_id,
        "gen_ai.request.model": _model(exchange),
    }
    span.set_attributes({name: value for name, value in attributes.items() if value != ""})
    if exchange.status >= 500 or exchange.broken:
        span.set_status(trace.StatusCode.ERROR)
    span.end()


def _model(exchange: Exchange) -> str:
    # Until chat has answered, the model may be whatever the request's sender mistook for one.
    is_answered = exchange.first_byte_seconds is not None if exchange.is_stream else 200 <= exchange.status < 400
    return exchange.model if is_answered else ""
