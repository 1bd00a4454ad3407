"""Which pages of other origins may use the API from a browser: none, unless the settings name them."""

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from rostra_gateway.settings import CorsSettings

_METHODS = "GET, POST, PATCH, DELETE"
# What the official SDKs send, beside the names that begin with `x-stainless-`.
_ACCEPTED = {
    *("accept", "authorization", "content-type", "idempotency-key", "traceparent", "tracestate", "user-agent"),
    *("openai-beta", "openai-organization", "openai-project", "x-client-request-id"),
}
_ACCEPTED_PREFIX = "x-stainless-"
_EXPOSED = ", ".join(
    [
        *("x-request-id", "openai-processing-ms", "openai-version", "retry-after", "x-should-retry"),
        "traceparent",
        # A browser knows no wildcard for a part of a name.
        *(f"x-ratelimit-{kind}-{name}" for kind in ("limit", "remaining", "reset") for name in ("requests", "tokens")),
    ]
)


class Cors:
    """Answers browsers that ask on behalf of a page. Without origins it says nothing, so browsers refuse."""

    def __init__(self, settings: CorsSettings) -> None:
        self._origins = frozenset(settings.allowed_origins)
        self._max_age_seconds = settings.max_age_seconds

    def preflight(self, scope: Scope) -> Response | None:
        """Return the answer to a browser that asks before it sends what a page wants; `None` for other requests."""
        if not self._origins or scope["method"] != "OPTIONS":
            return None
        headers = Headers(scope=scope)
        if "origin" not in headers or "access-control-request-method" not in headers:
            return None
        answer = Response(status_code=204)
        if headers["origin"] in self._origins:
            asked = headers.get("access-control-request-headers", "").split(",")
            answer.headers["access-control-allow-methods"] = _METHODS
            answer.headers["access-control-allow-headers"] = ", ".join(_accepted(asked))
            answer.headers["access-control-max-age"] = str(self._max_age_seconds)
        return answer

    def headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Return what every answer to this request says about its origin."""
        if not self._origins:
            return []
        origin = Headers(scope=scope).get("origin", "")
        varying = [(b"vary", b"Origin")]
        if origin not in self._origins:
            return varying
        allowed = [
            (b"access-control-allow-origin", origin.encode()),
            (b"access-control-expose-headers", _EXPOSED.encode()),
        ]
        return [*varying, *allowed]


def _accepted(asked: Iterable[str]) -> list[str]:
    names = (name.strip().lower() for name in asked)
    return [name for name in names if name in _ACCEPTED or _is_stainless(name)]


def _is_stainless(name: str) -> bool:
    return name.startswith(_ACCEPTED_PREFIX) and name.replace("-", "").isalnum() and name.isascii()
