"""What becomes known in the course of a call, for the log lines of all who take part in it.

Chat learns how many tokens a call used; the gateway's line in the log should say so. The server interceptor sends the
facts of a call back with its end, and `ServiceClient` notes those that it is sent.
"""

from contextlib import suppress
from contextvars import ContextVar

Facts = dict[str, int | float | str]

FACTS_KEY_PREFIX = "rostra-fact-"

# What may be told, and how it is read: what another sends is not taken at its word.
_KINDS: dict[str, type[int] | type[float] | type[str]] = {
    "input_tokens": int,
    "cached_tokens": int,
    "output_tokens": int,
    "cost_micros": int,
    "first_token_seconds": float,
    "provider": str,
}

_current: ContextVar[Facts | None] = ContextVar("rostra_facts", default=None)


def collect_facts() -> Facts:
    """Begin to collect the facts of this task, and of those that it starts; return where they are collected."""
    facts: Facts = {}
    _current.set(facts)
    return facts


def note_facts(**facts: float | str) -> None:
    """Note what became known, by the names that are defined here; it is forgotten where nobody collects."""
    collected = _current.get()
    if collected is not None:
        collected.update(facts)


def facts_metadata(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Return the facts as gRPC sends them at a call's end."""
    return tuple((FACTS_KEY_PREFIX + name, str(value)) for name, value in facts.items())


def note_metadata(metadata: object) -> None:
    """Note the facts among what a call ended with."""
    collected = _current.get()
    if collected is None or not metadata:
        return
    for key, value in metadata:  # type: ignore[attr-defined] # gRPC's metadata is a sequence of pairs, untyped
        if key.startswith(FACTS_KEY_PREFIX):
            name = key[len(FACTS_KEY_PREFIX) :]
            with suppress(KeyError, ValueError):
                collected[name] = _KINDS[name](value)
