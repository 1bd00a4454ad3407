"""The engine behind a real gRPC server: a client that leaves, however it does, ends its response."""

import asyncio

import orjson
import pytest

from rostra.chat.v1 import chat_service_pb2, chat_service_pb2_grpc
from rostra.chat.v1.chat_service_pb2 import CreateResponseRequest, ResponseState, StreamResponseRequest
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceStub
from rostra_kit.context import current_caller
from rostra_kit.testing.grpc import call_as, grpc_client

BODY = orjson.dumps({"model": "scripted", "input": "Hi"})
STATE = ResponseState(store=True)


class Servicer(chat_service_pb2_grpc.ChatServiceServicer):
    def __init__(self, engine):
        self._engine = engine

    async def CreateResponse(self, request, context):
        return await self._engine.create(request)

    async def StreamResponse(self, request, context):
        async for message in self._engine.stream(request):
            yield message


@pytest.fixture
async def client(bench):
    def register(server):
        chat_service_pb2_grpc.add_ChatServiceServicer_to_server(Servicer(bench.engine), server)

    service = chat_service_pb2.DESCRIPTOR.services_by_name["ChatService"]
    call_as("user_1")
    async with grpc_client(ChatServiceStub, service, register) as client:
        yield client


@pytest.fixture
async def ended(bench):
    """Wait until the response that was stored has ended, and tell on whose behalf that was stored."""
    finished = asyncio.get_running_loop().create_future()
    finish = bench.store.finish

    async def observed(response):
        await finish(response)
        finished.set_result(current_caller().user_id)

    bench.store.finish = observed
    return finished


async def assert_cancelled(bench, ended):
    async with asyncio.timeout(5):
        assert await ended == "user_1"
        await bench.engine.__aexit__(None, None, None)
    assert bench.store.only["status"] == "cancelled"
    assert [end[0] for end in bench.meter.ends] == ["CANCELLED"]


async def test_client_that_leaves_a_waiting_stream_ends_the_response(client, bench, chunks, ended):
    bench.provider.script = [chunks.one({"content": "Hello"}), asyncio.Event()]
    stream = client.stream(client.stub.StreamResponse, StreamResponseRequest(body=BODY, state=STATE))
    await anext(stream)
    await bench.provider.stalled.wait()

    await stream.aclose()

    await assert_cancelled(bench, ended)


async def test_client_that_leaves_a_busy_stream_ends_the_response(client, bench, chunks, ended):
    word = chunks.one({"content": "word " * 1000})
    bench.provider.script = [word] * 100_000
    stream = client.stream(client.stub.StreamResponse, StreamResponseRequest(body=BODY, state=STATE))
    await anext(stream)

    await stream.aclose()

    await assert_cancelled(bench, ended)


async def test_client_that_leaves_a_waiting_call_ends_the_response(client, bench, ended):
    bench.provider.script = [asyncio.Event()]
    request = CreateResponseRequest(body=BODY, state=STATE)
    call = asyncio.create_task(client.call(client.stub.CreateResponse, request))
    await bench.provider.stalled.wait()

    call.cancel()
    await asyncio.wait({call})

    await assert_cancelled(bench, ended)


async def test_call_whose_time_is_over_ends_the_response(client, bench, ended):
    bench.provider.script = [asyncio.Event()]
    request = CreateResponseRequest(body=BODY, state=STATE)
    call = asyncio.create_task(client.call(client.stub.CreateResponse, request, timeout_seconds=0.2))
    await bench.provider.stalled.wait()
    await asyncio.wait({call})

    assert call.exception() is not None
    await assert_cancelled(bench, ended)
