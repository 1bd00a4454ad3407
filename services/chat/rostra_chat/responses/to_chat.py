"""Says in the words of a chat completion what a response asks for.

What generic servers understand is preferred to what OpenAI's own newest models would: `system` in the place of
`developer`, one leading system message, plain strings where a message is nothing but text.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from rostra_chat.catalogue import Model
from rostra_chat.providers.provider import Body
from rostra_chat.responses.messages import to_messages
from rostra_chat.responses.request import ResponseRequest
from rostra_chat.responses.store import Item
from rostra_chat.responses.tools import Tool

_SAME_NAME = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "service_tier",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
)


def to_chat(request: ResponseRequest, items: Iterable[Item], *, model: Model) -> Body:
    """Return the body of the chat completion that answers `request`.

    Args:
        request: What the client asked for.
        items: The context and the input, in their normal form, oldest first.
        model: The model to be called.
    """
    body: Body = {"model": model.id, "messages": to_messages(items, instructions=request.instructions)}
    for name in _SAME_NAME:
        if (value := getattr(request, name)) is not None:
            body[name] = value
    if request.max_output_tokens is not None:
        body[length_parameter(model)] = request.max_output_tokens
    if request.reasoning and request.reasoning["effort"] is not None:
        body["reasoning_effort"] = request.reasoning["effort"]
    if request.text.verbosity is not None:
        body["verbosity"] = request.text.verbosity
    if request.text.format["type"] != "text":
        body["response_format"] = _response_format(request.text.format)
    if request.top_logprobs or request.includes_logprobs:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs or 0}
    return body | _tool_parameters(request)


def length_parameter(model: Model) -> str:
    """Return what the limit on the answer's length is called.

    Every server knows `max_tokens`; some pass over `max_completion_tokens` without a word (Ollama does), and an answer
    without a limit costs money. Only OpenAI's reasoning models refuse the old name.
    """
    return "max_completion_tokens" if "reasoning" in model.capabilities else "max_tokens"


def _response_format(form: dict[str, Any]) -> dict[str, Any]:
    if form["type"] != "json_schema":
        return form
    schema = {name: value for name, value in form.items() if name != "type" and value is not None}
    return {"type": "json_schema", "json_schema": schema}


def _tool_parameters(request: ResponseRequest) -> dict[str, Any]:
    """Return all that concerns tools, which is nothing where none is offered: providers refuse a choice of nothing."""
    if not request.tools:
        return {}
    tools, choice = _choose(request)
    parameters: dict[str, Any] = {"tools": [_to_chat_tool(tool) for tool in tools], "tool_choice": choice}
    if request.parallel_tool_calls is not None:
        parameters["parallel_tool_calls"] = request.parallel_tool_calls
    return parameters


def _choose(request: ResponseRequest) -> tuple[Sequence[Tool], str | dict[str, Any]]:
    """Return the tools to offer and the choice among them.

    Servers that know no `allowed_tools` are offered the allowed ones alone, which comes to the same.
    """
    choice = request.tool_choice
    if isinstance(choice, str):
        return request.tools, choice
    if choice["type"] == "function":
        return request.tools, {"type": "function", "function": {"name": choice["name"]}}
    allowed = {tool["name"] for tool in choice["tools"]}
    return [tool for tool in request.tools if tool["name"] in allowed], choice["mode"]


def _to_chat_tool(tool: Tool) -> dict[str, Any]:
    function = {name: value for name, value in tool.items() if name != "type" and value is not None}
    return {"type": "function", "function": function}
