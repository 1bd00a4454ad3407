"""What the scripted provider reads out of a chat completion's body, and what it refuses there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from support.provider_failure import Failure, RejectedError, bad_parameter


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """The parts of a chat completion's body that a script decides on."""

    model: str
    messages: tuple[Mapping[str, Any], ...]
    tool_names: tuple[str, ...]
    choice_count: int
    stream: bool
    include_usage: bool

    @classmethod
    def parse(cls, body: object) -> Self:
        """Read a JSON body, and raise `RejectedError` where OpenAI would answer 400."""
        if not isinstance(body, dict):
            raise RejectedError(Failure(status=400, message="We could not parse the JSON body of your request."))
        stream = bool(body.get("stream"))
        stream_options = body.get("stream_options")
        if stream_options is not None and not stream:
            raise bad_parameter("stream_options", "'stream_options' is only allowed when 'stream' is enabled.")
        return cls(
            model=_model(body),
            messages=_messages(body),
            tool_names=tuple(tool["function"]["name"] for tool in body.get("tools") or () if "function" in tool),
            choice_count=_choice_count(body),
            stream=stream,
            include_usage=bool((stream_options or {}).get("include_usage")),
        )

    @property
    def tool_result(self) -> str | None:
        """Return the text of the last message where that is a tool's result."""
        last = self.messages[-1]
        if last.get("role") != "tool":
            return None
        content = last.get("content") or ""
        return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)

    @property
    def broken_off(self) -> str:
        """Return the answer that the user asks to be continued, the last but one message; empty where there is none."""
        if len(self.messages) < 3 or self.messages[-1].get("role") != "user":
            return ""
        request, said = self.messages[-1].get("content"), self.messages[-2]
        if said.get("role") != "assistant" or not isinstance(request, str) or "cut off" not in request:
            return ""
        return str(said.get("content") or "")


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise bad_parameter("model", "You must provide a model parameter.")
    return model


def _messages(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise bad_parameter("messages", "'messages' must be a list of at least one message.")
    return tuple(messages)


def _choice_count(body: Mapping[str, Any]) -> int:
    count = body.get("n")
    if count is None:
        return 1
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 128:
        raise bad_parameter("n", "'n' must be an integer between 1 and 128.")
    return count
