"""The RPCs of shares, through a real server."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import CollectorRegistry

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.common.v1.page_pb2 import Order
from rostra.common.v1.page_pb2 import PageRequest as Page
from rostra.history.v1 import history_service_pb2, share_service_pb2
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra.history.v1.item_pb2 import Item
from rostra.history.v1.share_pb2 import Share
from rostra.history.v1.share_service_pb2_grpc import ShareServiceStub
from rostra_history.app import build
from rostra_history.settings import DatabaseSettings, Settings
from rostra_history.share_servicer import ShareServicer
from rostra_kit.errors import InvalidArgumentError, NotFoundError, UnauthenticatedError
from rostra_kit.testing.grpc import call_as, call_as_nobody, grpc_client

SERVICE = share_service_pb2.DESCRIPTOR.services_by_name["ShareService"]
HISTORY = history_service_pb2.DESCRIPTOR.services_by_name["HistoryService"]
METHODS = {method.name for method in SERVICE.methods}
OPEN = {"ListSharedItems"}
LAST_SECOND = 253_402_300_799


class Shares:
    """Calls RPCs by their names."""

    def __init__(self, shares, history, registry: CollectorRegistry) -> None:
        self._shares = shares
        self._history = history
        self.registry = registry

    async def call(self, method: str, **fields) -> Message:
        request = getattr(share_service_pb2, f"{method}Request")(**fields)
        return await self._shares.call(getattr(self._shares.stub, method), request)

    async def new_conversation(self, *texts: str) -> str:
        items = [Item(body=json.dumps({"role": "user", "content": text}).encode()) for text in texts]
        request = history_service_pb2.CreateConversationRequest(items=items)
        return (await self._history.call(self._history.stub.CreateConversation, request)).conversation.id

    async def delete_conversation(self, conversation_id: str) -> None:
        request = history_service_pb2.DeleteConversationRequest(conversation_id=conversation_id)
        await self._history.call(self._history.stub.DeleteConversation, request)


@pytest.fixture
async def shares(tmp_path: Path) -> AsyncIterator[Shares]:
    registry = CollectorRegistry()
    settings = Settings(database=DatabaseSettings(url=f"sqlite:///{tmp_path}/history.db"))
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(build(settings, registry))
        clients = [
            await stack.enter_async_context(grpc_client(stub, service, app.register))
            for stub, service in ((ShareServiceStub, SERVICE), (HistoryServiceStub, HISTORY))
        ]
        call_as("user_alice")
        yield Shares(*clients, registry)


async def test_share_is_created_read_listed_and_ended(shares: Shares) -> None:
    conversation_id = await shares.new_conversation("one", "two", "three")
    ends = Timestamp(seconds=LAST_SECOND)
    share = (await shares.call("CreateShare", conversation_id=conversation_id, expire_time=ends)).share
    assert share.id.startswith("share_")
    assert (share.conversation_id, share.title, share.expire_time) == (conversation_id, "one", ends)
    assert share.create_time.seconds > 1_700_000_000
    assert (await shares.call("GetShare", share_id=share.id)).share == share

    unending = (await shares.call("CreateShare", conversation_id=conversation_id)).share
    assert not unending.HasField("expire_time")
    listed = await shares.call("ListShares", conversation_id=conversation_id, page=Page(page_size=1))
    assert (list(listed.shares), listed.has_more) == ([unending], True)
    listed = await shares.call("ListShares", page=Page(order=Order.ORDER_ASCENDING))
    assert (list(listed.shares), listed.has_more) == ([share, unending], False)
    assert shares.registry.get_sample_value("rostra_history_shares_created_total") == 2

    await shares.call("DeleteShare", share_id=share.id)
    for method in ("GetShare", "DeleteShare", "ListSharedItems"):
        with pytest.raises(NotFoundError) as caught:
            await shares.call(method, share_id=share.id)
        assert caught.value.reason == ErrorReason.ERROR_REASON_SHARE_NOT_FOUND
    assert (await shares.call("ListSharedItems", share_id=unending.id)).share.id == unending.id


async def test_anybody_reads_what_is_shared_and_learns_no_more(shares: Shares) -> None:
    conversation_id = await shares.new_conversation("one", "two", "three")
    share = (await shares.call("CreateShare", conversation_id=conversation_id)).share
    call_as_nobody()
    page = Page(page_size=2, order=Order.ORDER_ASCENDING)
    read = await shares.call("ListSharedItems", share_id=share.id, page=page)
    assert read.share == Share(id=share.id, title="one", create_time=share.create_time)
    assert read.has_more
    bodies = [json.loads(item.body) for item in read.items]
    assert bodies == [
        {"type": "message", "id": item.id, "role": "user", "content": [{"type": "input_text", "text": text}]}
        for item, text in zip(read.items, ("one", "two"), strict=True)
    ]
    page.after_id = read.items[1].id
    rest = await shares.call("ListSharedItems", share_id=share.id, page=page)
    assert ([json.loads(item.body)["content"][0]["text"] for item in rest.items], rest.has_more) == (["three"], False)
    newest = await shares.call("ListSharedItems", share_id=share.id)
    assert [item.id for item in newest.items] == [rest.items[0].id, read.items[1].id, read.items[0].id]


async def test_deleted_conversation_is_not_shared_any_more(shares: Shares) -> None:
    conversation_id = await shares.new_conversation("one")
    share = (await shares.call("CreateShare", conversation_id=conversation_id)).share
    await shares.delete_conversation(conversation_id)
    with pytest.raises(NotFoundError) as caught:
        await shares.call("ListSharedItems", share_id=share.id)
    assert caught.value.reason == ErrorReason.ERROR_REASON_SHARE_NOT_FOUND


@pytest.mark.parametrize("seconds", [-(2**62), -1, 0, 1, LAST_SECOND + 1, 2**62])
async def test_impossible_end_names_its_parameter(shares: Shares, seconds: int) -> None:
    conversation_id = await shares.new_conversation("one")
    with pytest.raises(InvalidArgumentError) as caught:
        await shares.call("CreateShare", conversation_id=conversation_id, expire_time=Timestamp(seconds=seconds))
    assert caught.value.param == "expires_at"


def test_every_rpc_is_served() -> None:
    assert vars(ShareServicer).keys() >= METHODS


@pytest.mark.parametrize("method", sorted(METHODS - OPEN))
async def test_nobody_manages_shares(shares: Shares, method: str) -> None:
    call_as_nobody()
    with pytest.raises(UnauthenticatedError):
        await shares.call(method)


@pytest.mark.parametrize("method", sorted(METHODS - OPEN))
async def test_what_is_anothers_does_not_exist(shares: Shares, method: str) -> None:
    conversation_id = await shares.new_conversation("one")
    share = (await shares.call("CreateShare", conversation_id=conversation_id)).share
    call_as("user_mallory")
    if method == "ListShares":
        assert (await shares.call("ListShares", conversation_id=conversation_id)).shares == []
    else:
        name = {"conversation_id": conversation_id} if method == "CreateShare" else {"share_id": share.id}
        with pytest.raises(NotFoundError):
            await shares.call(method, **name)
    call_as("user_alice")
    assert (await shares.call("GetShare", share_id=share.id)).share == share
