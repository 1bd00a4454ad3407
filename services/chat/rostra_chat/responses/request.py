"""What the engine reads from the body of `POST /v1/responses`, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from rostra_chat.responses.fields import Fields, unsupported
from rostra_chat.responses.input_items import parse_input
from rostra_chat.responses.store import Item
from rostra_chat.responses.tools import Tool, ToolChoice, parse_tool_choice, parse_tools
from rostra_kit.errors import InvalidArgumentError

_MAX_METADATA_PAIRS = 16
_MAX_METADATA_KEY_LENGTH = 64
_MAX_METADATA_VALUE_LENGTH = 512
_MAX_TOP_LOGPROBS = 20
_MAX_TOKENS = 2**31 - 1
_CACHE_RETENTIONS = ("in_memory", "24h")
# All but the log probabilities concern what is stored and answered anyway, or tools that only OpenAI runs.
_INCLUDABLE = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
)
_UNSUPPORTED = {
    "prompt": "Stored prompts are not supported: give `instructions` and `input`.",
    "context_management": "Contexts are not made shorter by themselves here: call `/v1/responses/compact`.",
    "moderation": "Moderation is not supported here.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions:
    """How the model is to write.

    Attributes:
        format: OpenAI's `text.format`, with all the fields that its response shows.
        verbosity: How much the model is to say: `low`, `medium` or `high`.
    """

    format: dict[str, Any]
    verbosity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRequest:
    """A request for a response; `None` is what the client left to the model or its provider."""

    model: str
    input: tuple[Item, ...]
    instructions: str | None
    text: TextOptions
    tools: tuple[Tool, ...]
    tool_choice: ToolChoice
    parallel_tool_calls: bool | None
    max_tool_calls: int | None
    max_output_tokens: int | None
    temperature: float | None
    top_p: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    top_logprobs: int | None
    includes_logprobs: bool
    reasoning: dict[str, Any] | None
    truncation: str | None
    background: bool
    service_tier: str | None
    metadata: dict[str, str]
    user: str | None
    safety_identifier: str | None
    prompt_cache_key: str | None
    prompt_cache_retention: str | None
    prompt_cache_options: dict[str, Any] | None

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Read a body; a parameter that this class does not know is passed over.

        Raises:
            InvalidArgumentError: A value cannot be, or is not supported; `param` names it.
        """
        body = Fields(values)
        _refuse_unsupported(body)
        tools = parse_tools(body)
        reasoning = body.nested("reasoning")
        return cls(
            model=body.required_text("model"),
            input=parse_input(body),
            instructions=body.text("instructions"),
            text=_parse_text(body),
            tools=tools,
            tool_choice=parse_tool_choice(body, tools),
            parallel_tool_calls=body.boolean("parallel_tool_calls"),
            max_tool_calls=body.integer("max_tool_calls", minimum=1, maximum=_MAX_TOKENS),
            max_output_tokens=body.integer("max_output_tokens", minimum=1, maximum=_MAX_TOKENS),
            temperature=body.number("temperature", minimum=0, maximum=2),
            top_p=body.number("top_p", minimum=0, maximum=1),
            presence_penalty=body.number("presence_penalty", minimum=-2, maximum=2),
            frequency_penalty=body.number("frequency_penalty", minimum=-2, maximum=2),
            top_logprobs=body.integer("top_logprobs", minimum=0, maximum=_MAX_TOP_LOGPROBS),
            includes_logprobs="message.output_text.logprobs" in _parse_include(body),
            reasoning=None if reasoning is None else _parse_reasoning(reasoning),
            truncation=body.choice("truncation", ("auto", "disabled")),
            background=body.boolean("background") or False,
            service_tier=body.text("service_tier"),
            metadata=_parse_metadata(body),
            user=body.text("user"),
            safety_identifier=body.text("safety_identifier"),
            prompt_cache_key=body.text("prompt_cache_key"),
            prompt_cache_retention=body.choice("prompt_cache_retention", _CACHE_RETENTIONS),
            prompt_cache_options=body.object("prompt_cache_options"),
        )


def _refuse_unsupported(body: Fields) -> None:
    for name, message in _UNSUPPORTED.items():
        if body.values.get(name) is not None:
            raise unsupported(name, message)
    if body.values.get("previous_response_id") is not None and body.values.get("conversation") is not None:
        message = "Give either 'previous_response_id' or 'conversation', not both."
        raise InvalidArgumentError(message, param="previous_response_id")


def _parse_include(body: Fields) -> tuple[str, ...]:
    include = body.texts("include")
    for position, name in enumerate(include):
        if name not in _INCLUDABLE:
            Fields({f"include[{position}]": name}).refuse_choice(f"include[{position}]", _INCLUDABLE)
    return include


def _parse_text(body: Fields) -> TextOptions:
    text = body.nested("text") or Fields({}, "text")
    form = text.nested("format")
    verbosity = text.choice("verbosity", ("low", "medium", "high"))
    return TextOptions(format={"type": "text"} if form is None else _parse_format(form), verbosity=verbosity)


def _parse_format(form: Fields) -> dict[str, Any]:
    form.required_text("type")
    kind = form.choice("type", ("text", "json_object", "json_schema"))
    if kind != "json_schema":
        return {"type": kind}
    form.value("schema")
    schema = form.nested("schema")
    return {
        "type": kind,
        "name": form.required_text("name", max_length=64),
        "description": form.text("description"),
        "schema": {} if schema is None else dict(schema.values),
        "strict": form.boolean("strict") or False,
    }


def _parse_reasoning(reasoning: Fields) -> dict[str, Any]:
    """Return OpenAI's `reasoning`; which efforts there are is left to the provider, for their number grows."""
    return {
        "effort": reasoning.text("effort"),
        "summary": reasoning.choice("summary", ("auto", "concise", "detailed"))
        or reasoning.choice("generate_summary", ("auto", "concise", "detailed")),
    }


def _parse_metadata(body: Fields) -> dict[str, str]:
    metadata = body.nested("metadata")
    if metadata is None:
        return {}
    if len(metadata.values) > _MAX_METADATA_PAIRS:
        message = f"Invalid 'metadata': too many properties. Expected at most {_MAX_METADATA_PAIRS}."
        raise InvalidArgumentError(message, param="metadata")
    for key in metadata.values:
        if len(key) > _MAX_METADATA_KEY_LENGTH:
            message = f"Invalid 'metadata': a key is longer than {_MAX_METADATA_KEY_LENGTH} characters."
            raise InvalidArgumentError(message, param="metadata")
    return {key: _metadata_value(metadata, key) for key in metadata.values}


def _metadata_value(metadata: Fields, key: str) -> str:
    text = metadata.text(key, max_length=_MAX_METADATA_VALUE_LENGTH)
    if text is None:
        metadata.refuse_type(key, "a string")
    return text
