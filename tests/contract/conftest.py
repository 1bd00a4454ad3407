"""Tests of what travels between the product and its clients, and the descriptions it is held against."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from support.stack import Account, SharedStack, account, stack

__all__ = ["account", "stack"]

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FULL = {
    "model": "ok",
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
    "instructions": "Be brief.",
    "max_output_tokens": 500,
    "max_tool_calls": 3,
    "metadata": {"topic": "greeting"},
    "parallel_tool_calls": False,
    "reasoning": {"effort": "low", "summary": "auto"},
    "safety_identifier": "someone",
    "service_tier": "auto",
    "temperature": 0.5,
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}, "verbosity": "low"},
    "tool_choice": {"type": "function", "name": "look"},
    "tools": [{**TOOL, "description": "Looks.", "strict": False}],
    "top_logprobs": 2,
    "top_p": 0.9,
    "truncation": "auto",
}
REQUESTS: dict[str, dict[str, Any]] = {
    "text": {"model": "ok"},
    "echo": {"model": "echo"},
    "tools": {"model": "tool", "tools": [TOOL]},
    "echo-tools": {"model": "echo", "tools": [TOOL], "tool_choice": "required"},
    "refusal": {"model": "refusal"},
    "reasoning": {"model": "reasoning"},
    "length": {"model": "length"},
    "echo-length": {"model": "echo", "max_output_tokens": 3},
    "json": {"model": "json", "text": {"format": {"type": "json_object"}}},
    "schema": {"model": "echo", "text": {"format": {"type": "json_schema", "name": "person", "schema": SCHEMA}}},
    "full": FULL,
    "unknown-fields": {"model": "unknown-fields"},
    "no-usage": {"model": "no-usage"},
    "many-at-once": {"model": "many-fast"},
}

_BESIDE_THE_CHECKOUT = Path(__file__).parents[3] / "shared/data/openresponses-spec.json"


class OpenResponses:
    """The Open Responses specification: what it says of events, responses and items."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._components = document["components"]
        schemas = self._components["schemas"]
        # As published, the schema of a JSON schema may only be null, which cannot be meant.
        schemas["JsonSchemaResponseFormat"]["properties"]["schema"] = {}
        self._event_schemas = {
            schema["properties"]["type"]["enum"][0]: name
            for name, schema in schemas.items()
            if name.endswith("StreamingEvent")
        }

    def check_event(self, event: dict[str, Any]) -> None:
        """Raise ValidationError where `event` is not as it should be, KeyError where there is no such event."""
        self._check(event, self._event_schemas[event["type"]])

    def check_response(self, response: dict[str, Any]) -> None:
        """Raise ValidationError where `response` is not as it should be."""
        self._check(response, "ResponseResource")

    def check_item(self, item: dict[str, Any]) -> None:
        """Raise ValidationError where `item` is not as it should be."""
        self._check(item, "ItemField")

    def _check(self, value: object, schema: str) -> None:
        root = {"$ref": f"#/components/schemas/{schema}", "components": self._components}
        Draft202012Validator(root).validate(value)


@pytest.fixture(scope="session")
def open_responses() -> OpenResponses:
    """Return the specification, or skip the test where it is absent: it is no part of this project."""
    path = Path(os.environ.get("ROSTRA_OPENRESPONSES_SPEC", _BESIDE_THE_CHECKOUT))
    if not path.exists():
        pytest.skip(f"{path.name} is absent: name it by ROSTRA_OPENRESPONSES_SPEC to check against Open Responses")
    return OpenResponses(json.loads(path.read_text()))


@pytest.fixture
async def http(stack: SharedStack, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    """Yield the account's client of a gateway, which shows what is on the wire."""
    async with httpx.AsyncClient(base_url=stack.gateway_urls[0], headers=account.key, timeout=30) as http:
        yield http


@pytest.fixture(params=REQUESTS)
def body(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the body of a request for a response, each of a kind of its own."""
    return {"input": "Hello, world", **REQUESTS[request.param]}
