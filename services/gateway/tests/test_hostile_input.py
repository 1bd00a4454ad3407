"""Input that nobody sends by mistake: a 4xx that names what is wrong, never a 5xx, never a hang."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from urllib.parse import unquote

import httpx
import pytest
import pytest_asyncio

from rostra_kit.testing.redis_server import RedisServer
from services.gateway.tests.conftest import Gateway, Services, add_alice, connect, running_gateway, serving

# Nothing here leaves a trace, so one gateway is enough.
pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
CONVERSATIONS = "/v1/conversations"
DEEP = 100_000
BODY = b'{"model":"echo","messages":[{"role":"user","content":"x"}],%s}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services() -> Services:
    return Services()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(services: Services, redis_server: RedisServer) -> AsyncIterator[Gateway]:
    async with serving(services) as service_server, running_gateway(service_server, redis_server) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(gateway: Gateway, services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(gateway, add_alice(services)) as client:
        yield client


async def post(client: httpx.AsyncClient, path: str, raw: bytes) -> httpx.Response:
    return await client.post(path, content=raw, headers={"content-type": "application/json"})


def error(answer: httpx.Response) -> dict:
    document = answer.json()
    assert document.keys() == {"error"}
    assert document["error"].keys() == {"message", "type", "param", "code"}
    return document["error"]


@pytest.mark.parametrize("path", [CHAT, "/v1/responses", CONVERSATIONS, "/v1/auth/login", "/v1/api_keys"])
@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        "{}".encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": ' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"a": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}",
        b'{"metadata": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda raw: repr(raw[:16]),
)
async def test_what_is_no_json_object_is_400(client: httpx.AsyncClient, path: str, raw: bytes) -> None:
    answer = await post(client, path, raw)
    assert answer.status_code in (400, 413), answer.text
    error(answer)


async def test_nesting_is_accepted_as_deep_as_it_can_be_written_again(client: httpx.AsyncClient) -> None:
    def items(depth: int) -> bytes:
        return b'{"items":[{"type":"x","a":' + b"[" * (depth - 3) + b"]" * (depth - 3) + b"}]}"

    answer = await post(client, CONVERSATIONS, items(128))
    assert answer.status_code == 200
    items_answer = await client.get(f"{CONVERSATIONS}/{answer.json()['id']}/items")
    assert items_answer.status_code == 200
    answer = await post(client, CONVERSATIONS, items(129))
    assert answer.status_code == 400
    assert "128 levels" in error(answer)["message"]


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        (b'"n":-1', "n"),
        (b'"n":129', "n"),
        (b'"n":1.5', "n"),
        (b'"max_tokens":0', "max_tokens"),
        (b'"max_tokens":99999999999999999999', "max_tokens"),
        (b'"max_completion_tokens":"7"', "max_completion_tokens"),
        (b'"temperature":"hot"', "temperature"),
        (b'"temperature":2.1', "temperature"),
        (b'"stream":"yes"', "stream"),
        (b'"stream":1', "stream"),
        (b'"stream_options":{"include_usage":1}', "stream_options.include_usage"),
        (b'"metadata":{"a":1}', "metadata.a"),
        (b'"metadata":[]', "metadata"),
        (b'"tools":[1]', "tools[0]"),
        (b'"model":""', "model"),
        (b'"model":7', "model"),
        (b'"messages":[]', "messages"),
        (b'"messages":[{"role":"user","content":"x"},{"role":"king","content":"x"}]', "messages[1].role"),
        (b'"messages":[{"content":"x"}]', "messages[0].role"),
        (b'"messages":[7]', "messages[0]"),
        (b'"messages":"x"', "messages"),
    ],
)
async def test_wrong_value_is_400_and_named(client: httpx.AsyncClient, extra: bytes, param: str) -> None:
    answer = await post(client, CHAT, BODY % extra)
    assert answer.status_code == 400
    assert error(answer)["param"] == param


async def test_too_many_messages_are_400(client: httpx.AsyncClient) -> None:
    messages = [{"role": "user", "content": "x"}] * 10_000
    answer = await client.post(CHAT, json={"model": "echo", "messages": messages})
    assert answer.status_code == 400
    assert error(answer)["param"] == "messages"
    answer = await client.post("/v1/responses", json={"model": "echo", "input": messages})
    assert error(answer)["param"] == "input"


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        (CHAT, b'{"model":"echo","messages":[{"role":"user","content":[%s]}]}' % b",".join([b"1"] * 500_000)),
        (CHAT, b'{"model":"echo","messages":[%s]}' % b",".join([b"{}"] * 4096)),
        ("/v1/responses", b'{"model":"echo","input":[%s]}' % b",".join([b"1"] * 4096)),
        (CHAT, BODY % b'"metadata":{%s}' % b",".join(b'"%d":1' % number for number in range(500_000))),
        ("/v1/auth/login", b"{%s}" % b",".join(b'"%d":1' % number for number in range(500_000))),
    ],
    ids=["parts", "messages", "input", "metadata", "parameters"],
)
async def test_hundreds_of_thousands_of_mistakes_are_cheap_to_refuse(
    client: httpx.AsyncClient, path: str, raw: bytes
) -> None:
    began = time.process_time()
    answer = await post(client, path, raw)
    assert answer.status_code in (400, 413)
    assert time.process_time() - began < 1.0


async def test_last_of_two_equal_keys_counts_for_every_service(client: httpx.AsyncClient) -> None:
    answer = await post(client, CHAT, BODY % b'"model":"other"')
    assert answer.json()["model"] == "other"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"])
async def test_wrong_content_type_is_400(client: httpx.AsyncClient, content_type: str) -> None:
    answer = await client.post(CHAT, content=BODY % b'"n":1', headers={"content-type": content_type})
    assert answer.status_code == 400
    assert "Content-Type: application/json" in error(answer)["message"]


async def test_content_type_with_a_parameter_is_json(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert (await client.post(CHAT, content=BODY % b'"n":1', headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "name",
    ["%00", "a%00b", "%ff%fe", "%ed%a0%80", "%F0%9F%98%80", "a%20b", "a%0d%0ab", "..%2e", "a" * 5000, "a.b", "~"],
)
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/conversations/{}", "conversation_not_found"),
        ("/v1/conversations/{}/items", "conversation_not_found"),
        ("/v1/responses/{}", "response_not_found"),
        ("/v1/responses/{}/input_items", "response_not_found"),
    ],
)
async def test_odd_id_is_404(client: httpx.AsyncClient, path: str, name: str, code: str) -> None:
    answer = await client.get(path.format(name))
    assert answer.status_code == 404
    assert error(answer)["code"] == code


@pytest.mark.parametrize("name", ["", "%00", "a%00b", "a%0d%0ab", "a" * 5000])
async def test_odd_model_is_404(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/v1/models/{name}")).status_code == 404


@pytest.mark.parametrize("name", ["org/model", "a%20b", "%F0%9F%98%80", "a:b@c"])
async def test_model_may_have_any_printable_name(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/v1/models/{name}")).json()["id"] == unquote(name)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("order=upwards", "order"),
        ("after=" + "x" * 200, "after"),
        ("after=%00", "after"),
        ("after=conv_none", "after"),
    ],
)
async def test_wrong_query_is_400_and_named(client: httpx.AsyncClient, query: str, param: str) -> None:
    answer = await client.get(f"{CONVERSATIONS}?{query}")
    assert answer.status_code == 400
    assert error(answer)["param"] == param


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/models", "GET"),
        ("HEAD", "/v1/models", "GET"),
        ("OPTIONS", "/v1/conversations", "GET, POST"),
        ("TRACE", "/v1/conversations/conv_1", "GET, POST, DELETE"),
        ("PROPFIND", "/v1/me", "GET, PATCH, DELETE"),
        ("PUT", "/v1/chat/completions", "GET, POST"),
        ("POST", "/.well-known/jwks.json", "GET"),
    ],
)
async def test_wrong_method_is_405_and_says_which_are_right(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    if method != "HEAD":
        assert error(answer)["code"] == "method_not_supported"


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/nothing", "/v1/conversations/", "/v1/conversations/a%2Fb", "/v1/x%00%0d%0aa:b", "/" + "a" * 5000],
)
async def test_unknown_path_is_404(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, follow_redirects=False)
    assert answer.status_code == 404
    assert error(answer)["code"] == "unknown_url"
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"BREW /v1/models HTTP/1.1\r\n", 400),
        ("GET /v1/models/é HTTP/1.1\r\n".encode(), 400),
        (b"GET /v1/models HTTP/1.1\r\nContent-Length: -5\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nX: " + b"a" * 1_000_000, 431),
        (b"GET /v1/" + b"a" * 1_000_000, 431),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else str(value),
)
async def test_what_is_no_http_is_refused_in_openais_shape(gateway: Gateway, request_head: bytes, status: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request_head + b"\r\n")
    async with asyncio.timeout(5):
        answer = await reader.readuntil(b"\r\n\r\n")
        body = json.loads(await reader.readuntil(b"}}"))
    writer.close()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in answer
    assert body["error"]["type"] == "invalid_request_error"


async def test_head_of_ordinary_size_is_read(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        assert (await client.get("/v1/models", headers={"x": "a" * 30_000})).status_code == 200
