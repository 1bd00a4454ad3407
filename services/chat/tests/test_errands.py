"""Counts, compactions and titles from the gRPC call to the provider and back: what is settled, and that it is once."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.common.v1.caller_pb2 import Limits
from rostra.history.v1 import history_service_pb2, history_service_pb2_grpc
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra.history.v1.item_pb2 import Item
from rostra.user.v1.usage_pb2 import UsageEvent, UsageOutcome
from rostra_chat.history_conversations import HistoryConversations
from rostra_kit.client import ServiceClient
from rostra_kit.compaction import open_summary
from rostra_kit.errors import AppError, NotFoundError, ResourceExhaustedError
from rostra_kit.testing.grpc import call_as, grpc_client
from support.provider import ScriptedProvider
from support.provider_reply import GREETING
from support.provider_script import FAULT_MODELS, GOOD_MODELS
from support.provider_wire import PROMPT_TOKENS

Client = ServiceClient[Any]
Read = Callable[[], Awaitable[list[UsageEvent]]]

FINISHED = UsageOutcome.USAGE_OUTCOME_FINISHED
CANCELLED = UsageOutcome.USAGE_OUTCOME_CANCELLED
FAILED = UsageOutcome.USAGE_OUTCOME_FAILED


@pytest.fixture
async def chat(open_chat: Callable[..., Awaitable[Client]], provider: ScriptedProvider) -> Client:
    provider.models = [*GOOD_MODELS, *FAULT_MODELS]
    call_as("user_1", limits=Limits(tokens_per_minute=100_000))
    return await open_chat(
        openai_base_url=provider.base_url, provider={"first_byte_timeout_seconds": 1, "idle_timeout_seconds": 1}
    )


async def compact(chat: Client, model: str, **parameters: Any) -> pb.CompactResponseResponse:
    body = json.dumps({"model": model, "input": "Hello", **parameters}).encode()
    return await chat.call(chat.stub.CompactResponse, pb.CompactResponseRequest(model=model, body=body))


async def events_when_settled(read: Read, count: int = 1) -> list[UsageEvent]:
    async with asyncio.timeout(5):
        while len(await read()) < count:  # noqa: ASYNC110 - Redis offers no event
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    return await read()


async def test_count_leaves_no_trace(chat: Client, provider: ScriptedProvider, read_usage_events: Read, redis) -> None:
    body = json.dumps({"model": "ok", "input": "Hello"}).encode()
    answer = await chat.call(chat.stub.CountInputTokens, pb.CountInputTokensRequest(body=body))
    assert answer.input_tokens > 0
    assert provider.chats == []
    assert await redis.keys("limit:*") == []
    assert await read_usage_events() == []


async def test_compaction_is_settled_as_the_provider_counted(chat: Client, read_usage_events: Read) -> None:
    answer = await compact(chat, "ok")
    item = orjson.loads(answer.body)["output"][-1]
    assert open_summary(item["encrypted_content"], param="") == GREETING
    assert [state.name for state in answer.limits] == ["tokens"]
    [event] = await events_when_settled(read_usage_events)
    assert (event.input_tokens, event.output_tokens) == (PROMPT_TOKENS, len(GREETING.split()))
    assert (event.model, event.user_id, event.estimated, event.outcome) == ("ok", "user_1", False, FINISHED)


@pytest.mark.parametrize("model", ["status-400", "status-429", "status-500", "not-json", "close-first-byte"])
async def test_provider_that_does_not_answer_is_not_paid(chat: Client, read_usage_events: Read, model: str) -> None:
    with pytest.raises(AppError):
        await compact(chat, model)
    await compact(chat, "ok")
    assert [event.model for event in await events_when_settled(read_usage_events)] == ["ok"]


@pytest.mark.parametrize("model", ["close-mid-stream", "broken-chunk", "stall-mid-stream"])
async def test_provider_that_breaks_is_paid_for_what_it_said(chat: Client, read_usage_events: Read, model: str) -> None:
    with pytest.raises(AppError):
        await compact(chat, model)
    [event] = await events_when_settled(read_usage_events)
    assert (event.estimated, event.outcome) == (True, FAILED)
    assert event.output_tokens > 0


async def test_client_that_leaves_ends_the_providers_call_and_pays(
    chat: Client, provider: ScriptedProvider, read_usage_events: Read
) -> None:
    asking = asyncio.create_task(compact(chat, "stall-after-headers"))
    await provider.wait_for_chats()
    asking.cancel()
    await provider.wait_for_cancelled()
    [event] = await events_when_settled(read_usage_events)
    assert (event.estimated, event.outcome, event.output_tokens) == (True, CANCELLED, 0)
    assert event.input_tokens > 0


async def test_limit_refuses_before_the_provider_is_called(
    chat: Client, provider: ScriptedProvider, read_usage_events: Read
) -> None:
    call_as("user_1", limits=Limits(tokens_per_minute=100))
    with pytest.raises(ResourceExhaustedError):
        await compact(chat, "ok")
    assert provider.chats == []
    assert await read_usage_events() == []


async def test_echo_compacts_by_saying_it_again(chat: Client) -> None:
    item = orjson.loads((await compact(chat, "echo")).body)["output"][-1]
    assert "user: Hello" in open_summary(item["encrypted_content"], param="")


class NamedHistory(history_service_pb2_grpc.HistoryServiceServicer):
    """A history service of one conversation."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    async def ListItems(self, request, context):
        self.requests.append(request)
        if request.conversation_id != "conv_1":
            raise NotFoundError("No such conversation.")
        body = orjson.dumps({"type": "message", "role": "user", "content": "Hello"})
        return history_service_pb2.ListItemsResponse(items=[Item(id="msg_1", body=body)])

    async def UpdateConversation(self, request, context):
        self.requests.append(request)
        return history_service_pb2.UpdateConversationResponse()


async def test_title_is_asked_and_stored_at_history() -> None:
    history = NamedHistory()

    def register(server):
        history_service_pb2_grpc.add_HistoryServiceServicer_to_server(history, server)

    service = history_service_pb2.DESCRIPTOR.services_by_name["HistoryService"]
    call_as("user_1")
    async with grpc_client(HistoryServiceStub, service, register) as client:
        conversations = HistoryConversations(client)
        items = await conversations.first_items("conv_1", count=3)
        await conversations.set_title("conv_1", "The Port")
        with pytest.raises(NotFoundError):
            await conversations.first_items("conv_2", count=3)
    assert items == [{"type": "message", "role": "user", "content": "Hello"}]
    listed, updated, _ = history.requests
    assert (listed.page.page_size, listed.page.after_id) == (3, "")
    assert (updated.title, updated.HasField("metadata"), updated.HasField("archived")) == ("The Port", False, False)
