"""A reply as OpenAI puts it on the wire: chunks, frames and bodies. Nothing here does I/O."""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from support.provider_reply import Reply
from support.provider_request import ChatRequest

PROMPT_TOKENS = 11
WORDS_BEFORE_FAULT = 3
DONE = b"data: [DONE]\n\n"


def encode(payload: object) -> bytes:
    """Write JSON as OpenAI does: compact, and in UTF-8 rather than escapes."""
    # A lone surrogate has no UTF-8; the backslash form is JSON's own escape for it.
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def frame(payload: object) -> bytes:
    """Return one server-sent event that holds `payload` as JSON."""
    return b"data: " + encode(payload) + b"\n\n"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to one request, said once for each choice that was asked for."""

    request: ChatRequest
    reply: Reply
    reports_usage: bool = True
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    def pieces(self) -> list[bytes]:
        """Return what is sent one after the other: the frames of a stream up to [DONE], or one JSON body."""
        if not self.request.stream:
            return [encode(self.completion())]
        return [*map(frame, self.chunks()), DONE]

    def opening(self) -> bytes:
        """Return the part that a broken answer still delivers: three words of a stream, or half of a body."""
        pieces = self.pieces()
        if not self.request.stream:
            return pieces[0][: len(pieces[0]) // 2]
        return b"".join(pieces[: (1 + WORDS_BEFORE_FAULT) * self.request.choice_count])

    def completion(self) -> dict[str, Any]:
        """Return the body of an answer that is no stream."""
        choices = [
            {
                "index": index,
                "message": self.reply.message(tool_call_id=self._tool_call_id(index)),
                "logprobs": None,
                "finish_reason": self.reply.finish_reason,
            }
            for index in range(self.request.choice_count)
        ]
        usage = {"usage": self.usage()} if self.reports_usage else {}
        return {**self._envelope("chat.completion"), "choices": choices, **usage}

    def chunks(self) -> Iterator[dict[str, Any]]:
        """Yield the chunks of a stream; the choices of one answer take turns."""
        indexes = range(self.request.choice_count)
        speakers = (self.reply.deltas(tool_call_id=self._tool_call_id(index)) for index in indexes)
        for turn in zip(*speakers, strict=True):
            for index, delta in enumerate(turn):
                yield self._chunk(index, delta)
        for index in indexes:
            yield self._chunk(index, {}, finish_reason=self.reply.finish_reason)
        if self._streams_usage:
            yield {**self._envelope("chat.completion.chunk"), "choices": [], "usage": self.usage()}

    def usage(self) -> dict[str, Any]:
        """Count the tokens of the prompt, which are always the same, and of all choices."""
        choices = self.request.choice_count
        completion_tokens = self.reply.completion_tokens * choices
        return {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": completion_tokens,
            "total_tokens": PROMPT_TOKENS + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": len(self.reply.reasoning) * choices},
        }

    @property
    def _streams_usage(self) -> bool:
        return self.request.include_usage and self.reports_usage

    def _chunk(self, index: int, delta: dict[str, Any], *, finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self._streams_usage else {}
        return {**self._envelope("chat.completion.chunk"), "choices": [choice], **usage}

    def _envelope(self, object_name: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.key}",
            "object": object_name,
            "created": self.created,
            "model": self.request.model,
            "service_tier": "default",
            "system_fingerprint": "fp_scripted",
        }

    def _tool_call_id(self, index: int) -> str:
        return f"call_{self.key[:20]}{index:03}"
