"""What an answer comes to: the provider's own count, or an estimate from what was produced."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rostra_chat.providers.provider import Frame, Usage
from rostra_chat.tokens import estimate_tokens


class Tally:
    """Adds up one answer while it is made.

    Args:
        input_tokens: The estimate of the input, for when the provider does not say.
    """

    def __init__(self, *, input_tokens: int) -> None:
        self._input_tokens = input_tokens
        self._reported: Usage | None = None
        self._texts: list[str] = []

    @property
    def is_estimated(self) -> bool:
        """Tell whether the provider has not said what it used."""
        return self._reported is None

    def add(self, frames: Iterable[Frame]) -> None:
        """Add the chunks of a stream."""
        for frame in frames:
            if (reported := read_usage(frame.data.get("usage"))) is not None:
                self._reported = reported
            for choice in frame.data.get("choices") or ():
                self._texts.extend(_texts(choice.get("delta")))

    def add_completion(self, completion: Mapping[str, Any]) -> None:
        """Add a whole `chat.completion`."""
        self._reported = read_usage(completion.get("usage"))
        for choice in completion["choices"]:
            self._texts.extend(_texts(choice.get("message")))

    def usage(self) -> Usage:
        """Return what was used until now."""
        if self._reported is not None:
            return self._reported
        return Usage(input_tokens=self._input_tokens, output_tokens=estimate_tokens("".join(self._texts)))


def read_usage(usage: object) -> Usage | None:
    """Return what OpenAI's `usage` object counts; None where it is absent or makes no sense."""
    if not isinstance(usage, dict):
        return None
    input_tokens, output_tokens = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if input_tokens is None or output_tokens is None:
        return None
    return Usage(
        input_tokens=input_tokens,
        cached_input_tokens=_count(usage.get("prompt_tokens_details"), "cached_tokens") or 0,
        output_tokens=output_tokens,
        reasoning_tokens=_count(usage.get("completion_tokens_details"), "reasoning_tokens") or 0,
    )


def _count(counts: object, name: str) -> int | None:
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if isinstance(value, int) and value >= 0 else None


def _texts(message: object) -> Iterator[str]:
    """Yield all that a delta or a message says: it is all paid for."""
    if not isinstance(message, dict):
        return
    for key in ("content", "reasoning_content", "reasoning", "refusal"):
        if isinstance(text := message.get(key), str):
            yield text
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            yield from (text for key in ("name", "arguments") if isinstance(text := function.get(key), str))
