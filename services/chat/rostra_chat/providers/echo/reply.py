"""What `echo` says: the user's own words, a call of the first tool, a tool's result, or JSON to order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from rostra_chat.chat_request import encode_json
from rostra_chat.providers.echo.json_sample import sample
from rostra_kit.errors import InvalidArgumentError

_SELF_PRESENTATION = "This is Rostra's offline model `echo`."


@dataclass(frozen=True, slots=True)
class Reply:
    """What every choice of an answer says.

    Attributes:
        text: The content; for a call of a tool the arguments, as JSON.
        tool: The tool that is called, or None.
    """

    text: str
    tool: str | None = None

    def after(self, said: str) -> Self:
        """Return what is left to say when an answer broke off after `said`."""
        return self if self.tool else replace(self, text=self.text.removeprefix(said))


def reply_to(body: Mapping[str, Any]) -> Reply:
    """Return what there is to say to a chat-completions body.

    Raises:
        InvalidArgumentError: `tool_choice` names a tool that is not there.
    """
    messages = [message for message in _objects(body.get("messages")) if isinstance(message.get("role"), str)]
    results = _results_after_user(messages)
    if not results and (tool := _chosen_tool(body)) is not None:
        arguments = sample(tool.get("parameters", {"type": "object"}))
        return Reply(_json(arguments), tool=str(tool["name"]))
    said = _last_user_text(messages)
    if (document := _document(body, said)) is not None:
        return Reply(_json(document))
    if results:
        return Reply(f"{_SELF_PRESENTATION} The tool answered: {' '.join(results)}")
    return Reply(f"{_SELF_PRESENTATION} You said: {said}" if said else f"{_SELF_PRESENTATION} You said nothing.")


def _results_after_user(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what tools answered since the user last spoke, oldest first."""
    results: list[str] = []
    for message in reversed(messages):
        if message["role"] == "user":
            break
        if message["role"] == "tool":
            results.insert(0, _text(message.get("content")))
    return results


def _last_user_text(messages: Sequence[Mapping[str, Any]]) -> str:
    return next((_text(each.get("content")) for each in reversed(messages) if each["role"] == "user"), "")


def _chosen_tool(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the function to be called, or None where none may be."""
    functions = list(_functions(body.get("tools")))
    choice = body.get("tool_choice")
    if choice == "none" or not functions:
        return None
    names = _named_by(choice)
    if not names:
        return functions[0]
    chosen = next((function for function in functions if function["name"] in names), None)
    if chosen is None:
        raise InvalidArgumentError("The tool that 'tool_choice' names is not in 'tools'.", param="tool_choice")
    return chosen


def _functions(tools: object) -> Iterator[Mapping[str, Any]]:
    for tool in _objects(tools):
        function = tool.get("function")
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            yield function


def _named_by(choice: object) -> set[str]:
    """Return the names among which `tool_choice` leaves the choice; none where it leaves every choice."""
    if not isinstance(choice, Mapping):
        return set()
    allowed = choice.get("allowed_tools")
    named = _functions(allowed.get("tools")) if isinstance(allowed, Mapping) else _functions([choice])
    return {function["name"] for function in named}


def _document(body: Mapping[str, Any], said: str) -> Any:
    """Return the JSON that `response_format` asks for; None where it asks for none."""
    wanted = body.get("response_format")
    if not isinstance(wanted, Mapping):
        return None
    if wanted.get("type") == "json_object":
        return {"model": "echo", "offline": True, "said": said}
    if wanted.get("type") == "json_schema":
        described = wanted.get("json_schema")
        return sample(described.get("schema", {"type": "object"}) if isinstance(described, Mapping) else {})
    return None


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    texts = (part.get("text") for part in _objects(content))
    return " ".join(text for text in texts if isinstance(text, str))


def _objects(values: object) -> list[Mapping[str, Any]]:
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []


def _json(value: object) -> str:
    return encode_json(value).decode()
