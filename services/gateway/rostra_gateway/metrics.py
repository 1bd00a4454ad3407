"""The gateway's metrics."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.telemetry.instruments import Counter, Gauge, Histogram
from rostra_kit.telemetry.trace_context import exemplar

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_MAX_USERS_SEEN = 100_000
FILE = "file"
"""The reason of broken streams that stands for files that broke off."""
_FAILURES = ("500", "502", "503", "504")
METHODS = {"GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "PUT"}


class GatewayMetrics:
    """Counts what clients ask for and what they get.

    Attributes:
        users_seen: Whose requests were answered, until `ActiveUsers` takes them from here.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "rostra_gateway_requests", "HTTP requests answered.", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "rostra_gateway_request_seconds",
            "Time from a request's arrival to the last byte of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.first_byte_seconds = Histogram(
            "rostra_gateway_first_byte_seconds",
            "Time from a request's arrival to the first event of an answer that is streamed.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.requests_under_way = Gauge(
            "rostra_gateway_requests_under_way", "Requests under way, streams included.", registry=registry
        )
        self.open_streams = Gauge("rostra_gateway_open_streams", "Streams under way.", registry=registry)
        self.broken_streams = Counter(
            "rostra_gateway_broken_streams",
            "Streams that ended with an error event, and files that broke off.",
            ["reason"],
            registry=registry,
        )
        self.refusals = Counter("rostra_gateway_refusals", "Requests refused by a limit.", ["limit"], registry=registry)
        self.refusals.labels("under_way")  # see `begin`
        self.limiter_fallbacks = Counter(
            "rostra_gateway_limiter_fallbacks", "Limits checked by this pod alone, without Redis.", registry=registry
        )
        self.caller_lookups = Counter(
            "rostra_gateway_caller_lookups", "Credentials looked up.", ["source"], registry=registry
        )
        self.keyed_requests = Counter(
            "rostra_gateway_keyed_requests", "Requests with an Idempotency-Key.", ["outcome"], registry=registry
        )
        self.active_users = Gauge(
            "rostra_gateway_active_users",
            "Users seen in that time by all gateways together: each tells the same.",
            ["window"],
            registry=registry,
        )
        self.users_seen: set[str] = set()

    def begin(self, routes: Iterable[str]) -> None:
        """Begin at zero what may go wrong with the POSTs of some routes, and with streams.

        Prometheus sees no increase in a series that begins with its first event, and failures often come all at once.
        """
        for route in routes:
            for status in _FAILURES:
                self._requests.labels(route, "POST", status)
        for reason in (*map(ErrorReason.Name, ErrorReason.values()), FILE):
            self.broken_streams.labels(reason.removeprefix("ERROR_REASON_").lower())

    def observe(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request; with the status 499 its client, with 0 this process, left before the answer began."""
        self._requests.labels(route, method if method in METHODS else "other", str(status)).inc()
        self._seconds.labels(route).observe(seconds, exemplar())

    def see(self, user_id: str) -> None:
        """Note that a user was here."""
        if user_id and len(self.users_seen) < _MAX_USERS_SEEN:
            self.users_seen.add(user_id)
