"""What surrounds every HTTP request: its name, its size, its headers, metrics and line in the log, and its errors.

Plain ASGI, not Starlette's BaseHTTPMiddleware, which costs more than the rest of the gateway together.
"""

import logging
from contextlib import nullcontext
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Network, ip_address

from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rostra_gateway.access_log import access_fields, finish_span
from rostra_gateway.capacity import Capacity
from rostra_gateway.cors import Cors
from rostra_gateway.exception_handlers import response_to
from rostra_gateway.exchange import Exchange
from rostra_gateway.metrics import GatewayMetrics
from rostra_gateway.request_body import RequestBody
from rostra_gateway.response_headers import Headers, default_headers, security_headers
from rostra_gateway.settings import Settings
from rostra_kit.context import RequestContext, set_current_request
from rostra_kit.ids import new_id
from rostra_kit.telemetry.facts import collect_facts
from rostra_kit.telemetry.trace_context import TRACEPARENT, TRACESTATE, begin_trace, exemplar, traceparent_of

logger = logging.getLogger(__name__)

# Asked every few seconds; their lines would bury the others.
_PROBES = {"/livez", "/readyz"}
_TRACE_HEADERS = {name.encode(): name for name in (TRACEPARENT, TRACESTATE)}


class EdgeMiddleware:
    """Surrounds the application."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: GatewayMetrics) -> None:
        self._app = app
        self._settings = settings.request
        self._security_headers = security_headers(settings)
        self._cors = Cors(settings.cors)
        self._metrics = metrics
        self._capacity = Capacity(settings.request.max_under_way, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(request_id=new_id("req"), address=client_address(scope, self._settings.trusted_proxies))
        scope["rostra.exchange"] = exchange
        set_current_request(RequestContext(request_id=exchange.request_id, address=exchange.address))
        exchange.facts = collect_facts()
        span = self._begin_span(scope, exchange)
        body = scope["rostra.body"] = RequestBody(receive, scope, self._settings)
        sender = _Sender(send, exchange, body, [*self._security_headers, *self._cors.headers(scope)])
        app = self._cors.preflight(scope) or self._app
        try:
            # A pod that is busy lives, and is ready.
            with nullcontext() if scope["path"] in _PROBES else self._capacity:
                await app(scope, body, sender)
        except Exception as error:  # noqa: BLE001 - every request has an answer
            response = response_to(error, scope)
            if not sender.started:
                await response(scope, receive, sender)
        finally:
            self._record(scope, exchange, span)

    def _begin_span(self, scope: Scope, exchange: Exchange) -> trace.Span:
        """Join the client's trace, or begin one, for all that this request leads to; of probes nothing is recorded."""
        if scope["path"] in _PROBES:
            return trace.INVALID_SPAN
        headers = {
            _TRACE_HEADERS[name]: value.decode("latin-1") for name, value in scope["headers"] if name in _TRACE_HEADERS
        }
        span = begin_trace(scope["method"], headers)
        context = span.get_span_context()
        if context.is_valid:
            exchange.traceparent = traceparent_of(context)
        return span

    def _record(self, scope: Scope, exchange: Exchange, span: trace.Span) -> None:
        # Only the route's template is a label: a path could be anything.
        route = getattr(scope.get("route"), "path", "unmatched")
        seconds = exchange.elapsed_seconds()
        self._metrics.see(exchange.user_id)
        self._metrics.observe(route=route, method=scope["method"], status=exchange.status, seconds=seconds)
        if exchange.is_stream:
            # One without any event took at least this long for its first.
            first_byte_seconds = seconds if exchange.first_byte_seconds is None else exchange.first_byte_seconds
            self._metrics.first_byte_seconds.labels(route).observe(first_byte_seconds, exemplar())
        if span.is_recording():
            finish_span(span, scope["method"], route, exchange)
        logger.log(
            logging.DEBUG if route in _PROBES else logging.INFO,
            "request",
            extra=access_fields(scope["method"], route, exchange, seconds),
        )


class _Sender:
    """Adds the headers that every response has."""

    def __init__(self, send: Send, exchange: Exchange, body: RequestBody, fixed: Headers) -> None:
        self._send = send
        self._exchange = exchange
        self._body = body
        self._fixed = fixed
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self._exchange.status = message["status"]
            given = list(message.get("headers", ()))
            message["headers"] = [*given, *default_headers(given), *self._headers()]
        await self._send(message)

    def _headers(self) -> Headers:
        exchange = self._exchange
        headers = [
            (b"x-request-id", exchange.request_id.encode()),
            (b"openai-processing-ms", b"%d" % round(exchange.elapsed_seconds() * 1000)),
            (b"openai-version", b"2020-10-01"),
            *self._fixed,
        ]
        if exchange.traceparent:
            headers.append((b"traceparent", exchange.traceparent.encode()))
        if self._body.withheld:
            headers.append((b"connection", b"close"))
        headers += [(name.encode(), value.encode()) for name, value in exchange.limit_headers.items()]
        return headers


def client_address(scope: Scope, trusted_proxies: int) -> str:
    """Return the client's address as the outermost trusted proxy saw it; of IPv6 the /64, which is one client's."""
    peer: str = scope["client"][0] if scope.get("client") else "unknown"
    if not trusted_proxies:
        return _limited_unit(peer) or peer
    forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    claimed = hops[-trusted_proxies] if len(hops) >= trusted_proxies else peer
    return _limited_unit(claimed) or _limited_unit(peer) or peer


@lru_cache(maxsize=4096)
def _limited_unit(text: str) -> str | None:
    """Return what limits count an address by; `None` when `text` is no address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address) >> 64 << 64, 64)))
