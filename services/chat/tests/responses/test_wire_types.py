"""Events and bodies, as the official SDK's types and the Open Responses specification read them."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import jsonschema
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from rostra.chat.v1.chat_service_pb2 import ResponseState
from rostra_chat.errors import ProviderUnavailable
from rostra_kit.errors import UnavailableError

REPOSITORY = Path(__file__).parents[4]
SPECIFICATION = Path(
    os.environ.get("ROSTRA_OPENRESPONSES_SPEC", REPOSITORY.parent / "shared/data/openresponses-spec.json")
)

FUNCTION = {"type": "function", "name": "look", "parameters": {"type": "object"}}


def sdk_event_types() -> dict[str, Any]:
    """Return the SDK's class for each type of event."""
    union = get_args(ResponseStreamEvent)[0] if get_origin(ResponseStreamEvent) is Annotated else ResponseStreamEvent
    return {get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(union)}


SDK_EVENT_TYPES = sdk_event_types()


@cache
def specification() -> dict[str, Any]:
    if not SPECIFICATION.exists():
        pytest.skip(f"the Open Responses specification is not here: {SPECIFICATION.name}")
    document = json.loads(SPECIFICATION.read_text())
    # The specification allows no schema but null there, which cannot be meant.
    document["components"]["schemas"]["JsonSchemaResponseFormat"]["properties"]["schema"] = {}
    return document


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": specification()["components"]}
    )


@cache
def event_schemas() -> dict[str, str]:
    """Return the name of the schema of each type of event."""
    return {
        schema["properties"]["type"]["enum"][0]: name
        for name, schema in specification()["components"]["schemas"].items()
        if name.endswith("StreamingEvent")
    }


def text_answer(chunks):
    return chunks.says("Hello ", "there")


def cut_answer(chunks):
    return chunks.says("Hello", finish_reason="length")


def reasoned_answer(chunks):
    return [chunks.one({"reasoning_content": "Hm"}), *chunks.says("Yes")]


def refusing_answer(chunks):
    return [chunks.one({"content": "Well"}), chunks.one({"refusal": "No"}), chunks.one({}, "stop"), chunks.usage()]


def calling_answer(chunks):
    calls = [
        {"index": index, "id": f"call_{index}", "function": {"name": "look", "arguments": "{}"}} for index in (0, 1)
    ]
    return [
        chunks.one({"content": "I look."}),
        chunks.one({"tool_calls": calls}),
        chunks.one({}, "tool_calls"),
        chunks.usage(),
    ]


def scored_answer(chunks):
    scores = {"content": [{"token": "Hi", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
    scored = chunks.one({"content": "Hi"})
    scored["choices"][0]["logprobs"] = scores
    return [scored, chunks.one({}, "stop", service_tier="on_demand"), chunks.usage()]


def broken_answer(chunks):
    return [chunks.one({"content": "Hello"}), ProviderUnavailable("The provider is away.")]


ANSWERS = [
    text_answer,
    cut_answer,
    reasoned_answer,
    refusing_answer,
    calling_answer,
    scored_answer,
    broken_answer,
]

REQUESTS = [
    {},
    {
        "instructions": "Be brief.",
        "temperature": 0,
        "top_p": 1,
        "max_output_tokens": 50,
        "metadata": {"a": "b"},
        "tools": [FUNCTION],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
        "top_logprobs": 1,
        "truncation": "auto",
        "user": "u",
        "state": ResponseState(store=True, conversation_id="conv_1"),
    },
    {
        "tools": [{**FUNCTION, "description": "Looks.", "strict": True}],
        "tool_choice": {"type": "function", "name": "look"},
        "text": {"format": {"type": "json_object"}},
        "service_tier": "auto",
        "state": ResponseState(store=False, previous_response_id="resp_1"),
    },
]


@pytest.mark.parametrize("request_body", REQUESTS, ids=["plain", "full", "forced"])
@pytest.mark.parametrize("answer", ANSWERS)
class TestEveryEvent:
    async def test_parses_with_the_strict_types_of_the_sdk(self, bench, chunks, answer, request_body):
        bench.provider.script = answer(chunks)

        for event in await bench.events(**request_body):
            TypeAdapter(SDK_EVENT_TYPES[event["type"]]).validate_python(event, strict=True)

    async def test_validates_with_open_responses(self, bench, chunks, answer, request_body):
        bench.provider.script = answer(chunks)

        for event in await bench.events(**request_body):
            validator(event_schemas()[event["type"]]).validate(event)


@pytest.mark.parametrize("request_body", REQUESTS, ids=["plain", "full", "forced"])
async def test_body_without_a_stream_is_what_clients_read(bench, request_body):
    body = await bench.create(**request_body)

    TypeAdapter(Response).validate_python(body, strict=True)
    validator("ResponseResource").validate(body)


async def test_stored_input_is_what_clients_read(bench):
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA"}
    await bench.create(
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "Look"}, image]},
            {"role": "assistant", "content": "I look."},
            {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "seen"},
        ]
    )

    (items,) = bench.store.inputs.values()
    for item in items:
        validator("ItemField").validate(item)


async def test_error_event_is_what_clients_read(bench):
    bench.store.failures["finish"] = UnavailableError("History is away.")

    event = (await bench.events())[-1]

    TypeAdapter(SDK_EVENT_TYPES["error"]).validate_python(event, strict=True)
    validator("ErrorStreamingEvent").validate(event)
