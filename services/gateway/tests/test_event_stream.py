"""Streams of events: heartbeats, errors before and after the first byte, clients that leave."""

import asyncio
import json
import logging

import httpx
import pytest

from services.gateway.tests.conftest import Gateway, Services, ServiceServer, StartGateway, connect

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
HEARTBEAT = ": heartbeat\n\n"


def body(path: str, model: str, *, stream: bool = True) -> dict:
    prompt = {"messages": [{"role": "user", "content": "x"}]} if path == CHAT else {"input": "x"}
    return {"model": model, "stream": stream} | prompt


@pytest.fixture
async def impatient(start_gateway: StartGateway) -> Gateway:
    """A gateway whose heart beats twenty times a second."""
    return await start_gateway(heartbeat_seconds=0.05)


@pytest.fixture
async def client(impatient: Gateway, alice: str):
    async with connect(impatient, alice) as client:
        yield client


async def test_chat_stream_arrives_as_chat_wrote_it(client: httpx.AsyncClient) -> None:
    answer = await client.post(CHAT, json=body(CHAT, "echo"))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-ratelimit-remaining-tokens"] == "990"
    assert answer.headers["x-ratelimit-reset-tokens"] == "600ms"
    assert "content-length" not in answer.headers
    assert answer.text == ('data: {"choices":[{"index":0}]}\n\ndata: {"choices":[{"index":1}]}\n\ndata: [DONE]\n\n')


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_body_reaches_chat_untouched(client: httpx.AsyncClient, services: Services, path: str) -> None:
    raw = json.dumps(body(path, "echo") | {"new_parameter": {"b": [1, 2.5], "a": "ü"}}, indent=2).encode()
    answer = await client.post(path, content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    assert services.chat.bodies == [raw]


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_silent_stream_has_heartbeats(client: httpx.AsyncClient, services: Services, path: str) -> None:
    async with client.stream("POST", path, json=body(path, "pauses")) as stream:
        lines = stream.aiter_text()
        text = ""
        while text.count(HEARTBEAT) < 2:
            text += await anext(lines)
        services.chat.proceed.set()
        text += "".join([line async for line in lines])
    assert text.replace(HEARTBEAT, "").startswith(("data: ", "event: "))
    assert "id:" not in text


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_slow_first_piece_opens_the_stream_with_a_heartbeat(
    client: httpx.AsyncClient, services: Services, path: str
) -> None:
    async with client.stream("POST", path, json=body(path, "waits")) as stream:
        assert stream.status_code == 200
        lines = stream.aiter_text()
        assert await anext(lines) == HEARTBEAT
        services.chat.proceed.set()
        rest = "".join([line async for line in lines])
    assert '"choices":[{"index":0}]' in rest or '"sequence_number":0' in rest


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("unknown", 404, "model_not_found"),
        ("limited", 429, "rate_limit_exceeded"),
        ("away", 503, "service_unavailable"),
    ],
)
async def test_error_before_the_first_byte_is_a_status(
    client: httpx.AsyncClient, path: str, model: str, status: int, code: str
) -> None:
    answer = await client.post(path, json=body(path, model))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["code"] == code


async def test_broken_chat_stream_ends_with_an_error(client: httpx.AsyncClient, impatient: Gateway) -> None:
    answer = await client.post(CHAT, json=body(CHAT, "breaks"))
    assert answer.status_code == 200
    last = answer.text.rstrip("\n").split("\n\n")[-1]
    assert json.loads(last.removeprefix("data: ")) == {
        "error": {"message": "Broken.", "type": "server_error", "param": None, "code": "stream_interrupted"}
    }
    assert impatient.metric("rostra_gateway_broken_streams_total", reason="stream_interrupted") == 1


async def test_broken_response_stream_ends_with_an_error_event(client: httpx.AsyncClient) -> None:
    answer = await client.post(RESPONSES, json=body(RESPONSES, "breaks"))
    assert answer.status_code == 200
    event, data = answer.text.rstrip("\n").split("\n\n")[-1].split("\n")
    assert event == "event: error"
    told = json.loads(data.removeprefix("data: "))
    assert (told["type"], told["sequence_number"]) == ("error", 2)
    assert (told["code"], told["message"], told["param"]) == ("stream_interrupted", "Broken.", None)
    assert told["error"] == {"message": "Broken.", "type": "server_error", "param": None, "code": "stream_interrupted"}


async def test_stream_without_an_event_counts_as_one_whose_first_was_late(
    client: httpx.AsyncClient, services: Services, impatient: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with client.stream("POST", CHAT, json=body(CHAT, "fails later")) as stream:
        lines = stream.aiter_text()
        await anext(lines)
        services.chat.proceed.set()
        "".join([line async for line in lines])
    assert impatient.metric("rostra_gateway_first_byte_seconds_count", route=CHAT) == 1
    assert impatient.metric("rostra_gateway_first_byte_seconds_bucket", route=CHAT, le="0.025") == 0
    (line,) = [record for record in caplog.records if record.message == "request" and record.route == CHAT]
    assert line.broken


async def test_what_may_go_wrong_is_counted_from_zero(impatient: Gateway) -> None:
    assert impatient.metric("rostra_gateway_requests_total", route=CHAT, method="POST", status="503") == 0
    assert impatient.metric("rostra_gateway_broken_streams_total", reason="service_unavailable") == 0


async def test_error_after_a_heartbeat_is_an_event(client: httpx.AsyncClient, services: Services) -> None:
    async with client.stream("POST", RESPONSES, json=body(RESPONSES, "fails later")) as stream:
        lines = stream.aiter_text()
        assert await anext(lines) == HEARTBEAT
        services.chat.proceed.set()
        rest = "".join([line async for line in lines]).replace(HEARTBEAT, "")
    assert rest.startswith("event: error\n")
    assert '"sequence_number":0' in rest


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("model", ["endless", "waits", "pauses"])
async def test_client_that_leaves_a_stream_cancels_the_call(
    client: httpx.AsyncClient, impatient: Gateway, services: Services, path: str, model: str
) -> None:
    async with client.stream("POST", path, json=body(path, model)) as stream:
        pieces = stream.aiter_bytes()
        await anext(pieces)
    await asyncio.wait_for(services.chat.cancelled.wait(), 2)
    async with asyncio.timeout(2):
        while impatient.metric("rostra_gateway_open_streams"):  # noqa: ASYNC110 - a metric
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("stream", [True, False])
async def test_client_that_leaves_before_the_answer_cancels_the_call(
    gateway: Gateway, alice: str, services: Services, path: str, stream: bool
) -> None:
    async with connect(gateway, alice) as client:
        asking = asyncio.create_task(client.post(path, json=body(path, "hangs", stream=stream)))
        await asyncio.wait_for(services.chat.started.wait(), 2)
        asking.cancel()
        await asyncio.wait({asking})
    await asyncio.wait_for(services.chat.cancelled.wait(), 2)
    async with asyncio.timeout(2):
        while not gateway.metric("rostra_gateway_requests_total", route=path, method="POST", status="499"):  # noqa: ASYNC110 - a metric
            await asyncio.sleep(0.01)


async def test_slow_reader_does_not_lose_a_byte(client: httpx.AsyncClient) -> None:
    total = 0
    async with client.stream("POST", CHAT, json=body(CHAT, "large")) as stream:
        async for piece in stream.aiter_raw(65536):
            total += len(piece)
            await asyncio.sleep(0)
    assert total > 8_000_000


async def test_stream_of_a_dying_chat_service_ends_with_an_error(
    client: httpx.AsyncClient, service_server: ServiceServer
) -> None:
    async with client.stream("POST", CHAT, json=body(CHAT, "pauses")) as stream:
        lines = stream.aiter_text()
        await anext(lines)
        await service_server.server.stop(grace=None)
        async with asyncio.timeout(2):
            rest = "".join([line async for line in lines])
    assert '"error"' in rest
