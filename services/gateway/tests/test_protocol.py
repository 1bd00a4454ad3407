"""Connections below HTTP: how long they may take to say what they want."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rostra_gateway.settings import RequestSettings
from services.gateway.tests.conftest import Gateway, StartGateway

HEAD_SECONDS = 0.5
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
CHAT_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
STREAM = b'{"model":"endless","messages":[{"role":"user","content":"x"}],"stream":true}'

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def hasty(start_gateway: StartGateway) -> Gateway:
    return await start_gateway(request=RequestSettings(max_head_seconds=HEAD_SECONDS))


@asynccontextmanager
async def connection(gateway: Gateway) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        async with asyncio.timeout(5):
            yield reader, writer
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return head


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
async def test_connection_that_begins_no_request_is_closed(hasty: Gateway, sent: bytes) -> None:
    async with connection(hasty) as (reader, writer):
        writer.write(sent)
        assert await reader.read() == b""


async def test_head_that_does_not_end_is_408(hasty: Gateway) -> None:
    async with connection(hasty) as (reader, writer):
        writer.write(LIVEZ[:-2])
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b'"type":"invalid_request_error"' in answer


async def test_head_that_drips_is_408(hasty: Gateway) -> None:
    async with connection(hasty) as (reader, writer):
        writer.write(LIVEZ[:-2])
        answer = asyncio.create_task(reader.read())
        while not answer.done():
            writer.write(b"a: b\r\n")
            await asyncio.wait({answer}, timeout=HEAD_SECONDS / 5)
        assert answer.result().startswith(b"HTTP/1.1 408 ")


async def test_second_head_on_a_connection_has_a_bound_of_its_own(hasty: Gateway) -> None:
    async with connection(hasty) as (reader, writer):
        writer.write(LIVEZ)
        assert (await read_answer(reader)).startswith(b"HTTP/1.1 200 ")
        writer.write(LIVEZ[:5])
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("between", [b"", b"\r\n"])
async def test_idle_connection_outlives_the_bound_of_a_head(hasty: Gateway, between: bytes) -> None:
    async with connection(hasty) as (reader, writer):
        for _ in range(2):
            writer.write(LIVEZ)
            assert (await read_answer(reader)).startswith(b"HTTP/1.1 200 ")
            writer.write(between)
            await asyncio.sleep(HEAD_SECONDS * 1.5)


async def test_idle_connection_ends_also_after_bytes_that_begin_no_request(start_gateway: StartGateway) -> None:
    async with connection(await start_gateway(keep_alive_seconds=1)) as (reader, writer):
        writer.write(LIVEZ)
        await read_answer(reader)
        writer.write(b"\r\n")
        assert await reader.read() == b""


async def test_stream_is_not_cut_by_a_next_head_that_does_not_end(hasty: Gateway, alice: str) -> None:
    head = CHAT_HEAD + b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (alice.encode(), len(STREAM))
    async with connection(hasty) as (reader, writer):
        writer.write(head + STREAM)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.write(LIVEZ[:5])
        loop = asyncio.get_running_loop()
        end = loop.time() + HEAD_SECONDS * 3
        while loop.time() < end:
            piece = await reader.read(65536)
            assert piece
            assert b"408" not in piece
