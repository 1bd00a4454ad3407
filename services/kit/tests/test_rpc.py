"""The way of a call: client, server interceptor, errors and back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial

import grpc
import pytest
from prometheus_client import CollectorRegistry

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceServicer, ChatServiceStub, add_ChatServiceServicer_to_server
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.client import ServiceClient
from rostra_kit.context import RequestContext, current_caller, current_request, set_current_request
from rostra_kit.errors import (
    AppError,
    DeadlineExceededError,
    InternalError,
    NotFoundError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
)
from rostra_kit.settings import ServiceAddress
from rostra_kit.testing.grpc import call_as, call_as_nobody, grpc_client

DESCRIPTOR = pb.DESCRIPTOR.services_by_name["ChatService"]
Client = ServiceClient[ChatServiceStub]


class Servicer(ChatServiceServicer):
    """Does what the model's name says."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.asked = 0

    async def GetModel(self, request, context):
        match request.id:
            case "not-found":
                raise NotFoundError("No.", reason=ErrorReason.ERROR_REASON_MODEL_NOT_FOUND, param="model")
            case "exhausted":
                raise ResourceExhaustedError("Slow down.", retry_after_seconds=2.5, metadata={"limit": "requests"})
            case "verbose":
                raise NotFoundError("\U0001f3db" * 100_000, param="é" * 10_000, metadata={"code": "x" * 10_000})
            case "bug":
                raise ZeroDivisionError("secret detail")
            case "slow":
                await asyncio.sleep(60)
            case "caller":
                return pb.GetModelResponse(model={"id": current_caller().user_id})
            case "away":
                self.asked += 1
                raise UnavailableError("Away.", retry_after_seconds=1)
            case "request-id":
                return pb.GetModelResponse(model={"id": current_request().request_id})
        raise AssertionError(request.id)

    async def StreamChatCompletion(self, request, context):
        yield pb.StreamChatCompletionResponse(frames=b"one")
        if request.model == "breaks":
            raise UnavailableError("Gone.")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def client(servicer: Servicer, registry: CollectorRegistry) -> AsyncIterator[Client]:
    register = partial(add_ChatServiceServicer_to_server, servicer)
    async with grpc_client(ChatServiceStub, DESCRIPTOR, register, registry=registry) as client:
        yield client


async def get(client: Client, model: str, *, timeout_seconds: float | None = None) -> str:
    answer = await client.call(client.stub.GetModel, pb.GetModelRequest(id=model), timeout_seconds=timeout_seconds)
    return answer.model.id


async def test_domain_error_arrives_whole(client: Client) -> None:
    with pytest.raises(NotFoundError) as caught:
        await get(client, "not-found")
    assert caught.value.reason == ErrorReason.ERROR_REASON_MODEL_NOT_FOUND
    assert (caught.value.message, caught.value.param) == ("No.", "model")


async def test_retry_after_and_metadata_arrive(client: Client) -> None:
    with pytest.raises(ResourceExhaustedError) as caught:
        await get(client, "exhausted")
    assert caught.value.retry_after_seconds == 2.5
    assert caught.value.metadata == {"limit": "requests"}


async def test_error_too_long_for_its_headers_is_shortened(client: Client) -> None:
    with pytest.raises(NotFoundError) as caught:
        await get(client, "verbose")
    assert caught.value.message == "\U0001f3db" * 300 + "…"
    assert caught.value.param == "é" * 128 + "…"
    assert caught.value.metadata == {"code": "x" * 256 + "…"}


async def test_unforeseen_error_is_named_and_hidden(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InternalError) as caught:
        await get(client, "bug")
    assert "secret" not in caught.value.message
    error_id = caught.value.metadata["error_id"]
    assert any(getattr(record, "error_id", None) == error_id for record in caplog.records)


async def test_deadline_ends_the_call(client: Client) -> None:
    with pytest.raises(DeadlineExceededError):
        await get(client, "slow", timeout_seconds=0.1)


async def test_caller_travels(client: Client) -> None:
    call_as("user_1")
    assert await get(client, "caller") == "user_1"
    assert await get(client, "request-id") == "req_test"


async def test_absent_caller_is_unauthenticated(client: Client) -> None:
    call_as_nobody()
    with pytest.raises(UnauthenticatedError):
        await get(client, "caller")


async def test_ping_of_what_cannot_be_reached_is_unavailable() -> None:
    async with ServiceClient(ChatServiceStub, DESCRIPTOR, ServiceAddress(target="127.0.0.1:1")) as client:
        with pytest.raises(UnavailableError):
            await client.ping()


async def test_refused_connection_is_unavailable() -> None:
    address = ServiceAddress(target="127.0.0.1:1")
    async with ServiceClient(ChatServiceStub, DESCRIPTOR, address) as client:
        with pytest.raises(UnavailableError) as caught:
            await get(client, "caller")
    assert caught.value.retry_after_seconds == 1


async def test_call_that_a_service_refused_is_not_repeated_on_the_way(client: Client, servicer: Servicer) -> None:
    with pytest.raises(UnavailableError, match=r"Away\."):
        await get(client, "away")
    assert servicer.asked == 1


async def test_stream_that_breaks_raises_after_its_messages(client: Client) -> None:
    request = pb.StreamChatCompletionRequest(model="breaks")
    frames = []
    with pytest.raises(UnavailableError, match=r"Gone\."):
        async for message in client.stream(client.stub.StreamChatCompletion, request):
            frames.append(message.frames)
    assert frames == [b"one"]


async def test_closed_stream_is_cancelled_at_the_server(client: Client, servicer: Servicer) -> None:
    stream = client.stream(client.stub.StreamChatCompletion, pb.StreamChatCompletionRequest(model="waits"))
    async with aclosing(stream):
        await anext(stream)
    async with asyncio.timeout(5):
        await servicer.cancelled.wait()


async def test_calls_are_counted(client: Client, registry: CollectorRegistry) -> None:
    with pytest.raises(NotFoundError):
        await get(client, "not-found")
    labels = {"grpc_service": "rostra.chat.v1.ChatService", "grpc_method": "GetModel", "grpc_code": "NOT_FOUND"}
    async with asyncio.timeout(5):  # the client may hear of the end first
        while registry.get_sample_value("grpc_server_handled_total", labels) != 1:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def test_every_status_code_has_one_error() -> None:
    codes = [error_class.code for error_class in AppError.__subclasses__()]
    assert len(codes) == len(set(codes))
    assert grpc.StatusCode.UNKNOWN not in codes


async def test_caller_that_cannot_be_read_is_nobody(client: Client) -> None:
    set_current_request(RequestContext(caller=b"\xff\xff"))
    with pytest.raises(UnauthenticatedError):
        await client.call(client.stub.GetModel, pb.GetModelRequest(id="caller"))
