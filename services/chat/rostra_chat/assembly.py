"""A chat completion put together from the chunks of its stream: what the same call would have answered unstreamed."""

from collections.abc import Mapping
from typing import Any

# What a stream sends with each chunk and an answer does not have.
_OF_CHUNKS = frozenset({"choices", "object", "obfuscation"})
_OF_CHOICES = frozenset({"index", "delta", "logprobs"})
# These come whole, with the first piece or with each; every other text comes in pieces.
_NAMES = frozenset({"id", "type", "role", "name"})
# With one of these, a message has no content unless there is some.
_IN_PLACE_OF_CONTENT = ("refusal", "tool_calls", "function_call", "audio")


class Assembly:
    """Puts one answer together while it is streamed."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Add a chunk, in any of the shapes in which servers send them."""
        told = {name: value for name, value in chunk.items() if value is not None and name not in _OF_CHUNKS}
        self._fields.update(told)
        for choice in chunk.get("choices") or ():
            index = choice.get("index")
            key = index if isinstance(index, int) else 0
            self._choices.setdefault(key, _Choice()).add(choice)

    def completion(self) -> dict[str, Any]:
        """Return the `chat.completion`."""
        choices = [{"index": index, **self._choices[index].whole()} for index in sorted(self._choices)]
        return self._fields | {"object": "chat.completion", "choices": choices}


class _Choice:
    """One choice of the answer."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {"finish_reason": None}
        self._message = _Object()
        self._logprobs = _Object()

    def add(self, choice: Mapping[str, Any]) -> None:
        told = {name: value for name, value in choice.items() if value is not None and name not in _OF_CHOICES}
        self._fields.update(told)
        self._message.add(choice.get("delta"))
        self._logprobs.add(choice.get("logprobs"))

    def whole(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": None, "refusal": None} | self._message.whole()
        message["refusal"] = message["refusal"] or None
        if not message["content"] and any(message.get(name) for name in _IN_PLACE_OF_CONTENT):
            message["content"] = None
        return self._fields | {"message": message, "logprobs": self._logprobs.whole() or None}


class _Object:
    """A JSON object that comes in pieces: texts grow, lists are continued, objects are filled, the rest is replaced."""

    def __init__(self) -> None:
        self._members: dict[str, Any] = {}

    def add(self, piece: object) -> None:
        for name, value in piece.items() if isinstance(piece, Mapping) else ():
            self._members[name] = _grown(self._members.get(name), value, name=name)

    def whole(self) -> dict[str, Any]:
        return {name: _whole(member) for name, member in self._members.items()}


class _Text:
    """A text that comes in pieces."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, piece: str) -> None:
        self._pieces.append(piece)

    def whole(self) -> str:
        return "".join(self._pieces)


class _Calls:
    """The calls of tools, each of which comes in pieces."""

    def __init__(self) -> None:
        self._calls: dict[int, _Object] = {}
        self._last = -1
        self._last_id: object = None

    def add(self, pieces: list[Any]) -> None:
        for piece in pieces:
            if isinstance(piece, Mapping):
                self._turn_to(piece)
                told = {name: value for name, value in piece.items() if name != "index"}
                self._calls.setdefault(self._last, _Object()).add(told)

    def whole(self) -> list[dict[str, Any]]:
        return [{"type": "function"} | self._calls[index].whole() for index in sorted(self._calls)]

    def _turn_to(self, piece: Mapping[str, Any]) -> None:
        """Note which call the piece belongs to; where a server does not say, another name begins another call."""
        index, call_id = piece.get("index"), piece.get("id") or self._last_id
        if isinstance(index, int):
            self._last = index
        elif call_id != self._last_id or self._last < 0:
            self._last += 1
        self._last_id = call_id


def _grown(member: Any, piece: Any, *, name: str) -> Any:
    """Return the member `name` of an object as it is with the next piece of it."""
    if piece is None or (name in _NAMES and member):
        return member
    if name in _NAMES or not isinstance(piece, (str, list, Mapping)):
        return piece
    if isinstance(piece, list) and name != "tool_calls":
        listed = member if isinstance(member, list) else []
        listed.extend(piece)
        return listed
    kind = _kind(piece)
    growing: Any = member if isinstance(member, kind) else kind()
    growing.add(piece)
    return growing


def _kind(piece: str | list[Any] | Mapping[str, Any]) -> type["_Text | _Calls | _Object"]:
    if isinstance(piece, str):
        return _Text
    return _Calls if isinstance(piece, list) else _Object


def _whole(member: Any) -> Any:
    return member.whole() if isinstance(member, (_Text, _Calls, _Object)) else member
