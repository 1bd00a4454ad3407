"""Builds OpenAI's `response` object, every field of it with the type that strict clients read."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rostra_chat.providers.provider import Usage
from rostra_chat.responses.request import ResponseRequest
from rostra_chat.responses.store import Item

Response = dict[str, Any]

_SERVICE_TIERS = ("auto", "default", "flex", "scale", "priority")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a response ended, in OpenAI's words.

    Attributes:
        status: `completed`, `incomplete`, `failed` or `cancelled`.
        output: The items that came about.
        usage: What was used; `None` where no answer came about.
        incomplete_reason: What cut an incomplete answer: `max_output_tokens` or `content_filter`.
        error: OpenAI's `code` and `message` for a failed one.
        service_tier: What the provider says it was served as.
    """

    status: str
    output: Sequence[Item] = ()
    usage: Usage | None = None
    incomplete_reason: str | None = None
    error: dict[str, str] | None = None
    service_tier: str | None = None


def begun(
    request: ResponseRequest, *, response_id: str, store: bool, previous_response_id: str, conversation_id: str
) -> Response:
    """Return the response object of a run that begins, or waits for a runner.

    What the client left open has OpenAI's default where the field must not be null.
    """
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": None,
        "status": "queued" if request.background else "in_progress",
        "background": request.background,
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "model": request.model,
        "output": [],
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": previous_response_id or None,
        "conversation": {"id": conversation_id} if conversation_id else None,
        "prompt_cache_key": request.prompt_cache_key,
        "prompt_cache_retention": request.prompt_cache_retention,
        "prompt_cache_options": request.prompt_cache_options,
        "reasoning": request.reasoning or {"effort": None, "summary": None},
        "safety_identifier": request.safety_identifier,
        "service_tier": _service_tier(request.service_tier),
        "store": store,
        "temperature": _or_default(request.temperature, 1.0),
        "text": _text_options(request),
        "tool_choice": request.tool_choice,
        "tools": list(request.tools),
        "top_logprobs": request.top_logprobs or 0,
        "top_p": _or_default(request.top_p, 1.0),
        "presence_penalty": _or_default(request.presence_penalty, 0.0),
        "frequency_penalty": _or_default(request.frequency_penalty, 0.0),
        "truncation": request.truncation or "disabled",
        "usage": None,
        "user": request.user,
        "metadata": request.metadata,
    }


def ended(response: Response, ending: Ending) -> Response:
    """Return the object of a run that has ended; `response` is the one that it began with."""
    reason = ending.incomplete_reason
    return response | {
        "status": ending.status,
        "completed_at": int(time.time()) if ending.status == "completed" else None,
        "error": ending.error,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": list(ending.output),
        "usage": usage_object(ending.usage) if ending.usage else None,
        "service_tier": _service_tier(ending.service_tier or response["service_tier"]),
    }


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return OpenAI's `usage` of a response."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_input_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _or_default(value: float | None, default: float) -> float:
    return default if value is None else value


def _service_tier(tier: str | None) -> str:
    """Return a tier that clients know; providers have names of their own."""
    return tier if tier in _SERVICE_TIERS else "default"


def _text_options(request: ResponseRequest) -> dict[str, Any]:
    return {"format": request.text.format, "verbosity": request.text.verbosity or "medium"}
