"""An answer of `echo` as OpenAI puts one on the wire: chunks and completions."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from rostra_chat.providers.echo.wording import Wording
from rostra_chat.providers.provider import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: the same words for each choice that was asked for.

    Attributes:
        model: The model's public name.
        wording: What is said.
        choices: How many choices there are.
        input_tokens: How many tokens the input counts as.
    """

    model: str
    wording: Wording
    choices: int
    input_tokens: int
    key: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(self) -> dict[str, Any]:
        """Return the whole answer."""
        choices = [
            {
                "index": index,
                "message": self._message(index),
                "logprobs": None,
                "finish_reason": self.wording.finish_reason,
            }
            for index in range(self.choices)
        ]
        return {**self._envelope("chat.completion"), "choices": choices, "usage": self.usage()}

    def turns(self) -> Iterator[list[Frame]]:
        """Yield what is streamed at one time: every choice's next word, then the ends and the usage."""
        indexes = range(self.choices)
        yield [self._chunk(index, self._opening(index)) for index in indexes]
        for word in self.wording.words:
            yield [self._chunk(index, self._delta(word)) for index in indexes]
        ends = [self._chunk(index, {}, finish_reason=self.wording.finish_reason) for index in indexes]
        usage = {**self._envelope("chat.completion.chunk"), "choices": [], "usage": self.usage()}
        yield [*ends, _frame(usage)]

    def usage(self) -> dict[str, Any]:
        """Return OpenAI's usage object."""
        output_tokens = self.wording.tokens * self.choices
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": self.input_tokens + output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }

    def _message(self, index: int) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self.wording.text, "refusal": None}
        if self.wording.tool:
            message["content"] = None
            message["tool_calls"] = [self._tool_call(index, self.wording.text)]
        return message

    def _opening(self, index: int) -> dict[str, Any]:
        if self.wording.tool:
            return {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **self._tool_call(index, "")}]}
        return {"role": "assistant", "content": ""}

    def _delta(self, word: str) -> dict[str, Any]:
        if self.wording.tool:
            return {"tool_calls": [{"index": 0, "function": {"arguments": word}}]}
        return {"content": word}

    def _tool_call(self, index: int, arguments: str) -> dict[str, Any]:
        function = {"name": self.wording.tool, "arguments": arguments}
        return {"id": f"call_{self.key}{index:03}", "type": "function", "function": function}

    def _chunk(self, index: int, delta: dict[str, Any], *, finish_reason: str | None = None) -> Frame:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _frame({**self._envelope("chat.completion.chunk"), "choices": [choice], "usage": None})

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.key}",
            "object": kind,
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_echo",
        }


def _frame(chunk: dict[str, Any]) -> Frame:
    return Frame(data=chunk, raw=b"data: " + orjson.dumps(chunk) + b"\n\n")
