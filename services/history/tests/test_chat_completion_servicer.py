"""The RPCs of stored chat completions, through a real server: every field, and errors as clients get them."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.common.v1.page_pb2 import Order
from rostra.common.v1.page_pb2 import PageRequest as Page
from rostra.history.v1 import chat_completion_service_pb2 as pb
from rostra.history.v1 import history_service_pb2
from rostra.history.v1.chat_completion_pb2 import ChatCompletion
from rostra.history.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra_history.app import build
from rostra_history.chat_completion_servicer import ChatCompletionServicer
from rostra_history.settings import DatabaseSettings, Settings
from rostra_kit.client import ServiceClient
from rostra_kit.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError, UnauthenticatedError
from rostra_kit.server import GrpcApp
from rostra_kit.testing.grpc import call_as, call_as_nobody, grpc_client

SERVICE = pb.DESCRIPTOR.services_by_name["ChatCompletionService"]
METHODS = {method.name for method in SERVICE.methods}
NAMES_NOTHING = {"CreateChatCompletion", "ListChatCompletions"}
ASCENDING = Page(order=Order.ORDER_ASCENDING)


class Completions:
    """Calls RPCs by their names."""

    def __init__(self, client: ServiceClient[ChatCompletionServiceStub]) -> None:
        self._client = client

    async def call(self, method: str, **fields) -> Message:
        return await self._client.call(getattr(self._client.stub, method), getattr(pb, f"{method}Request")(**fields))

    async def store(self, completion_id: str, *messages: bytes, body: bytes = b"{}", **metadata: str) -> None:
        completion = ChatCompletion(id=completion_id, models=["m"], metadata=metadata, body=body)
        await self.call("CreateChatCompletion", completion=completion, messages=messages)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def app(tmp_path: Path, registry: CollectorRegistry) -> AsyncIterator[GrpcApp]:
    settings = Settings(database=DatabaseSettings(url=f"sqlite:///{tmp_path}/history.db"))
    async with build(settings, registry) as app:
        call_as("user_alice")
        yield app


@pytest.fixture
async def completions(app: GrpcApp) -> AsyncIterator[Completions]:
    async with grpc_client(ChatCompletionServiceStub, SERVICE, app.register) as client:
        yield Completions(client)


async def test_completion_is_stored_read_changed_and_deleted(completions: Completions) -> None:
    await completions.store("chatcmpl_1", b'{"a":1}', '{"a":"ß"}'.encode(), body='{"ü":1}'.encode(), k="v")
    got = (await completions.call("GetChatCompletion", completion_id="chatcmpl_1")).completion
    assert (got.id, list(got.models), dict(got.metadata), got.body.decode()) == (
        "chatcmpl_1",
        ["m"],
        {"k": "v"},
        '{"ü":1}',
    )
    assert got.create_time.seconds > 1_700_000_000
    key = {"completion_id": "chatcmpl_1"}
    messages = await completions.call("ListChatMessages", **key, page=ASCENDING)
    assert [(each.id, each.body.decode()) for each in messages.messages] == [
        ("chatcmpl_1-0", '{"a":1}'),
        ("chatcmpl_1-1", '{"a":"ß"}'),
    ]
    assert not messages.has_more
    changed = (await completions.call("UpdateChatCompletion", **key, metadata={"k": "w"})).completion
    assert dict(changed.metadata) == {"k": "w"}
    assert changed.create_time == got.create_time
    await completions.call("DeleteChatCompletion", **key)
    with pytest.raises(NotFoundError) as caught:
        await completions.call("GetChatCompletion", **key)
    assert caught.value.reason == ErrorReason.ERROR_REASON_CHAT_COMPLETION_NOT_FOUND
    assert caught.value.message == "Chat completion with id 'chatcmpl_1' not found."


async def test_lists_are_paged_and_filtered(completions: Completions) -> None:
    for number in range(3):
        await completions.store(f"chatcmpl_{number}", even=str(number % 2 == 0))
    page = Page(page_size=1, order=Order.ORDER_ASCENDING)
    first = await completions.call("ListChatCompletions", page=page, model="m", metadata={"even": "True"})
    assert ([each.id for each in first.completions], first.has_more) == (["chatcmpl_0"], True)
    page.after_id = "chatcmpl_0"
    rest = await completions.call("ListChatCompletions", page=page, model="m", metadata={"even": "True"})
    assert ([each.id for each in rest.completions], rest.has_more) == (["chatcmpl_2"], False)
    newest = await completions.call("ListChatCompletions")
    assert [each.id for each in newest.completions] == ["chatcmpl_2", "chatcmpl_1", "chatcmpl_0"]
    assert (await completions.call("ListChatCompletions", model="n")).completions == []


async def test_another_completion_of_the_same_name_conflicts(completions: Completions) -> None:
    await completions.store("chatcmpl_1", body=b"1")
    await completions.store("chatcmpl_1", body=b"1")
    with pytest.raises(AlreadyExistsError):
        await completions.store("chatcmpl_1", body=b"2")


@pytest.mark.parametrize("method", sorted(METHODS - NAMES_NOTHING))
async def test_what_is_anothers_does_not_exist(completions: Completions, method: str) -> None:
    await completions.store("chatcmpl_1", b"{}")
    call_as("user_mallory")
    with pytest.raises(NotFoundError, match="'chatcmpl_1' not found"):
        await completions.call(method, completion_id="chatcmpl_1")
    assert (await completions.call("ListChatCompletions")).completions == []
    call_as("user_alice")
    assert len((await completions.call("ListChatMessages", completion_id="chatcmpl_1")).messages) == 1


@pytest.mark.parametrize("method", sorted(METHODS))
async def test_nobody_is_refused(completions: Completions, method: str) -> None:
    call_as_nobody()
    with pytest.raises(UnauthenticatedError):
        await completions.call(method, **({} if method in NAMES_NOTHING else {"completion_id": "chatcmpl_1"}))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"completion": ChatCompletion()}, "completion.id"),
        ({"completion": ChatCompletion(id="c", body=b"\xff")}, "completion.body"),
        ({"completion": ChatCompletion(id="c"), "messages": [b"{}", b"\xff"]}, "messages[1]"),
        ({"completion": ChatCompletion(id="c", metadata={"k": "v" * 513})}, "metadata"),
    ],
)
async def test_what_cannot_be_stored_is_refused(completions: Completions, fields: dict, param: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await completions.call("CreateChatCompletion", **fields)
    assert caught.value.param == param


async def test_deleted_user_data_holds_completions_too(app: GrpcApp, completions: Completions) -> None:
    await completions.store("chatcmpl_1")
    history_service = history_service_pb2.DESCRIPTOR.services_by_name["HistoryService"]
    async with grpc_client(HistoryServiceStub, history_service, app.register) as history:
        await history.call(history.stub.DeleteUserData, history_service_pb2.DeleteUserDataRequest())
    assert (await completions.call("ListChatCompletions")).completions == []


async def test_what_is_stored_is_counted(completions: Completions, registry: CollectorRegistry) -> None:
    await completions.store("chatcmpl_1")
    assert registry.get_sample_value("rostra_history_chat_completions_stored_total") == 1


def test_every_call_is_served() -> None:
    defined: Callable[[str], bool] = vars(ChatCompletionServicer).__contains__
    assert all(map(defined, METHODS))
