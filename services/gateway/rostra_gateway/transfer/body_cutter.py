"""Cuts a body that may be larger than memory into the conversations in it, as it arrives.

It knows of JSON only strings and brackets, which is enough to find where a conversation begins and ends; what is cut
out is parsed as a whole by whoever gets it. Three forms of a body are known:

- an array of conversations,
- one conversation, an object,
- what `GET /v1/me/export` answers, an object whose `conversations` are such an array; the rest of it is passed over.
"""

import re
from dataclasses import dataclass

from rostra_kit.errors import InvalidArgumentError

# Deep enough for what a conversation's items may nest, with the export around them.
MAX_DEPTH = 160
MAX_CONTAINERS = 1_000_000

_HEAD_BYTES = 256
_SPACE = b" \t\r\n"
_UTF8_MARK = b"\xef\xbb\xbf"
_OUTSIDE = re.compile(rb'[^"\[\]{}]*+(?:"(?:[^"\\]++|\\.)*+"[^"\[\]{}]*+)*+(["\[\]{}])', re.DOTALL)
_INSIDE = re.compile(rb"(?:[^\"\\]++|\\.)*+", re.DOTALL)
_USER_EXPORT = re.compile(rb'\s*\{\s*"object"\s*:\s*"user\.export"')
_CONVERSATIONS = re.compile(rb'[{,]\s*"conversations"\s*:\s*\Z')
_LONGEST_KEY = 64
_CLOSING = {ord("["): ord("]"), ord("{"): ord("}")}


@dataclass(frozen=True, slots=True)
class Cutting:
    """One element of the body.

    Attributes:
        position: Its place among them, from 0.
        raw: Its JSON, or only the beginning when there is a fault.
        fault: Why it cannot be imported; `None` when it is whole.
    """

    position: int
    raw: bytes
    fault: str | None


class BodyCutter:
    """Takes a body piece by piece and gives its elements.

    Args:
        max_element_bytes: The size of the largest element that is kept.
    """

    def __init__(self, *, max_element_bytes: int) -> None:
        self._max_element_bytes = max_element_bytes
        self._head: bytes | None = b""
        self._in_string = self._after_backslash = False
        self._open: list[int] = []
        self._depth = 0
        self._base: int | None = None
        self._ended = False
        self._before = b""
        self._gap = b""
        self._count = 0
        self._element = bytearray()
        self._in_element = False
        self._containers = 0
        self._fault: str | None = None
        self._cut: list[Cutting] = []

    def feed(self, data: bytes) -> list[Cutting]:
        """Take the next bytes of the body, and return the elements that end in them.

        Raises:
            InvalidArgumentError: The body is none of the known forms.
        """
        if self._head is not None:
            self._head += data
            if len(self._head) < _HEAD_BYTES:
                return []
            data = self._begin(self._head)
        return self._scan(data)

    def close(self) -> list[Cutting]:
        """Return the last elements.

        Raises:
            InvalidArgumentError: The body is not whole.
        """
        cut = self._scan(self._begin(self._head)) if self._head is not None else []
        if self._depth or self._in_string or not self._ended:
            raise _not_json("it ends too early")
        return cut

    def _begin(self, head: bytes) -> bytes:
        self._head = None
        data = head.removeprefix(_UTF8_MARK)
        first = data.lstrip(_SPACE)[:1]
        if first not in (b"[", b"{"):
            raise _not_json("it begins with neither `[` nor `{`" if first else "it is empty")
        if first == b"[":
            self._base = 1
        elif not _USER_EXPORT.match(data):
            self._base = 0
        return data

    def _scan(self, data: bytes) -> list[Cutting]:
        position = self._leave_string(data)
        copied = 0
        while not self._in_string and (found := _OUTSIDE.match(data, position)):
            position = found.end()
            bracket = data[position - 1]
            if bracket == ord('"'):
                position = self._enter_string(data, position)
            elif bracket in _CLOSING:
                copied = self._open_bracket(data, copied, position, bracket)
            else:
                copied = self._close_bracket(data, copied, position, bracket)
        self._copy(data[copied:])
        self._before = (self._before + data)[-_LONGEST_KEY:]
        cut, self._cut = self._cut, []
        return cut

    def _leave_string(self, data: bytes) -> int:
        """Return where the string ends that the bytes before have begun; 0 where there is none."""
        if not self._in_string or not data:
            return 0
        return self._enter_string(data, 1 if self._after_backslash else 0)

    def _enter_string(self, data: bytes, position: int) -> int:
        """Return the place after the string that goes on at `position`, or note that it does not end here."""
        inside = _INSIDE.match(data, position)
        end = inside.end() if inside else position
        self._in_string = data[end : end + 1] != b'"'
        self._after_backslash = data[end : end + 1] == b"\\"
        return end + 1

    def _open_bracket(self, data: bytes, copied: int, position: int, bracket: int) -> int:
        if self._depth == self._base:
            self._copy(data[copied : position - 1])
            self._begin_element()
            copied = position - 1
        elif self._base is None and self._depth == 1 and bracket == ord("["):
            if _CONVERSATIONS.search((self._before + data[: position - 1])[-_LONGEST_KEY:]):
                self._base, copied = 2, position
        elif self._depth == 0:
            if self._ended:
                raise _not_json("more follows its end")
            copied = position
        self._depth += 1
        self._containers += 1
        if self._depth - (self._base or 0) > MAX_DEPTH:
            self._fault = self._fault or f"It nests deeper than {MAX_DEPTH} levels."
        elif self._containers > MAX_CONTAINERS:
            self._fault = self._fault or f"It has more than {MAX_CONTAINERS} objects and arrays."
        elif not self._fault:
            self._open.append(_CLOSING[bracket])
        return copied

    def _close_bracket(self, data: bytes, copied: int, position: int, bracket: int) -> int:
        if not self._depth or (len(self._open) == self._depth and self._open.pop() != bracket):
            raise _not_json("its brackets do not match")
        self._depth -= 1
        del self._open[self._depth :]
        if self._in_element and self._depth == self._base:
            self._copy(data[copied:position])
            self._end_element()
            copied = position
        elif self._base and self._depth == self._base - 1:
            self._copy(data[copied : position - 1])
            if self._gap:
                raise _not_json("its array has a comma, or something else, too many")
            copied = position
            self._base = None
        if not self._depth:
            self._ended = True
            copied = position
        return copied

    def _copy(self, data: bytes) -> None:
        """Add what stands in an element to it, and look at what stands between elements."""
        if self._in_element:
            room = self._max_element_bytes - len(self._element)
            if len(data) > room:
                self._fault = self._fault or f"It is larger than {self._max_element_bytes} bytes."
            if not self._fault:
                self._element += data
        elif self._base is not None or self._ended:
            self._gap += data.translate(None, _SPACE)
            if self._gap not in (b"", b",") or (self._gap and (self._ended or not self._count)):
                raise _not_json("it has something else where a conversation is expected")

    def _begin_element(self) -> None:
        if self._ended or (self._count and not self._gap):
            raise _not_json("a comma is missing, or more follows its end")
        self._gap = b""
        self._in_element = True
        self._element = bytearray()
        self._containers = 0
        self._fault = None

    def _end_element(self) -> None:
        self._cut.append(Cutting(self._count, bytes(self._element), self._fault))
        self._count += 1
        self._in_element = False
        self._element = bytearray()


def _not_json(why: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"The request body is not valid JSON, or no export: {why}.")
