"""What every request and every response has."""

import asyncio
import gzip
import json
import logging
import re
from typing import Any

import httpx
import pytest

from rostra_gateway.exchange import go_duration
from rostra_gateway.middleware import client_address
from rostra_gateway.settings import RequestSettings
from services.gateway.tests.conftest import Gateway, Services, StartGateway, connect


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/livez", 200),
        ("GET", "/v1/models", 200),
        ("GET", "/v1/conversations/conv_none", 404),
        ("GET", "/nothing", 404),
        ("PUT", "/v1/models", 405),
        ("POST", "/v1/chat/completions", 400),
    ],
)
async def test_every_answer_has_the_headers_of_all(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])
    assert int(answer.headers["openai-processing-ms"]) >= 0
    assert answer.headers["openai-version"] == "2020-10-01"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"public_url": "https://chat.example.com"}, "max-age=31536000"),
        ({"public_url": "https://chat.example.com", "hsts_seconds": 60}, "max-age=60"),
        ({"public_url": "https://chat.example.com", "hsts_seconds": 0}, None),
        ({"public_url": "http://chat.example.com"}, None),
    ],
)
async def test_browsers_are_told_to_keep_to_https_where_there_is_https(
    start_gateway: StartGateway, settings: dict[str, Any], told: str | None
) -> None:
    gateway = await start_gateway(**settings)
    async with connect(gateway) as client:
        for path in ("/livez", "/nothing"):
            assert (await client.get(path)).headers.get("strict-transport-security") == told
    refused = (await talk(gateway, b"no HTTP\r\n\r\n")).decode()
    assert f"\r\nstrict-transport-security: {told}\r\n" in refused if told else "strict-transport" not in refused


async def test_refusal_below_the_application_has_the_headers_of_all(gateway: Gateway) -> None:
    head, _, body = (await talk(gateway, b"no HTTP\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    for line in (
        *(b"x-content-type-options: nosniff", b"x-frame-options: DENY", b"cache-control: no-store"),
        *(b"referrer-policy: no-referrer", b"content-security-policy: default-src 'none'; frame-ancestors 'none'"),
    ):
        assert line in head.split(b"\r\n")
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


async def test_page_of_documents_may_load_what_it_is_made_of(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    assert answer.status_code == 200
    assert "content-security-policy" not in answer.headers
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "x-unknown"])
@pytest.mark.parametrize("path", ["/v1/conversations", "/v1/chat/completions", "/v1/auth/login"])
async def test_compressed_body_is_415_and_never_decompressed(
    client: httpx.AsyncClient, path: str, encoding: str
) -> None:
    answer = await client.post(path, content=gzip.compress(b" " * 10_000_000), headers={"content-encoding": encoding})
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "identity"
    assert answer.json()["error"]["message"] == "Send the request body without Content-Encoding."
    assert (await client.get("/v1/models")).status_code == 200


async def test_body_of_encoding_identity_is_read(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/conversations", json={}, headers={"content-encoding": "identity"})
    assert answer.status_code == 200


async def test_request_id_is_never_the_clients(client: httpx.AsyncClient) -> None:
    answers = [await client.get("/livez", headers={"x-request-id": "mine"}) for _ in range(2)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 2
    assert "mine" not in ids


async def test_unforeseen_exception_is_500_in_openais_shape(
    client: httpx.AsyncClient, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    @gateway.app.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError("secret detail")

    answer = await client.get("/bug")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "secret" not in answer.text
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


async def test_request_is_logged_once_without_secrets(
    client: httpx.AsyncClient, alice: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "rostra_gateway"):
        await client.post("/v1/auth/login", json={"email": "a@example.com", "password": "open sesame"})
        await client.post("/v1/auth/register", json={"email": 1, "password": ["open sesame"]})
    lines = [vars(record) for record in caplog.records if record.getMessage() == "request"]
    assert [(line["route"], line["status"]) for line in lines] == [
        ("/v1/auth/login", 401),
        ("/v1/auth/register", 400),
    ]
    everything = repr([vars(record) for record in caplog.records])
    assert "sesame" not in everything
    assert alice not in everything


async def test_requests_are_counted_by_the_routes_template(client: httpx.AsyncClient, gateway: Gateway) -> None:
    for name in ("conv_1", "conv_2"):
        await client.get(f"/v1/conversations/{name}")
    await client.get("/wp-login.php")
    counted = "rostra_gateway_requests_total"
    assert gateway.metric(counted, route="/v1/conversations/{conversation_id}", method="GET", status="404") == 2
    assert gateway.metric(counted, route="unmatched", method="GET", status="404") == 1


@pytest.fixture
async def narrow(start_gateway: StartGateway) -> Gateway:
    """A gateway that takes 1000 bytes."""
    return await start_gateway(request=RequestSettings(max_body_bytes=1000))


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_that_is_too_large_is_413_and_the_connection_lives(
    narrow: Gateway, alice: str, *, chunked: bool
) -> None:
    async def pieces():
        for _ in range(200):
            yield b" " * 1000

    async with connect(narrow, alice) as client:
        answer = await client.post("/v1/conversations", content=pieces() if chunked else b" " * 200_000)
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "request_too_large"
        assert (await client.get("/v1/models")).status_code == 200


async def test_body_just_small_enough_is_read(narrow: Gateway, alice: str) -> None:
    async with connect(narrow, alice) as client:
        assert (await client.post("/v1/conversations", content=b"{}" + b" " * 998)).status_code == 200
        assert (await client.post("/v1/conversations", content=b"{}" + b" " * 999)).status_code == 413


async def test_body_that_does_not_arrive_is_408(start_gateway: StartGateway, alice: str) -> None:
    impatient = await start_gateway(request=RequestSettings(max_upload_seconds=0.5))
    answer = await talk(impatient, head(alice, "Content-Length: 100") + b'{"metadata"')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer


async def test_client_that_asks_first_is_asked_for_its_body(narrow: Gateway, alice: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", narrow.port)
    writer.write(head(alice, "Content-Length: 2", "Expect: 100-continue"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"{}")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize(("length", "credential", "status"), [(5000, None, b"413"), (10, "sk-rostra-unknown", b"401")])
async def test_client_that_asks_first_and_is_refused_loses_the_connection(
    narrow: Gateway, alice: str, length: int, credential: str | None, status: bytes
) -> None:
    answer = await talk(narrow, head(credential or alice, f"Content-Length: {length}", "Expect: 100-continue"))
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in answer


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        ([], 1, "10.0.0.1"),
        (["203.0.113.7"], 0, "10.0.0.1"),
        (["203.0.113.7"], 1, "203.0.113.7"),
        (["1.1.1.1, 203.0.113.7"], 1, "203.0.113.7"),
        (["1.1.1.1", "203.0.113.7, 10.0.0.2"], 2, "203.0.113.7"),
        (["1.1.1.1"], 2, "10.0.0.1"),
        (["no address}"], 1, "10.0.0.1"),
        (["2001:DB8::1"], 1, "2001:db8::/64"),
        (["2001:db8::ffff:2"], 1, "2001:db8::/64"),
        (["::ffff:203.0.113.7"], 1, "203.0.113.7"),
    ],
)
def test_client_address_is_what_the_trusted_proxy_saw(forwarded: list[str], proxies: int, address: str) -> None:
    scope = {
        "type": "http",
        "client": ("10.0.0.1", 1234),
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
    }
    assert client_address(scope, proxies) == address


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (-1, "0ms"),
        (0.0124, "12ms"),
        (0.9996, "1s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.9996, "1m0s"),
        (60, "1m0s"),
        (360, "6m0s"),
        (3661.25, "1h1m1.25s"),
    ],
)
def test_duration_is_written_as_go_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


def head(credential: str, *lines: str) -> bytes:
    fixed = (
        "POST /v1/conversations HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        f"Authorization: Bearer {credential}",
    )
    return "\r\n".join([*fixed, *lines, "", ""]).encode()


async def talk(gateway: Gateway, data: bytes) -> bytes:
    """Return all that the gateway answers until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(data)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


async def test_services_behind_join_the_clients_trace(client: httpx.AsyncClient, services: Services) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    await client.get("/v1/models", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    assert services.chat.traces[-1].split("-")[1] == trace_id


@pytest.mark.parametrize("traceparent", ["nonsense", "00-0-0-00", "ff" * 40])
async def test_senseless_trace_is_passed_over(client: httpx.AsyncClient, traceparent: str) -> None:
    answer = await client.get("/v1/models", headers={"traceparent": traceparent})
    assert answer.status_code == 200
