"""Legal but awkward wire: unknown keys, CRLF, comments, and writes that respect no boundary. Nothing here does I/O."""

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from support.provider_wire import encode

# Where readers trip: within a character, within a line end, and within the field's name.
_AWKWARD_PLACE = re.compile(rb"[\x80-\xbf]|(?<=\r)\n|(?<=\nda)ta: ")
# Only some of these places are cut, so that the bytes between two cuts hold parts of several frames.
_CUT_EVERY = 5


def with_unknown_keys(value: Any) -> Any:
    """Return a copy of a JSON value with a key that no client knows in each of its objects."""
    if isinstance(value, Mapping):
        known = {key: with_unknown_keys(item) for key, item in value.items()}
        return {"x_vendor": {"note": "déjà vu", "list": [1, None]}, **known}
    if isinstance(value, list):
        return [with_unknown_keys(item) for item in value]
    return value


def odd_pieces(chunks: Iterable[object]) -> list[bytes]:
    """Return a stream of `chunks` up to [DONE], cut into the pieces in which it is to be written."""
    frames = [
        b": frame %d follows\r\ndata: %b\r\n\r\n" % (number, encode(chunk)) for number, chunk in enumerate(chunks)
    ]
    stream = b": hello\r\n\r\n" + b": still here\r\n\r\n".join([*frames, b"data: [DONE]\r\n\r\n"])
    places = [match.start() for match in _AWKWARD_PLACE.finditer(stream)]
    return [stream[start:end] for start, end in pairwise([0, *places[::_CUT_EVERY], len(stream)])]
