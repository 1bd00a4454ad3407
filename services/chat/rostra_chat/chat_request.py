"""What chat must know of a chat-completions body: how many tokens it brings, and how many it may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_chat.catalogue import Model
from rostra_chat.errors import ContextLengthExceeded
from rostra_chat.providers.provider import Body
from rostra_chat.tokens import estimate_request_tokens
from rostra_kit.errors import InvalidArgumentError

# The estimate of tokens leans to too much. What may fit is left to the provider, which can count.
_CERTAIN_SHARE = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a request can come to.

    Attributes:
        input_tokens: The estimate of the input.
        max_output_tokens: The most that the answer can have, all choices together.
    """

    input_tokens: int
    max_output_tokens: int


def parse_body(body: bytes) -> Body:
    """Return the body's JSON object.

    Raises:
        InvalidArgumentError: It is none.
    """
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidArgumentError("The body is not valid JSON.") from error
    if not isinstance(parsed, dict):
        raise InvalidArgumentError("The body must be a JSON object.", reason=ErrorReason.ERROR_REASON_INVALID_TYPE)
    return parsed


def messages_of(body: Mapping[str, Any]) -> list[Any]:
    """Return the body's messages.

    Raises:
        InvalidArgumentError: There is no list of them.
    """
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise InvalidArgumentError(
            "Invalid type for 'messages': expected an array.",
            reason=ErrorReason.ERROR_REASON_INVALID_TYPE,
            param="messages",
        )
    return messages


def metadata_of(body: Mapping[str, Any]) -> dict[str, str]:
    """Return the body's metadata, none by default.

    Raises:
        InvalidArgumentError: They are not pairs of strings.
    """
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise InvalidArgumentError(
            "Invalid type for 'metadata': expected an object of strings.",
            reason=ErrorReason.ERROR_REASON_INVALID_TYPE,
            param="metadata",
        )
    return metadata


def encode_json(value: object) -> bytes:
    """Return what came out of a client's JSON as JSON again.

    Raises:
        InvalidArgumentError: It is nested deeper than can be written.
    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise InvalidArgumentError("The body is nested too deeply.") from error


def measure(model: Model, body: Mapping[str, Any], *, default_max_output_tokens: int) -> Demand:
    """Return what the request can come to with `model`.

    Args:
        model: The model that is asked.
        body: The chat-completions body.
        default_max_output_tokens: What counts for an answer that nothing else bounds.

    Raises:
        InvalidArgumentError: A number in the body is none, or is negative.
        ContextLengthExceeded: It certainly does not fit the model's context window.
    """
    choices = natural(body, "n", least=1) or 1
    # Both are passed on, and servers differ in which one they heed.
    bounds = [natural(body, "max_completion_tokens"), natural(body, "max_tokens")]
    requested = max((bound for bound in bounds if bound is not None), default=None)
    input_tokens = estimate_request_tokens(body)
    _check_window(model, input_tokens, requested or 0)
    if requested is None:
        most = min(default_max_output_tokens, model.max_output_tokens or default_max_output_tokens)
    else:
        most = min(requested, model.max_output_tokens or requested)
    return Demand(input_tokens=input_tokens, max_output_tokens=most * choices)


def natural(body: Mapping[str, Any], name: str, *, least: int = 0) -> int | None:
    """Return the body's number `name`; None where it has none.

    Raises:
        InvalidArgumentError: It is no whole number, or less than `least`.
    """
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidArgumentError(
            f"Invalid type for '{name}': expected an integer.",
            reason=ErrorReason.ERROR_REASON_INVALID_TYPE,
            param=name,
        )
    if value < least:
        raise InvalidArgumentError(f"Invalid value for '{name}': must be at least {least}.", param=name)
    return value


def _check_window(model: Model, input_tokens: int, requested: int) -> None:
    if not model.context_window or input_tokens * _CERTAIN_SHARE + requested <= model.context_window:
        return
    raise ContextLengthExceeded(
        f"This model's maximum context length is {model.context_window} tokens. However, you requested about "
        f"{input_tokens + requested} tokens ({input_tokens} in the messages, {requested} in the completion). "
        "Please reduce the length of the messages or completion.",
        param="messages",
    )
