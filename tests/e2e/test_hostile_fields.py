"""Every field of a known type refuses what is not of that type with a 400 that names it."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from support.stack import Account, SharedStack
from support.wrong_value import bodies_with

pytestmark = pytest.mark.e2e

_MOST_SECONDS = 5.0
_TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
_MESSAGE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}

_CHAT: Mapping[str, Any] = {
    "model": "echo",
    "messages": [{"role": "user", "content": "Hi"}],
    "stream_options": {},
    "tools": [_TOOL],
    "metadata": {},
}
_CHAT_FIELDS = {
    "model": "text",
    "messages": "list",
    "messages[0].role": "text",
    "messages[0].content": "text or list",
    "stream": "flag",
    "stream_options": "object",
    "stream_options.include_usage": "flag",
    "max_tokens": "count",
    "max_completion_tokens": "count",
    "n": "count",
    "temperature": "number",
    "top_p": "number",
    "tools": "list",
    "metadata": "object",
    "metadata.key": "text",
}

_RESPONSE: Mapping[str, Any] = {
    "model": "echo",
    "input": [
        _MESSAGE,
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "seen"},
    ],
    "text": {"format": {"type": "json_schema", "name": "thing", "schema": {}}},
    "tools": [{"type": "function", "name": "look", "parameters": {}}],
    "reasoning": {},
    "metadata": {},
}
_RESPONSE_FIELDS = {
    "model": "text",
    "input": "text or list",
    "input[0].role": "text",
    "input[0].content": "text or list",
    "input[0].content[0].type": "text",
    "input[0].content[0].text": "text",
    "input[1].call_id": "text",
    "input[1].arguments": "text",
    "input[2].output": "text or list",
    "instructions": "text",
    "stream": "flag",
    "store": "flag",
    "background": "flag",
    "previous_response_id": "text",
    "conversation": "text or object",
    "text": "object",
    "text.format": "object",
    "text.format.name": "text",
    "text.format.schema": "object",
    "text.format.strict": "flag",
    "text.verbosity": "text",
    "tools": "list",
    "tools[0].type": "text",
    "tools[0].name": "text",
    "tools[0].parameters": "object",
    "tool_choice": "text or object",
    "parallel_tool_calls": "flag",
    "max_tool_calls": "count",
    "max_output_tokens": "count",
    "temperature": "number",
    "top_p": "number",
    "presence_penalty": "number",
    "frequency_penalty": "number",
    "top_logprobs": "number",
    "include": "texts",
    "reasoning": "object",
    "reasoning.effort": "text",
    "truncation": "text",
    "service_tier": "text",
    "user": "text",
    "safety_identifier": "text",
    "prompt_cache_key": "text",
    "metadata": "object",
    "metadata.key": "text",
}

_CONVERSATION: Mapping[str, Any] = {"items": [_MESSAGE], "metadata": {}}
_CONVERSATION_FIELDS = {
    "items": "list",
    "items[0].type": "text",
    "items[0].role": "text",
    "items[0].status": "text",
    "items[0].content": "text or list",
    "items[0].content[0].type": "text",
    "items[0].content[0].text": "text",
    "metadata": "object",
    "metadata.key": "text",
}
_API_KEY: Mapping[str, Any] = {"limits": {}}
_API_KEY_FIELDS = {
    "name": "text",
    "expires_at": "number",
    "limits": "object",
    "limits.requests_per_minute": "count",
    "limits.tokens_per_minute": "count",
    "limits.concurrent_streams": "count",
}
_ME: Mapping[str, Any] = {}
_ME_FIELDS = {"name": "text", "email": "text", "new_password": "text", "current_password": "text"}
_REGISTRATION: Mapping[str, Any] = {"email": "somebody@example.com", "password": "long enough"}
_REGISTRATION_FIELDS = {"email": "text", "password": "text", "name": "text", "invitation_code": "text"}

_OPERATIONS = {
    "chat completion": ("POST", "/v1/chat/completions", _CHAT, _CHAT_FIELDS),
    "response": ("POST", "/v1/responses", _RESPONSE, _RESPONSE_FIELDS),
    "conversation": ("POST", "/v1/conversations", _CONVERSATION, _CONVERSATION_FIELDS),
    "api key": ("POST", "/v1/api_keys", _API_KEY, _API_KEY_FIELDS),
    "me": ("PATCH", "/v1/me", _ME, _ME_FIELDS),
    "register": ("POST", "/v1/auth/register", _REGISTRATION, _REGISTRATION_FIELDS),
    "login": ("POST", "/v1/auth/login", _REGISTRATION, {"email": "text", "password": "text"}),
    "refresh": ("POST", "/v1/auth/refresh", {}, {"refresh_token": "text"}),
    "logout": ("POST", "/v1/auth/logout", {}, {"refresh_token": "text"}),
}


@pytest.mark.parametrize("name", _OPERATIONS)
async def test_wrong_type_names_the_field(stack: SharedStack, account: Account, name: str) -> None:
    method, path, valid, fields = _OPERATIONS[name]
    await _check(stack, account, method, path, valid, fields)


async def test_wrong_type_in_a_conversation_names_the_field(stack: SharedStack, account: Account) -> None:
    async with httpx.AsyncClient(base_url=stack.gateway_urls[0], headers=account.key) as http:
        path = f"/v1/conversations/{(await http.post('/v1/conversations', json={})).json()['id']}"
    items = {param: kind for param, kind in _CONVERSATION_FIELDS.items() if param.startswith("items")}
    await _check(stack, account, "POST", f"{path}/items", {"items": [_MESSAGE]}, items)
    changes = {"metadata": "object", "metadata.key": "text", "title": "text"}
    changes |= {"archived": "flag", "active_item_id": "text"}
    await _check(stack, account, "POST", path, {"metadata": {}}, changes)


async def _check(
    stack: SharedStack,
    account: Account,
    method: str,
    path: str,
    valid: Mapping[str, Any],
    fields: Mapping[str, str],
) -> None:
    """Send each wrong body and list what was not answered well."""
    problems: list[str] = []
    headers = account.session | {"content-type": "application/json"}
    async with httpx.AsyncClient(base_url=stack.gateway_urls[0], headers=headers, timeout=30) as http:

        async def send(param: str, body: bytes) -> None:
            started = time.monotonic()
            answer = await http.request(method, path, content=body)
            problem = _problem(answer, param, seconds=time.monotonic() - started)
            if problem:
                problems.append(f"{param}: {body[:200]!r}: {problem}")

        for param, kind in fields.items():
            await asyncio.gather(*(send(param, body) for body in bodies_with(valid, param, kind)))
    assert not problems, "\n".join(problems)


def _problem(answer: httpx.Response, param: str, *, seconds: float) -> str | None:
    """Return what is wrong with the answer to a body that is wrong at `param`, or below it."""
    if seconds > _MOST_SECONDS:
        return f"took {seconds:.1f} s"
    if answer.status_code != 400:
        return f"{answer.status_code} {answer.text[:200]}"
    error = answer.json()["error"]
    if set(error) != {"message", "type", "param", "code"} or error["type"] != "invalid_request_error":
        return f"not OpenAI's shape: {error}"
    named = error["param"]
    # A number that JSON cannot hold makes the body broken as a whole.
    broken = named is None and "not valid JSON" in error["message"]
    return None if broken or (named or "").startswith(param) else f"names {named!r}: {error['message']}"
