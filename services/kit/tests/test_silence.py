"""A replica that is frozen or cut off: it takes what is sent, and says nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceServicer, ChatServiceStub, add_ChatServiceServicer_to_server
from rostra_kit import client as client_module
from rostra_kit import server as server_module
from rostra_kit.client import ServiceClient
from rostra_kit.errors import UnavailableError
from rostra_kit.settings import ServiceAddress
from support.fault_proxy import FaultProxy

_KEEPALIVE_MS, _PING_TIMEOUT_MS = 200, 1500
# Time for many pings, which are all that passes.
_QUIET_SECONDS = 2.0
_NEVER_SECONDS = 60.0


class Servicer(ChatServiceServicer):
    """Works long, as a model does."""

    def __init__(self) -> None:
        self.done = asyncio.Event()

    async def GetModel(self, request, context):
        await self.done.wait()
        return pb.GetModelResponse()

    async def StreamChatCompletion(self, request, context):
        yield pb.StreamChatCompletionResponse(frames=b"one")
        await self.done.wait()
        yield pb.StreamChatCompletionResponse(frames=b"two")


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (client_module, server_module):
        monkeypatch.setattr(module, "KEEPALIVE_MS", _KEEPALIVE_MS)
    monkeypatch.setattr(client_module, "_PING_TIMEOUT_MS", _PING_TIMEOUT_MS)


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
async def address(servicer: Servicer) -> AsyncIterator[FaultProxy]:
    server = server_module.new_server(CollectorRegistry())
    add_ChatServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with FaultProxy(lambda: port).open() as address:
        yield address
    await server.stop(grace=None)


@pytest.fixture
async def client(address: FaultProxy) -> AsyncIterator[ServiceClient[ChatServiceStub]]:
    service = pb.DESCRIPTOR.services_by_name["ChatService"]
    async with ServiceClient(ChatServiceStub, service, ServiceAddress(target=f"127.0.0.1:{address.port}")) as client:
        yield client


async def test_long_call_to_a_replica_that_works_is_left_alone(
    client: ServiceClient[ChatServiceStub], servicer: Servicer
) -> None:
    stream = client.stream(client.stub.StreamChatCompletion, pb.StreamChatCompletionRequest())
    assert (await anext(stream)).frames == b"one"
    await asyncio.sleep(_QUIET_SECONDS)
    servicer.done.set()
    assert (await anext(stream)).frames == b"two"
    await stream.aclose()


async def test_calls_to_a_replica_that_falls_silent_are_given_up(
    client: ServiceClient[ChatServiceStub], address: FaultProxy
) -> None:
    stream = client.stream(client.stub.StreamChatCompletion, pb.StreamChatCompletionRequest())
    assert (await anext(stream)).frames == b"one"
    call = client.call(client.stub.GetModel, pb.GetModelRequest(), timeout_seconds=_NEVER_SECONDS)
    calling = asyncio.create_task(call)
    await asyncio.sleep(_QUIET_SECONDS)
    address.fall_silent()
    async with asyncio.timeout(_NEVER_SECONDS / 2):
        with pytest.raises(UnavailableError):
            await anext(stream)
        with pytest.raises(UnavailableError):
            await calling
