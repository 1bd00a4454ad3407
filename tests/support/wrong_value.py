"""Values that a JSON field of a known type must not have, and bodies that hold them."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

_MARK = "@wrong@"
_HUGE = ("9223372036854775808", "1" + "0" * 400, "1e400", "-1e400")

WRONG_VALUES: Mapping[str, tuple[str, ...]] = {
    "text": ("7", "true", "[]", "{}", '["x"]', *_HUGE),
    "count": ('"1"', "true", "[]", "{}", "1.5", "0", "-1", *_HUGE),
    "number": ('"1"', "true", "[]", "{}", "-1000", *_HUGE),
    "flag": ('"true"', "1", "0", "[]", "{}", *_HUGE),
    "list": ('"x"', "7", "true", "{}", "[7]", "[[]]", '["x"]', *_HUGE),
    "texts": ('"x"', "7", "true", "{}", "[7]", "[[]]", "[{}]", *_HUGE),
    "object": ('"x"', "7", "true", "[]", "[{}]", *_HUGE),
    "text or list": ("7", "true", "{}", "[7]", "[[]]", *_HUGE),
    "text or object": ("7", "true", "[]", *_HUGE),
}
"""JSON that is wrong for a type; `null` is missing because it means that a field is absent."""


def bodies_with(valid: Mapping[str, Any], param: str, kind: str) -> Iterator[bytes]:
    """Yield `valid` as JSON with each wrong value of `kind` in the place of `param`, such as `messages[0].role`."""
    body = copy.deepcopy(dict(valid))
    *way, last = steps_of(param)
    place: Any = body
    for step in way:
        place = place[step]
    place[last] = _MARK
    text = json.dumps(body)
    for value in WRONG_VALUES[kind]:
        yield text.replace(f'"{_MARK}"', value).encode()


def steps_of(param: str) -> list[str | int]:
    """Return the keys and indexes that a parameter's name stands for."""
    steps = param.replace("[", ".[").split(".")
    return [int(step[1:-1]) if step.startswith("[") else step for step in steps]
