"""Requests for models that are JSON of the right types and make no sense all the same."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from support.openai_error import refusal
from support.stack import Account, SharedStack

pytestmark = pytest.mark.e2e

_MOST_SECONDS = 5.0
_CHAT, _RESPONSES = "/v1/chat/completions", "/v1/responses"
_USER = {"role": "user", "content": "Hi"}
_LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}

# What the gateway and chat answer for themselves, with the parameter that is named.
_WRONG_CHATS: dict[str, tuple[dict[str, Any], int, str | None]] = {
    "unknown model": ({"model": "no-such-model"}, 404, "model"),
    "empty model": ({"model": ""}, 400, "model"),
    "long model": ({"model": "x" * 300}, 400, "model"),
    "NUL in model": ({"model": "ec\x00ho"}, 404, "model"),
    "no model": ({"model": None}, 400, "model"),
    "no messages": ({"messages": []}, 400, "messages"),
    "absent messages": ({"messages": None}, 400, "messages"),
    "10,000 messages": ({"messages": [_USER] * 10_000}, 400, "messages"),
    "unknown role": ({"messages": [{"role": "emperor", "content": "Hi"}]}, 400, "messages[0].role"),
    "no role": ({"messages": [_USER, {"content": "Hi"}]}, 400, "messages[1].role"),
    "129 choices": ({"n": 129}, 400, "n"),
    "no choices": ({"n": 0}, 400, "n"),
    "negative tokens": ({"max_tokens": -1}, 400, "max_tokens"),
    "too many tokens": ({"max_tokens": 2**31 - 1}, 400, "messages"),
    "more tokens than a number": ({"max_completion_tokens": 2**31}, 400, "max_completion_tokens"),
    "hot": ({"temperature": 2.1}, 400, "temperature"),
    "cold": ({"temperature": -0.1}, 400, "temperature"),
    "top_p": ({"top_p": 1.1}, 400, "top_p"),
    "200 tools": ({"tools": [_LOOK] * 200}, 400, "tools"),
    "17 pairs": ({"metadata": {f"key-{number}": "x" for number in range(17)}}, 400, "metadata"),
    "long key": ({"metadata": {"k" * 65: "x"}}, 400, f"metadata.{'k' * 65}"),
    "long value": ({"metadata": {"key": "x" * 513}}, 400, "metadata.key"),
    "unknown tool choice": (
        {"tools": [_LOOK], "tool_choice": {"type": "function", "function": {"name": "run"}}},
        400,
        "tool_choice",
    ),
}

_MESSAGE = {"role": "user", "content": "Hi"}
_FUNCTION = {"type": "function", "name": "look", "parameters": {}}
_WRONG_RESPONSES: dict[str, tuple[dict[str, Any], int, str | None]] = {
    "unknown model": ({"model": "no-such-model"}, 404, "model"),
    "10,000 items": ({"input": [_MESSAGE] * 10_000}, 400, "input"),
    "unknown role": ({"input": [{"role": "emperor", "content": "Hi"}]}, 400, "input[0].role"),
    "tool role": ({"input": [_MESSAGE, {"role": "tool", "content": "Hi"}]}, 400, "input[1].role"),
    "unknown item": ({"input": [{"type": "oracle"}]}, 400, "input[0].type"),
    "unknown part": ({"input": [{"role": "user", "content": [{"type": "oracle"}]}]}, 400, "input[0].content[0].type"),
    "call without name": ({"input": [{"type": "function_call", "call_id": "c"}]}, 400, "input[0].name"),
    "output without call": ({"input": [{"type": "function_call_output", "output": "x"}]}, 400, "input[0].call_id"),
    "unknown reference": ({"input": [{"type": "item_reference", "id": "msg_0"}]}, 404, None),
    "unknown previous response": ({"previous_response_id": "resp_0"}, 400, "previous_response_id"),
    "unknown conversation": ({"conversation": "conv_0"}, 404, None),
    "unknown conversation object": ({"conversation": {"id": "conv_0"}}, 404, None),
    "two contexts": ({"conversation": "conv_0", "previous_response_id": "resp_0"}, 400, "previous_response_id"),
    "NUL in an id": ({"previous_response_id": "resp_\x00"}, 400, "previous_response_id"),
    "long id": ({"conversation": "c" * 10_000}, 404, None),
    "unknown format": ({"text": {"format": {"type": "xml"}}}, 400, "text.format.type"),
    "format without schema": ({"text": {"format": {"type": "json_schema", "name": "x"}}}, 400, "text.format.schema"),
    "unknown tool type": ({"tools": [{"type": "web_search"}]}, 400, "tools[0].type"),
    "tool without name": ({"tools": [{"type": "function"}]}, 400, "tools[0].name"),
    "unknown tool choice": ({"tool_choice": {"type": "function", "name": "run"}}, 400, "tool_choice"),
    "odd tool choice": ({"tools": [_FUNCTION], "tool_choice": "perhaps"}, 400, "tool_choice"),
    "hot": ({"temperature": 3}, 400, "temperature"),
    "negative tokens": ({"max_output_tokens": -5}, 400, "max_output_tokens"),
    "too many tokens": ({"max_output_tokens": 2**31 - 1}, 400, "input"),
    "17 pairs": ({"metadata": {f"key-{number}": "x" for number in range(17)}}, 400, "metadata"),
    "long value": ({"metadata": {"key": "x" * 513}}, 400, "metadata.key"),
    "unknown truncation": ({"truncation": "guillotine"}, 400, "truncation"),
}

# What only the provider can judge: whatever it says, Rostra itself must not stumble.
_ODD_CHATS: dict[str, dict[str, Any]] = {
    "number as format": {"response_format": 7},
    "empty format": {"response_format": {}},
    "unknown format": {"response_format": {"type": "xml"}},
    "format without schema": {"response_format": {"type": "json_schema"}},
    "number as schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": 7}}},
    "endless schema": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#"}}}
    },
    "tool message without a call": {"messages": [{"role": "tool", "content": "seen"}]},
    "tool message with a number as call": {"messages": [_USER, {"role": "tool", "tool_call_id": 7, "content": "seen"}]},
    "calls without results": {"messages": [_USER, {"role": "assistant", "tool_calls": [_CALL]}]},
    "number as calls": {"messages": [_USER, {"role": "assistant", "tool_calls": 7}, _USER]},
    "numbers as calls": {"messages": [_USER, {"role": "assistant", "tool_calls": [7]}, _USER]},
    "call without function": {"messages": [_USER, {"role": "assistant", "tool_calls": [{"id": "call_1"}]}, _USER]},
    "number as function": {"messages": [_USER, {"role": "assistant", "tool_calls": [{"function": 7}]}, _USER]},
    "broken arguments": {
        "messages": [_USER, {"role": "assistant", "tool_calls": [_CALL | {"function": {"arguments": "{"}}]}, _USER]
    },
    "tool without function": {"tools": [{"type": "function"}]},
    "number as tool's function": {"tools": [{"type": "function", "function": 7}]},
    "tool without name": {"tools": [{"type": "function", "function": {}}]},
    "number as parameters": {"tools": [{"type": "function", "function": {"name": "look", "parameters": 7}}]},
    "unknown tool type": {"tools": [{"type": "oracle"}]},
    "number as tool choice": {"tools": [_LOOK], "tool_choice": 7},
    "empty tool choice": {"tools": [_LOOK], "tool_choice": {}},
    "choice without tools": {"tool_choice": "required"},
    "no content": {"messages": [{"role": "user"}]},
    "empty content": {"messages": [{"role": "user", "content": []}]},
    "part without type": {"messages": [{"role": "user", "content": [{}]}]},
    "number as text": {"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]},
    "image without address": {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
    "number as image": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": 7}]}]},
    "NUL in content": {"messages": [{"role": "user", "content": "a\x00b"}]},
    "number as name": {"messages": [{"role": "user", "content": "Hi", "name": 7}]},
    "number as stop": {"stop": 7},
    "words as seed": {"seed": "words"},
    "logit bias": {"logit_bias": {"a": "b"}},
    "audio": {"modalities": ["audio"], "audio": 7},
    "functions": {"functions": 7, "function_call": 7},
}


@pytest.fixture
async def http(stack: SharedStack, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.gateway_urls[0], headers=account.key, timeout=30) as http:
        yield http


async def ask(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> httpx.Response:
    """Return the answer, which must come soon."""
    started = time.monotonic()
    answer = await http.post(path, json=body)
    assert time.monotonic() - started < _MOST_SECONDS
    return answer


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_senseless_chat_names_the_parameter(http: httpx.AsyncClient, stream: bool) -> None:
    problems = []
    for name, (change, status, param) in _WRONG_CHATS.items():
        answer = await ask(http, _CHAT, {"model": "echo", "messages": [_USER], "stream": stream} | change)
        if (answer.status_code, refusal(answer)["param"]) != (status, param):
            problems.append(f"{name}: {answer.status_code} {answer.text}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_senseless_response_names_the_parameter(http: httpx.AsyncClient, stream: bool) -> None:
    problems = []
    for name, (change, status, param) in _WRONG_RESPONSES.items():
        answer = await ask(http, _RESPONSES, {"model": "echo", "input": "Hi", "stream": stream} | change)
        if (answer.status_code, refusal(answer)["param"]) != (status, param):
            problems.append(f"{name}: {answer.status_code} {answer.text}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_odd_chat_is_answered_or_refused(http: httpx.AsyncClient, stream: bool) -> None:
    for name, change in _ODD_CHATS.items():
        body = {"model": "echo", "messages": [_USER], "stream": stream} | change
        answer = await ask(http, _CHAT, body)
        assert answer.status_code < 500, f"{name}: {answer.text}"
        if not answer.is_success:
            refusal(answer, 400)
        elif stream:
            assert answer.text.endswith("data: [DONE]\n\n"), f"{name}: {answer.text[-300:]}"


async def test_gateways_are_well_after_all_that(stack: SharedStack) -> None:
    async with httpx.AsyncClient(timeout=5) as http:
        for url in stack.gateway_urls:
            assert (await http.get(f"{url}/readyz")).status_code == 200
