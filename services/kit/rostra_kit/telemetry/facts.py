"""What becomes known in the course of a call, for the log lines of all who take part in it.

Chat learns how many tokens a call used; the gateway's line in the log should say so. The server interceptor sends the
facts of a call back with its end, and `ServiceClient` notes those that it is sent.
"""

from contextvars import ContextVar

import orjson

Facts = dict[str, int | float | str]

FACTS_KEY = "rostra-facts-bin"

# What may be told, and of which kind it is: what another sends is not taken at its word.
_KINDS: dict[str, type[int] | tuple[type[int], type[float]] | type[str]] = {
    "input_tokens": int,
    "cached_tokens": int,
    "output_tokens": int,
    "cost_micros": int,
    "first_token_seconds": (int, float),
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


def facts_metadata(facts: Facts) -> tuple[tuple[str, bytes], ...]:
    """Return the facts as gRPC sends them at a call's end."""
    return ((FACTS_KEY, orjson.dumps(facts)),) if facts else ()


def note_metadata(metadata: object) -> None:
    """Note the facts among what a call ended with."""
    collected = _current.get()
    if collected is None or not metadata:
        return
    for key, value in metadata:  # type: ignore[attr-defined] # gRPC's metadata is a sequence of pairs, untyped
        if key == FACTS_KEY:
            collected.update(_read(value))


def _read(told: bytes) -> Facts:
    try:
        facts = orjson.loads(told)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(facts, dict):
        return {}
    return {name: value for name, value in facts.items() if name in _KINDS and isinstance(value, _KINDS[name])}
