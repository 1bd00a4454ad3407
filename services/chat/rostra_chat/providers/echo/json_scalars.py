"""Numbers and texts that fit a JSON schema's bounds: see `json_sample`."""

import math
from collections.abc import Mapping
from typing import Any

MAX_TEXT = 10_000

_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "idn-email": "someone@example.com",
    "idn-hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "iri": "https://example.com/",
    "json-pointer": "/example",
    "regex": "example",
    "time": "12:00:00Z",
    "uri": "https://example.com/",
    "uri-reference": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample_number(schema: Mapping[str, Any], *, is_whole: bool, variant: int) -> int | float:
    """Return a number within the schema's bounds; another `variant` gives another one where there is room."""
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    above, below = _bound(schema, "exclusiveMinimum"), _bound(schema, "exclusiveMaximum")
    step = _bound(schema, "multipleOf") or (1 if is_whole else 0)
    if is_whole and not float(step).is_integer():
        step = 1
    least = max((each for each in (low, above) if each is not None), default=None)
    most = min((each for each in (high, below) if each is not None), default=None)
    start = _start(least, most)
    if step > 0:
        found = step * math.ceil(start / step)
        if found == above:
            found += step
        if most is not None and (found > most or found == below):
            found = step * math.floor(most / step) - (step if most == below and most % step == 0 else 0)
        found += step * variant if most is None or found + step * variant < most else 0
    else:
        found = _between(start, least, most) if start in {above, below} else start
        found += variant if most is None or found + variant < most else 0
    return int(found) if is_whole else found


def _start(least: float | None, most: float | None) -> float:
    if least is not None:
        return least
    return 1 if most is None or most >= 1 else most


def _between(start: float, least: float | None, most: float | None) -> float:
    """Return a number inside of bounds that are themselves excluded."""
    if least is not None and most is not None:
        return (least + most) / 2
    return start + 1 if least is not None else start - 1


def sample_text(schema: Mapping[str, Any], variant: int) -> str:
    """Return a text of the schema's format, or of its length."""
    if (known := _FORMATS.get(str(schema.get("format")))) is not None:
        return known
    least = bounded(schema, "minLength", 0, MAX_TEXT)
    most = bounded(schema, "maxLength", MAX_TEXT, MAX_TEXT)
    word = sample_word(variant)
    return (word * (least // len(word) + 1))[: max(least, min(len(word), most))]


def sample_word(variant: int) -> str:
    """Return a word that says that it means nothing."""
    return f"{variant + 1}-example" if variant else "example"


def bounded(schema: Mapping[str, Any], key: str, absent: int, most: int) -> int:
    """Return the natural number that the schema has under `key`, at most `most`; `absent` where it has none."""
    value = schema.get(key)
    return min(max(0, value), most) if isinstance(value, int) else absent


def _bound(schema: Mapping[str, Any], key: str) -> float | None:
    value = schema.get(key)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53
    return value if is_number else None
