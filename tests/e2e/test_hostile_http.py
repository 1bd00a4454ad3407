"""HTTP that no client of good will sends: odd paths, queries, headers and methods, and requests cut short."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest

from support.openai_error import refusal
from support.stack import Account, SharedStack

pytestmark = pytest.mark.e2e

_MOST_SECONDS = 5.0
_PATHS_WITH_IDS = (
    "/v1/responses/{id}",
    "/v1/responses/{id}/input_items",
    "/v1/conversations/{id}",
    "/v1/conversations/{id}/items",
    "/v1/conversations/{id}/items/msg_0",
    "/v1/models/{id}",
)
_ODD_IDS = (
    *("0", "null", "undefined", "-1", "resp_" + "0" * 32, "..%2f..%2fetc%2fpasswd", "%00", "a%00b", "%0d%0aX: y"),
    *(
        "%ff%fe",
        "%ed%a0%80",
        "%F0%9F%8F%9B",
        "'%20OR%201=1--",
        "%7B%22$ne%22:null%7D",
        "a" * 128,
        "a" * 4000,
        "%25",
        "%",
    ),
)
_LISTS = ("/v1/conversations", "/v1/api_keys")
_ODD_QUERIES = {
    "limit": ("0", "-1", "101", "x", "1.5", "", "%00", "1e400", "9" * 400, "NaN", "null"),
    "order": ("up", "", "%00", "ASC", "1"),
    "after": ("a%00b", "%ff", "a" * 200),
}
_WRONG_METHODS = (
    *(("PUT", "/v1/chat/completions"), ("DELETE", "/v1/chat/completions"), ("DELETE", "/v1/responses")),
    *(("PATCH", "/v1/conversations"), ("PUT", "/v1/me"), ("GET", "/v1/auth/login"), ("TRACE", "/v1/models")),
    *(("POST", "/v1/models"), ("DELETE", "/v1/usage"), ("PATCH", "/v1/api_keys")),
)
_ODD_CREDENTIALS = (
    *("", "Bearer", "Basic dXNlcjpwYXNz", "sk-rostra-x", "Bearer sk-rostra-", "Bearer " + "x" * 5000),
    *("Bearer a.b.c", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyXzEifQ.", "bearer \xff\xfe", "Bearer sk-rostra-x y"),
    "Bearer eyJhbGciOiJFZERTQSIsImtpZCI6Ii4uLy4uL2V0Yy9wYXNzd2QifQ.e30.AAAA",
)


@pytest.fixture
async def http(stack: SharedStack, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.gateway_urls[0], headers=account.session, timeout=30) as http:
        yield http


async def test_odd_ids_are_not_found(http: httpx.AsyncClient) -> None:
    for template in _PATHS_WITH_IDS:
        for odd in _ODD_IDS:
            answer = await http.get(template.format(id=odd))
            assert refusal(answer, 404)["type"] in ("invalid_request_error", "not_found_error"), f"{template} {odd}"
    assert refusal(await http.delete(f"/v1/api_keys/{'0' * 400}"), 404)


async def test_odd_queries_name_the_parameter(http: httpx.AsyncClient) -> None:
    for path in _LISTS:
        for name, values in _ODD_QUERIES.items():
            for value in values:
                answer = await http.get(f"{path}?{name}={value}")
                assert refusal(answer, 400, 404)["param"] in (name, None), f"{path}?{name}={value}: {answer.text}"
                if name != "after":
                    assert answer.status_code == 400
                    assert answer.json()["error"]["param"] == name
    for query in ("start_time=x", "start_time=-1", "end_time=1e400", f"start_time={'9' * 30}", "end_time=1.5"):
        assert refusal(await http.get(f"/v1/usage?{query}"), 400)["param"] == query.partition("=")[0]
    assert refusal(await http.get("/v1/usage?start_time=10&end_time=5"), 400)["param"] == "start_time"


async def test_wrong_method_is_not_allowed(http: httpx.AsyncClient) -> None:
    for method, path in _WRONG_METHODS:
        answer = await http.request(method, path)
        assert refusal(answer, 405)["code"] == "method_not_supported"
        assert answer.headers["allow"]


async def test_unknown_path_is_not_found(http: httpx.AsyncClient) -> None:
    for path in (
        "/",
        "/v1",
        "/v1/",
        "/v2/models",
        "/v1/chat/completions/",
        "/v1//models",
        "/%00",
        "/%ff",
        "/" + "a" * 8000,
    ):
        assert refusal(await http.get(path), 404)["code"] in ("unknown_url", "model_not_found")


async def test_odd_credentials_stand_for_nobody(stack: SharedStack) -> None:
    async with httpx.AsyncClient(base_url=stack.gateway_urls[0], timeout=30) as http:
        for credentials in _ODD_CREDENTIALS:
            answer = await http.get("/v1/me", headers={b"authorization": credentials.encode("latin-1")})
            error = refusal(answer, 401)
            assert (error["type"], error["code"]) == ("authentication_error", "invalid_api_key")
            assert answer.headers["www-authenticate"] == "Bearer"
            # A mistyped secret must not come back in an error that somebody logs.
            assert credentials.removeprefix("Bearer ").strip() not in error["message"] or len(credentials) < 8


_MALFORMED = {
    "NUL in the path": b"GET /v1/mo\x00dels HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the path": b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "surrogate in the path": b"GET /v1/\xed\xa0\x80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in a header": b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
    "bytes in a header": b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    "header without a name": b"GET /v1/models HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n",
    "folded header": b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-A: a\r\n b\r\n\r\n",
    "long header": b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n",
    "many headers": b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 5_000 + b"\r\n",
    "negative length": b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "odd length": b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n",
    "huge length": b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n",
    "two lengths": b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": (
        b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "odd chunk": b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
    "odd method": b"FOO /v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
    "odd version": b"GET /v1/models HTTP/9.9\r\nHost: x\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "only ends of lines": b"\r\n" * 1000 + b"x\r\n\r\n",
}


@pytest.mark.parametrize("name", _MALFORMED)
async def test_malformed_request_is_refused(stack: SharedStack, name: str) -> None:
    started = time.monotonic()
    answer = await exchange(stack.gateway_urls[0], _MALFORMED[name])
    assert time.monotonic() - started < _MOST_SECONDS
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:300]


async def test_requests_cut_short_leave_nothing_behind(stack: SharedStack) -> None:
    whole = b'POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"email": "a'
    writers = []
    for length in range(1, len(whole), 5):
        _, writer = await asyncio.open_connection(*address(stack.gateway_urls[0]))
        writer.write(whole[:length])
        writers.append(writer)
    for writer in writers:
        await writer.drain()
        writer.transport.abort()
    async with httpx.AsyncClient(base_url=stack.gateway_urls[0], timeout=5) as http:
        assert (await http.get("/readyz")).status_code == 200


async def exchange(url: str, request: bytes) -> bytes:
    """Return the beginning of what a gateway answers to `request`; nothing when it hangs up."""
    reader, writer = await asyncio.open_connection(*address(url))
    try:
        writer.write(request)
        async with asyncio.timeout(_MOST_SECONDS):
            return await reader.read(4096)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def address(url: str) -> tuple[str, int]:
    """Return host and port of a gateway."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port
