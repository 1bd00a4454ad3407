"""What clients see of each failure: the table that docs/failure-modes.md is made from and that a test plays through.

Everything works under a fault unless its case says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Kind = str
"""A kind of call, a key of `KINDS`."""

WORKS, REFUSED, TIMED_OUT, BROKEN = "works", "503", "504", "error event"

KINDS: Mapping[Kind, str] = {
    "sign_in": "Signing in",
    "register": "Registering",
    "account": "Reading one's account",
    "new_key": "The first request with an API key",
    "models": "Models",
    "completion": "Chat completion",
    "completion_budget": "Chat completion on a budget",
    "completion_stream": "Chat completion, streamed",
    "completion_stored": "Chat completion, stored",
    "response_unstored": "Response, not stored",
    "response_stored": "Response",
    "response_continued": "Response that continues another",
    "response_stream": "Response, streamed",
    "background": "Response in the background",
    "background_stream": "Response in the background, streamed",
    "follow": "Following one in the background",
    "open_completion": "Stream of a chat completion under way",
    "open_response": "Stream of a response under way",
    "read": "Reading a conversation",
    "write": "Adding to a conversation",
    "write_keyed": "Creating one with an `Idempotency-Key`",
    "search": "Search",
    "share": "Page of a share",
    "usage": "Usage",
    "admin": "Administration",
    "health": "`/readyz`",
}
OPEN_STREAMS = ("open_completion", "open_response")
RECOVERY_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A fault of a dependency.

    Attributes:
        dependency: What fails.
        fault: How, in a word or two.
        meaning: How, in a sentence.
        within_seconds: The longest time that a call takes.
        outcomes: The calls that do not work, and what comes of them in place.
        is_brief: Whether it is played in every run of the tests, not only in the long form.
    """

    dependency: str
    fault: str
    meaning: str
    within_seconds: float
    outcomes: Mapping[Kind, str] = field(default_factory=dict)
    is_brief: bool = False

    def outcome(self, kind: Kind) -> str:
        """Return what comes of calls of this kind."""
        return self.outcomes.get(kind, WORKS)


def _refused(*kinds: Kind) -> dict[Kind, str]:
    return dict.fromkeys(kinds, REFUSED)


_SIGNING_IN = ("sign_in", "register")
_USER = (*_SIGNING_IN, "account", "new_key", "usage", "admin")
_BACKGROUND = ("background", "background_stream", "follow")
_HISTORY = (
    *("completion_stored", "response_stored", "response_continued", "response_stream", *_BACKGROUND),
    *("read", "write", "write_keyed", "search", "share"),
)
_PROVIDER = (
    *("completion", "completion_budget", "completion_stream", "completion_stored"),
    *("response_unstored", "response_stored", "response_continued", "response_stream"),
)
_NO_HISTORY = _refused(*_HISTORY) | {"open_response": BROKEN}
_NO_CHAT = _refused("new_key", "models", *_PROVIDER, *_BACKGROUND) | dict.fromkeys(OPEN_STREAMS, BROKEN)
_NO_PROVIDER = dict.fromkeys(("background_stream", *OPEN_STREAMS), BROKEN)
_NO_LIMITS = _refused(*_SIGNING_IN, "completion_budget", "background_stream")

CASES = (
    Case(
        dependency="MySQL",
        fault="down",
        meaning="Connections are cut, and new ones refused.",
        within_seconds=3,
        outcomes=_refused(*_USER),
    ),
    Case(
        dependency="MySQL",
        fault="silent",
        meaning="It takes connections and statements, and says nothing.",
        within_seconds=6,
        outcomes=_refused(*_USER),
        is_brief=True,
    ),
    Case(
        dependency="MySQL",
        fault="slow",
        meaning="Each of its answers comes 0.3 s late.",
        within_seconds=8,
    ),
    Case(
        dependency="MySQL",
        fault="restarts",
        meaning="All connections are cut once.",
        within_seconds=3,
    ),
    Case(
        dependency="MySQL",
        fault="read-only",
        meaning="It refuses every write, as a primary does that has become a replica.",
        within_seconds=3,
        outcomes=_refused(*_SIGNING_IN, "admin"),
    ),
    Case(
        dependency="MySQL",
        fault="pool full",
        meaning="Statements wait for a lock that somebody holds, until all connections do.",
        within_seconds=8,
        outcomes=_refused(*_USER),
    ),
    Case(
        dependency="DocumentDB",
        fault="down",
        meaning="Connections are cut, and new ones refused.",
        within_seconds=8,
        outcomes=_NO_HISTORY,
    ),
    Case(
        dependency="DocumentDB",
        fault="silent",
        meaning="It takes connections and commands, and says nothing.",
        within_seconds=12,
        outcomes=_NO_HISTORY,
        is_brief=True,
    ),
    Case(
        dependency="DocumentDB",
        fault="slow",
        meaning="Each of its answers comes 0.3 s late.",
        within_seconds=8,
    ),
    Case(
        dependency="DocumentDB",
        fault="restarts",
        meaning="All connections are cut once.",
        within_seconds=3,
    ),
    Case(
        dependency="DocumentDB",
        fault="read-only",
        meaning="It refuses every command, reads too, as a primary does that has become a replica.",
        within_seconds=8,
        outcomes=_NO_HISTORY,
    ),
    Case(
        dependency="DocumentDB",
        fault="pool full",
        meaning="Commands wait for a lock that somebody holds, until all connections do.",
        within_seconds=12,
        outcomes=_NO_HISTORY,
    ),
    Case(
        dependency="Redis",
        fault="down",
        meaning="Connections are cut, and new ones refused.",
        within_seconds=5,
        outcomes=_NO_LIMITS | _refused("follow", "write_keyed"),
    ),
    Case(
        dependency="Redis",
        fault="silent",
        meaning="It takes connections and commands, and says nothing, until all connections of the pools wait.",
        within_seconds=6,
        outcomes=_NO_LIMITS | _refused("follow", "write_keyed"),
        is_brief=True,
    ),
    Case(
        dependency="Redis",
        fault="slow",
        meaning="Each of its answers comes 0.3 s late: later than a limit is waited for.",
        within_seconds=5,
        outcomes=_NO_LIMITS,
    ),
    Case(
        dependency="Redis",
        fault="restarts",
        meaning="All connections are cut once.",
        within_seconds=3,
    ),
    Case(
        dependency="Redis",
        fault="full",
        meaning="Its memory is: it refuses every write.",
        within_seconds=3,
        outcomes=_refused(*_SIGNING_IN, "background_stream", "write_keyed"),
    ),
    Case(
        dependency="the provider",
        fault="down",
        meaning="Connections are cut, and new ones refused.",
        within_seconds=3,
        outcomes=_refused(*_PROVIDER) | _NO_PROVIDER,
    ),
    Case(
        dependency="the provider",
        fault="silent",
        meaning="It takes connections and requests, and says nothing: for as long as the settings say, here 5 s.",
        within_seconds=9,
        outcomes=dict.fromkeys(_PROVIDER, TIMED_OUT) | _NO_PROVIDER,
        is_brief=True,
    ),
    Case(
        dependency="the provider",
        fault="slow",
        meaning="Each of its answers comes 0.3 s late.",
        within_seconds=5,
    ),
    Case(
        dependency="the provider",
        fault="restarts",
        meaning="All connections are cut once.",
        within_seconds=3,
        outcomes=dict.fromkeys(OPEN_STREAMS, BROKEN),
    ),
    Case(
        dependency="the provider",
        fault="overloaded",
        meaning="It answers 503.",
        within_seconds=3,
        outcomes=_refused(*_PROVIDER) | {"background_stream": BROKEN},
    ),
    Case(
        dependency="history",
        fault="down",
        meaning="Its process is killed.",
        within_seconds=7,
        outcomes=_NO_HISTORY,
    ),
    Case(
        dependency="history",
        fault="silent",
        meaning="Its process is stopped (SIGSTOP).",
        within_seconds=11,
        outcomes=_NO_HISTORY,
        is_brief=True,
    ),
    Case(
        dependency="history",
        fault="slow",
        meaning="Each of its answers comes 0.3 s late.",
        within_seconds=5,
    ),
    Case(
        dependency="history",
        fault="restarts",
        meaning="Its process is told to end (SIGTERM), and started anew.",
        within_seconds=5,
    ),
    Case(
        dependency="history",
        fault="errors",
        meaning="It answers every call with `UNAVAILABLE`.",
        within_seconds=7,
        outcomes=_NO_HISTORY,
    ),
    Case(
        dependency="user",
        fault="down",
        meaning="Its process is killed.",
        within_seconds=3,
        outcomes=_refused(*_USER),
    ),
    Case(
        dependency="user",
        fault="silent",
        meaning="Its process is stopped (SIGSTOP).",
        within_seconds=7,
        outcomes=_refused(*_USER),
    ),
    Case(
        dependency="user",
        fault="slow",
        meaning="Each of its answers comes 0.3 s late.",
        within_seconds=5,
    ),
    Case(
        dependency="user",
        fault="restarts",
        meaning="Its process is told to end (SIGTERM), and started anew.",
        within_seconds=5,
    ),
    Case(
        dependency="user",
        fault="errors",
        meaning="It answers every call with `UNAVAILABLE`.",
        within_seconds=3,
        outcomes=_refused(*_USER),
    ),
    Case(
        dependency="chat",
        fault="down",
        meaning="Its process is killed.",
        within_seconds=3,
        outcomes=_NO_CHAT,
        is_brief=True,
    ),
    Case(
        dependency="chat",
        fault="silent",
        meaning="Its process is stopped (SIGSTOP), in the middle of its streams.",
        within_seconds=7,
        outcomes=_NO_CHAT,
        is_brief=True,
    ),
    Case(
        dependency="chat",
        fault="slow",
        meaning="Each of its answers comes 0.3 s late.",
        within_seconds=5,
    ),
    Case(
        dependency="chat",
        fault="restarts",
        meaning="Its process is told to end (SIGTERM), and started anew.",
        within_seconds=5,
    ),
    Case(
        dependency="chat",
        fault="errors",
        meaning="It answers every call with `UNAVAILABLE`.",
        within_seconds=3,
        outcomes=_NO_CHAT,
    ),
    Case(
        dependency="chat",
        fault="full",
        meaning="It runs as many background responses as it may; more wait for their turn.",
        within_seconds=5,
    ),
    Case(
        dependency="the gateway",
        fault="full",
        meaning="As many requests are under way as it takes.",
        within_seconds=3,
        outcomes=_refused(*(kind for kind in KINDS if kind not in ("health", *OPEN_STREAMS))),
    ),
)
