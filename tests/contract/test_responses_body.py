"""What `/v1/responses` answers whole is what OpenAI's types and the Open Responses specification describe."""

import json
from typing import Any

import httpx
import pytest
from openai.types.responses import Response, ResponseCompactionItem, ResponseItem, ResponseUsage
from pydantic import TypeAdapter

from rostra_kit.compaction import seal_summary

pytestmark = pytest.mark.e2e

SDK_RESPONSE = TypeAdapter(Response)
SDK_ITEM: TypeAdapter[Any] = TypeAdapter(ResponseItem)
SDK_COMPACTION_ITEM = TypeAdapter(ResponseCompactionItem)
SDK_USAGE = TypeAdapter(ResponseUsage)

ITEMS: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {
        "type": "message",
        "role": "user",
        "content": [
            {"type": "input_text", "text": "Look"},
            {"type": "input_image", "image_url": "data:image/png;base64,AA"},
        ],
    },
    {"role": "assistant", "content": "I look."},
    {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_1", "output": "seen"},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "I saw."}]},
    {"type": "compaction", "encrypted_content": seal_summary("Much was seen.")},
]


async def created(http: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await http.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.json()
    return response


async def got(http: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def without_identity(response: dict[str, Any]) -> dict[str, Any]:
    """Return a response without what differs from one making of it to the next."""
    changing = {"id", "call_id", "created_at", "completed_at"}
    kept: dict[str, Any] = json.loads(
        json.dumps(response),
        object_hook=lambda found: {name: value for name, value in found.items() if name not in changing},
    )
    return kept


async def test_answer_parses_with_the_strict_types_of_the_sdk(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    SDK_RESPONSE.validate_python(await created(http, body), strict=True)


async def test_answer_validates_with_open_responses(
    http: httpx.AsyncClient, body: dict[str, Any], open_responses: Any
) -> None:
    open_responses.check_response(await created(http, body))


async def test_stored_response_equals_the_answer(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    response = await created(http, body)
    assert await got(http, f"/v1/responses/{response['id']}") == response


async def test_answer_equals_the_end_of_a_stream(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    response = await created(http, body)
    stream = await http.post("/v1/responses", json={**body, "stream": True})
    last = json.loads(stream.text.rstrip().rpartition("data: ")[2])["response"]
    assert without_identity(last) == without_identity(response)


async def test_parameters_come_back_as_they_were_sent(http: httpx.AsyncClient) -> None:
    sent = {
        "instructions": "Be brief.",
        "max_output_tokens": 500,
        "metadata": {"topic": "greeting"},
        "parallel_tool_calls": False,
        "temperature": 0.0,
        "top_p": 0.5,
        "truncation": "auto",
    }
    response = await created(http, {"model": "ok", "input": "Hello", **sent})
    assert {name: response[name] for name in sent} == sent


async def test_items_parse_with_the_strict_types_of_the_sdk(http: httpx.AsyncClient) -> None:
    for item in await listed_items(http):
        SDK_ITEM.validate_python(item, strict=True)


async def test_items_validate_with_open_responses(http: httpx.AsyncClient, open_responses: Any) -> None:
    for item in await listed_items(http):
        if item["type"] != "compaction":  # which Open Responses does not have
            open_responses.check_item(item)


async def test_compaction_parses_with_the_strict_types_of_the_sdk(http: httpx.AsyncClient, open_responses: Any) -> None:
    answer = await http.post("/v1/responses/compact", json={"model": "ok", "input": ITEMS})
    assert answer.status_code == 200, answer.text
    compaction = answer.json()
    assert set(compaction) == {"id", "object", "created_at", "output", "usage"}
    assert compaction["object"] == "response.compaction"
    assert isinstance(compaction["created_at"], int)
    *messages, item = compaction["output"]
    SDK_COMPACTION_ITEM.validate_python(item, strict=True)
    SDK_USAGE.validate_python(compaction["usage"], strict=True)
    for message in messages:
        SDK_ITEM.validate_python(message, strict=True)
        open_responses.check_item(message)


async def test_count_is_exactly_what_openai_describes(http: httpx.AsyncClient) -> None:
    counted = (await http.post("/v1/responses/input_tokens", json={"input": ITEMS})).json()
    assert set(counted) == {"object", "input_tokens"}
    assert counted["object"] == "response.input_tokens"
    assert isinstance(counted["input_tokens"], int)


async def listed_items(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Return items of every kind, as a response's input and as what a conversation holds."""
    response = await created(http, {"model": "ok", "input": ITEMS})
    given = await got(http, f"/v1/responses/{response['id']}/input_items?order=asc")
    conversation = (await http.post("/v1/conversations", json={"items": ITEMS})).json()
    await created(http, {"model": "reasoning", "input": "Hello", "conversation": conversation["id"]})
    held = await got(http, f"/v1/conversations/{conversation['id']}/items?order=asc")
    assert len(given["data"]) == len(ITEMS)
    assert len(held["data"]) == len(ITEMS) + len(["the input", "the reasoning", "the answer"])
    return [*given["data"], *held["data"]]
