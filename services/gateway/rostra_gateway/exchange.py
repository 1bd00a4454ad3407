"""What the gateway learns about a request while it handles it, for the response's headers, the log and metrics."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from starlette.types import Scope

from rostra.common.v1.limit_state_pb2 import LimitState
from rostra_kit.errors import AppError
from rostra_kit.telemetry.facts import Facts


@dataclass(slots=True)
class Exchange:
    """One request and its response, as far as they have come.

    Attributes:
        traceparent: Names the server's span to the client; empty without a trace.
        key_id: The API key's id, if the caller showed one.
        is_stream: Whether the answer is a stream of events, which may begin before chat has accepted the request.
        broken: Why a stream ended with an error event; empty when it did not.
        first_byte_seconds: Time to the first event of a stream; `None` while there is none.
        facts: What the services behind found out.
        followed_response_id: The background response whose events are the answer, once there is one.
    """

    request_id: str
    address: str
    started: float = field(default_factory=time.perf_counter)
    traceparent: str = ""
    user_id: str = ""
    key_id: str = ""
    model: str = ""
    status: int = 0
    is_stream: bool = False
    broken: str = ""
    first_byte_seconds: float | None = None
    facts: Facts = field(default_factory=dict)
    followed_response_id: str = ""
    limit_headers: dict[str, str] = field(default_factory=dict)

    def elapsed_seconds(self) -> float:
        """Return the time since the request arrived."""
        return time.perf_counter() - self.started

    def note_first_byte(self) -> None:
        """Note that the first event of a stream is about to be written."""
        if self.first_byte_seconds is None:
            self.first_byte_seconds = self.elapsed_seconds()

    def add_limit(self, name: str, *, limit: int, remaining: int, reset_seconds: float) -> None:
        """Report a limit in the response's `x-ratelimit-*` headers; of several by one name, the nearest to its end."""
        key = f"x-ratelimit-remaining-{name}"
        if key in self.limit_headers and int(self.limit_headers[key]) <= remaining:
            return
        self.limit_headers[f"x-ratelimit-limit-{name}"] = str(limit)
        self.limit_headers[key] = str(remaining)
        self.limit_headers[f"x-ratelimit-reset-{name}"] = go_duration(reset_seconds)


def exchange_of(scope: Scope) -> Exchange:
    """Return the exchange that the middleware began for this request."""
    return cast(Exchange, scope["rostra.exchange"])


def add_limits(exchange: Exchange, limits: Iterable[LimitState]) -> None:
    """Report the limits that chat reserved from."""
    for state in limits:
        exchange.add_limit(
            state.name.removeprefix("key_"),
            limit=state.limit,
            remaining=state.remaining,
            reset_seconds=state.reset_duration.seconds + state.reset_duration.nanos / 1_000_000_000,
        )


def add_refused_limit(exchange: Exchange, error: AppError) -> None:
    """Report the limit that chat refused a request for, if it did."""
    told = error.metadata
    if "limit_amount" in told:
        exchange.add_limit(
            told["limit"],
            limit=int(told["limit_amount"]),
            remaining=int(told["limit_remaining"]),
            reset_seconds=float(told["reset_seconds"]),
        )


def go_duration(seconds: float) -> str:
    """Return `seconds` as Go writes durations, which is what OpenAI's reset headers hold: `12ms`, `1.5s`, `6m0s`."""
    milliseconds = max(0, round(seconds * 1000))
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(int(minutes), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + text
