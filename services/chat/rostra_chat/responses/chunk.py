"""Reads the chunks of a chat completion, in all the shapes in which OpenAI-compatible servers send them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFragment:
    """A piece of a function's call.

    Attributes:
        index: Which call of the answer it belongs to; `None` where the server does not say.
        call_id: The call's name; only the first piece must have it.
        name: The function's name; only the first piece must have it.
        arguments: A piece of the arguments' JSON.
    """

    index: int | None
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The first choice of a chunk; the only one, for a response never asks for more.

    Attributes:
        values: The choice.
        delta: What it adds to the answer.
    """

    values: Mapping[str, Any]
    delta: Mapping[str, Any]

    @property
    def finish_reason(self) -> str | None:
        """Return why the answer ends here, or `None` where it goes on."""
        return _text(self.values.get("finish_reason")) or None

    @property
    def reasoning(self) -> str:
        """Return a piece of the model's reasoning; servers have two names for it, and some send both."""
        return _text(self.delta.get("reasoning_content")) or _text(self.delta.get("reasoning"))

    @property
    def content(self) -> str:
        """Return a piece of the answer's text."""
        return _text(self.delta.get("content"))

    @property
    def refusal(self) -> str:
        """Return a piece of the words with which the model refuses."""
        return _text(self.delta.get("refusal"))

    def logprobs(self) -> list[dict[str, Any]]:
        """Return the log probabilities of the text's tokens, with all the fields that a response shows."""
        entries = _mapping(self.values.get("logprobs")).get("content") or ()
        return [
            _logprob(entry) | {"top_logprobs": [_logprob(top) for top in entry.get("top_logprobs") or ()]}
            for entry in entries
        ]

    def calls(self) -> Iterator[CallFragment]:
        """Yield the pieces of functions' calls."""
        for call in self.delta.get("tool_calls") or ():
            function = _mapping(call.get("function"))
            arguments = function.get("arguments")
            yield CallFragment(
                index=call.get("index"),
                call_id=_text(call.get("id")),
                name=_text(function.get("name")),
                # Some servers send the whole object in place of its JSON.
                arguments=orjson.dumps(arguments).decode() if isinstance(arguments, dict) else _text(arguments),
            )


def first_choice(chunk: Mapping[str, Any]) -> Choice | None:
    """Return the first choice of a chunk; those that only report usage have none."""
    for choice in chunk.get("choices") or ():
        if not choice.get("index"):
            return Choice(choice, _mapping(choice.get("delta")))
    return None


def _logprob(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"token": entry["token"], "logprob": entry["logprob"], "bytes": entry.get("bytes") or []}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    # JSON's objects are dicts, and to ask whether something is a `Mapping` takes ten times as long.
    return value if isinstance(value, dict) else {}
