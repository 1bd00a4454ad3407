"""What the scripted provider's models say, apart from how it travels."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

from support.provider_request import ChatRequest

GREETING = "The rostra carried every speaker's voice through Rome."


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One choice of a model: every field but the last two holds the pieces that a stream sends one by one."""

    reasoning: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    refusal: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    tool: str | None = None
    finish_reason: str = "stop"

    @property
    def completion_tokens(self) -> int:
        """Count the tokens of this choice: one for each piece, so one for each word of a text."""
        return len(self.reasoning) + len(self.content) + len(self.refusal) + len(self.arguments)

    def after(self, said: str) -> Self:
        """Return what is left of a text that broke off after `said`, a whole number of its words."""
        left = "".join(self.content).removeprefix(said)
        return replace(self, reasoning=(), content=spoken(left)) if said else self

    def deltas(self, *, tool_call_id: str) -> Iterator[dict[str, Any]]:
        """Yield the deltas of a stream, from the one that names the role to the last one that says something."""
        yield {"role": "assistant", "content": None if self.tool else "", "refusal": None}
        for key in ("reasoning", "content", "refusal"):
            wire_key = "reasoning_content" if key == "reasoning" else key
            yield from ({wire_key: piece} for piece in getattr(self, key))
        if self.tool:
            head = {"id": tool_call_id, "type": "function", "function": {"name": self.tool, "arguments": ""}}
            yield {"tool_calls": [{"index": 0, **head}]}
        for fragment in self.arguments:
            yield {"tool_calls": [{"index": 0, "function": {"arguments": fragment}}]}

    def message(self, *, tool_call_id: str) -> dict[str, Any]:
        """Return the whole message, as an answer that is no stream holds it."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self.content) if self.content else None,
            "refusal": "".join(self.refusal) or None,
        }
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.tool:
            function = {"name": self.tool, "arguments": "".join(self.arguments)}
            message["tool_calls"] = [{"id": tool_call_id, "type": "function", "function": function}]
        return message


def spoken(text: str) -> tuple[str, ...]:
    """Split a text into its words, each with the white space that follows it, so that joined they are the text."""
    return tuple(re.findall(r"\S+\s*|\s+", text))


def numbered_text(word_count: int) -> str:
    """Return a text of distinct words, in which a gap or a repeat shows: `word-1 word-2 …`."""
    return " ".join(f"word-{number}" for number in range(1, word_count + 1))


def call_first_tool(request: ChatRequest) -> Reply:
    """Call the first tool that is offered, and once its result is there answer with that."""
    result = request.tool_result
    if result is not None:
        return Reply(content=spoken(result))
    if not request.tool_names:
        return Reply(content=spoken(GREETING))
    fragments = ('{"', "city", '":"', "Paris", '"}')
    return Reply(tool=request.tool_names[0], arguments=fragments, finish_reason="tool_calls")


def json_object() -> Reply:
    """Answer with a JSON object."""
    return Reply(content=spoken(json.dumps({"city": "Paris", "river": "Seine", "bridges": 37})))
