"""Bodies that no client of good will sends: broken, deep, huge, of another type. Each gets a 4xx soon."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from support.openai_error import refusal
from support.stack import Account, SharedStack

pytestmark = pytest.mark.e2e

_MOST_SECONDS = 5.0
_USER = {"role": "user", "content": "Hi"}
_BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/chat/completions"): {"model": "echo", "messages": [_USER]},
    ("POST", "/v1/responses"): {"model": "echo", "input": "Hi"},
    ("POST", "/v1/conversations"): {"metadata": {}},
    ("POST", "/v1/conversations/{conversation_id}"): {"title": "Rome"},
    ("POST", "/v1/conversations/{conversation_id}/items"): {"items": [_USER]},
    ("POST", "/v1/api_keys"): {"name": "a key"},
    ("PATCH", "/v1/me"): {"name": "Cicero"},
    ("POST", "/v1/auth/register"): {"email": "somebody@example.com", "password": "long enough"},
    ("POST", "/v1/auth/login"): {"email": "somebody@example.com", "password": "long enough"},
    ("POST", "/v1/auth/refresh"): {"refresh_token": "none"},
    ("POST", "/v1/auth/logout"): {"refresh_token": "none"},
}
_NO_BODY_NEEDED = {"/v1/conversations", "/v1/api_keys", "/v1/auth/logout", "/v1/me"}

_BROKEN = {
    "open": b"{",
    "comma": b'{"model": "echo",}',
    "words": b"not JSON at all",
    "two": b"{} {}",
    "single quotes": b"{'model': 'echo'}",
    "not UTF-8": b'{"model": "\xff\xfe"}',
    "UTF-16": '{"model": "echo"}'.encode("utf-16"),
    "NUL": b'{"model": "ec\x00ho"}',
    "only NUL": b"\x00" * 64,
    "surrogate": rb'{"model": "\ud800"}',
    "surrogate bytes": b'{"model": "\xed\xa0\x80"}',
    "NaN": b'{"model": NaN}',
    "infinity": b'{"model": -Infinity}',
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"model":' * 100_000 + b"1" + b"}" * 100_000,
    "open arrays": b"[" * 1_000_000,
}
_NO_OBJECT = {"array": b'[{"model": "echo"}]', "text": b'"model"', "number": b"7", "null": b"null", "true": b"true"}
_FOREIGN_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "garbage", "/")


@pytest.fixture
async def http(stack: SharedStack, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    headers = account.session | {"content-type": "application/json"}
    async with httpx.AsyncClient(base_url=stack.gateway_urls[1], headers=headers, timeout=30) as http:
        yield http


@pytest.fixture(params=_BODIES, ids=" ".join)
async def operation(request: pytest.FixtureRequest, http: httpx.AsyncClient) -> tuple[str, str]:
    method, path = request.param
    if "{" in path:
        conversation_id = (await http.post("/v1/conversations", json={})).json()["id"]
        path = path.format(conversation_id=conversation_id)
    return method, path


async def send(http: httpx.AsyncClient, operation: tuple[str, str], body: Any, **headers: str) -> httpx.Response:
    """Return the answer, which must come soon."""
    started = time.monotonic()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await http.request(*operation, content=body, headers=headers)
    assert time.monotonic() - started < _MOST_SECONDS
    return answer


async def test_what_is_no_json_object_is_refused(http: httpx.AsyncClient, operation: tuple[str, str]) -> None:
    bodies = [*_BROKEN.values(), *_NO_OBJECT.values()]
    answers = await asyncio.gather(*(send(http, operation, body) for body in bodies))
    for name, answer in zip([*_BROKEN, *_NO_OBJECT], answers, strict=True):
        error = refusal(answer, 400, 413)
        assert error["type"] == "invalid_request_error", name
        # What is read for an account need not be large, and then nobody looks at what it is.
        assert "JSON" in error["message"] or answer.status_code == 413, name


async def test_foreign_content_type_is_refused(http: httpx.AsyncClient, operation: tuple[str, str]) -> None:
    for content_type in _FOREIGN_TYPES:
        answer = await send(http, operation, b"model=echo", content_type=content_type)
        assert "Content-Type: application/json" in refusal(answer, 400, 415)["message"]


async def test_empty_body_misses_what_is_required(http: httpx.AsyncClient, operation: tuple[str, str]) -> None:
    answer = await send(http, operation, b"")
    path = operation[1]
    if path in _NO_BODY_NEEDED or (path.startswith("/v1/conversations/") and not path.endswith("/items")):
        assert answer.status_code in (200, 201, 204)
    else:
        error = refusal(answer, 400)
        assert error["code"] == "missing_required_parameter"
        assert error["param"] in ("model", "items", "email", "refresh_token")


async def test_body_of_eleven_megabytes_is_too_large(http: httpx.AsyncClient, operation: tuple[str, str]) -> None:
    body = json.dumps({"model": "x" * 11_000_000}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 64_000):
            yield body[start : start + 64_000]

    for sent in (body, chunks()):
        error = refusal(await send(http, operation, sent), 413)
        assert error["code"] == "request_too_large"
        assert "The request body is larger than " in error["message"]


def odd_texts() -> Iterator[str]:
    """Yield texts that are valid JSON and odd all the same."""
    yield from (
        "\x00",
        "a\x00b",
        "\x7f\x1b[2J",
        "\u202e\u2066\ufeff",
        "\U0001d4e1\U0010ffff",
        "\r\n\r\nHTTP/1.1 200 OK",
        "x" * 100_000,
    )


async def test_odd_texts_are_stored_or_refused(http: httpx.AsyncClient, operation: tuple[str, str]) -> None:
    template = _template(operation[1])
    for field in template:
        for text in odd_texts():
            answer = await send(http, operation, json.dumps(template | {field: text}))
            assert answer.status_code < 500, f"{field}={text[:20]!r}: {answer.text}"
            if not answer.is_success:
                refusal(answer)


async def test_last_of_duplicate_keys_counts_everywhere(http: httpx.AsyncClient) -> None:
    body = (
        b'{"model": "no-such-model", "model": "echo", "messages": [], "messages": [{"role": "user", "content": "Hi"}]}'
    )
    assert (await send(http, ("POST", "/v1/chat/completions"), body)).status_code == 200
    body = b'{"model": "echo", "model": "no-such-model", "messages": [{"role": "user", "content": "Hi"}]}'
    assert refusal(await send(http, ("POST", "/v1/chat/completions"), body), 404)["param"] == "model"


@pytest.mark.parametrize("depth", [500, 1_000, 5_000, 100_000])
async def test_deep_nesting_is_answered_soon(http: httpx.AsyncClient, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    bodies = {
        "/v1/chat/completions": (
            '{"model": "echo", "messages": [{"role": "user", "content": %s}]}',
            "messages[0].content",
        ),
        "/v1/responses": ('{"model": "echo", "input": [{"role": "user", "content": %s}]}', "input[0].content"),
        "/v1/conversations": ('{"metadata": {"key": %s}}', "metadata.key"),
        "/v1/api_keys": ('{"limits": %s}', "limits"),
    }
    for path, (body, param) in bodies.items():
        answer = await send(http, ("POST", path), body % deep)
        error = refusal(answer, 400, 413)
        whole = "JSON" in error["message"] or "nest" in error["message"] or answer.status_code == 413
        assert whole or error["param"].startswith(param), error


@pytest.mark.parametrize("depth", [500, 1_000, 100_000])
async def test_deep_nesting_in_what_is_passed_on_breaks_nothing(http: httpx.AsyncClient, depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    for path, body in (
        ("/v1/chat/completions", '{"model": "ok", "messages": [{"role": "user", "content": "Hi"}], "x": %s}'),
        ("/v1/chat/completions", '{"model": "echo", "messages": [{"role": "user", "content": [%s]}]}'),
        ("/v1/chat/completions", '{"model": "echo", "messages": [{"role": "user", "content": "Hi"}], "tools": [%s]}'),
        ("/v1/responses", '{"model": "ok", "input": "Hi", "x": %s}'),
        (
            "/v1/responses",
            '{"model": "echo", "input": "Hi", "text": {"format": {"type": "json_schema", "name": "x", "schema": %s}}}',
        ),
        ("/v1/conversations", '{"items": [{"type": "unknown", "x": %s}]}'),
        ("/v1/conversations", '{"x": %s}'),
    ):
        answer = await send(http, ("POST", path), body % deep)
        assert answer.status_code < 500, f"{path} {body}: {answer.text}"
        if not answer.is_success:
            refusal(answer, 400)


def _template(path: str) -> dict[str, Any]:
    """Return the valid body for a path, whatever the id in it."""
    steps = path.split("/")
    if path.startswith("/v1/conversations/"):
        steps[3] = "{conversation_id}"
    return next(body for (_, known), body in _BODIES.items() if known == "/".join(steps))
