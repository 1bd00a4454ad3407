"""Which tools a request may offer, and how it may choose among them."""

from collections.abc import Iterable
from typing import Any

from rostra_chat.responses.fields import Fields, shown, unsupported
from rostra_kit.errors import InvalidArgumentError

Tool = dict[str, Any]
ToolChoice = str | dict[str, Any]

_MODES = ("none", "auto", "required")
_CHOICE_TYPES = ("function", "allowed_tools")


def parse_tools(body: Fields) -> tuple[Tool, ...]:
    """Return the functions that the request offers, with all fields that OpenAI's response shows.

    Raises:
        InvalidArgumentError: A tool cannot be, or is one that only OpenAI itself can run.
    """
    return tuple(_parse_tool(tool) for tool in body.each("tools"))


def parse_tool_choice(body: Fields, tools: Iterable[Tool]) -> ToolChoice:
    """Return how the model may choose: `none`, `auto`, `required`, or an object that names functions.

    Raises:
        InvalidArgumentError: The choice cannot be, or names a function that is not among `tools`.
    """
    given = body.values.get("tool_choice")
    if given is None or isinstance(given, str):
        return body.choice("tool_choice", _MODES) or "auto"
    choice = body.nested("tool_choice")
    if choice is None:
        body.refuse_type("tool_choice", "a string or an object")
    names = {tool["name"] for tool in tools}
    choice.required_text("type")
    match choice.text("type"):
        case "function":
            return {"type": "function", "name": _offered(choice, names)}
        case "allowed_tools":
            allowed = [{"type": "function", "name": _offered(tool, names)} for tool in choice.each("tools")]
            mode = choice.choice("mode", ("auto", "required")) or "auto"
            return {"type": "allowed_tools", "mode": mode, "tools": allowed}
        case other:
            message = (
                f"The tool choice '{shown(other or '')}' is not supported. Supported are: {', '.join(_CHOICE_TYPES)}."
            )
            raise unsupported(choice.param("type"), message)


def _parse_tool(tool: Fields) -> Tool:
    kind = tool.required_text("type")
    if kind != "function":
        raise unsupported(
            tool.param("type"), f"Tools of type '{shown(kind)}' are not supported here, only 'function' is."
        )
    parameters = tool.nested("parameters")
    return {
        "type": "function",
        "name": tool.required_text("name", max_length=64),
        "description": tool.text("description"),
        "parameters": None if parameters is None else dict(parameters.values),
        "strict": tool.boolean("strict"),
    }


def _offered(choice: Fields, names: set[str]) -> str:
    """Return the name in `choice`, which must be that of a tool on offer."""
    name = choice.required_text("name")
    if name not in names:
        raise InvalidArgumentError(f"Tool choice '{shown(name)}' not found in 'tools' parameter.", param="tool_choice")
    return name
