"""The RPCs, through a real server: every field of every message, and errors as clients get them."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import CollectorRegistry

from rostra.common.v1.caller_pb2 import Caller
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.common.v1.page_pb2 import Order
from rostra.common.v1.page_pb2 import PageRequest as Page
from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1 import response_pb2
from rostra.history.v1.conversation_pb2 import BranchPoint
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra.history.v1.item_pb2 import FEEDBACK_RATING_NEGATIVE as NEGATIVE
from rostra.history.v1.item_pb2 import FEEDBACK_RATING_POSITIVE, Feedback, Item
from rostra.history.v1.item_pb2 import FEEDBACK_RATING_POSITIVE as POSITIVE
from rostra.history.v1.response_pb2 import Job, Lease, Response
from rostra_history.app import build
from rostra_history.servicer import HistoryServicer
from rostra_history.settings import DatabaseSettings, Settings
from rostra_kit.client import ServiceClient
from rostra_kit.errors import AppError, ConflictError, InvalidArgumentError, NotFoundError, UnauthenticatedError
from rostra_kit.testing.grpc import call_as, call_as_nobody, grpc_client

SERVICE = pb.DESCRIPTOR.services_by_name["HistoryService"]
METHODS = {method.name for method in SERVICE.methods}
# Runners work for everybody, and need not be anybody.
OF_RUNNERS = {"ClaimResponse", "RenewLeases", "ReleaseResponse"}
COMPLETED = response_pb2.RESPONSE_STATUS_COMPLETED
IN_PROGRESS = response_pb2.RESPONSE_STATUS_IN_PROGRESS
QUEUED = response_pb2.RESPONSE_STATUS_QUEUED
CANCELLED = response_pb2.RESPONSE_STATUS_CANCELLED
SIX_SECONDS = Duration(seconds=6)


class History:
    """Calls RPCs by their names."""

    def __init__(self, client: ServiceClient[HistoryServiceStub], registry: CollectorRegistry) -> None:
        self._client = client
        self.registry = registry

    async def call(self, method: str, **fields) -> Message:
        request = getattr(pb, f"{method}Request")(**fields)
        return await self._client.call(getattr(self._client.stub, method), request)

    async def new_conversation(self, *texts: str) -> str:
        answer = await self.call("CreateConversation", items=[message(text) for text in texts])
        return answer.conversation.id

    async def new_response(self, response_id: str, *, answer: str = "", **links: str) -> None:
        response = Response(id=response_id, status=IN_PROGRESS, body=b'{"id":1}', **links)
        given = [Item(id=f"msg_{response_id}_in", body=message("q").body)]
        await self.call("CreateResponse", response=response, input=given)
        if answer:
            output = [Item(id=f"msg_{response_id}_out", body=message(answer).body)]
            finished = Response(id=response_id, status=COMPLETED, body=b'{"id":2}')
            await self.call("FinishResponse", response=finished, output=output)

    async def queue_response(self, response_id: str, **links: str) -> None:
        response = Response(id=response_id, status=QUEUED, body=b"{}", background=True, **links)
        await self.call("CreateResponse", response=response, job=Job(request_body=b"\x00\xff", caller=b"\xfe"))


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[History]:
    registry = CollectorRegistry()
    database = DatabaseSettings(url=f"sqlite:///{tmp_path}/history.db")
    settings = Settings(database=database, abandoned_after_seconds=0.001)
    async with (
        build(settings, registry) as app,
        grpc_client(HistoryServiceStub, SERVICE, app.register) as client,
    ):
        for check in app.readiness:
            await check()
        call_as("user_alice")
        yield History(client, registry)


def message(text: str) -> Item:
    return Item(id="ignored", body=json.dumps({"role": "user", "content": text}).encode())


def texts(items: Sequence[Item]) -> list[str]:
    contents = [json.loads(item.body)["content"] for item in items]
    return [content if isinstance(content, str) else content[0]["text"] for content in contents]


async def test_conversation_is_created_read_changed_and_deleted(history: History) -> None:
    created = (await history.call("CreateConversation", metadata={"a": "1"})).conversation
    assert created.id.startswith("conv_")
    assert created.create_time.seconds > 1_700_000_000
    assert (dict(created.metadata), created.title, created.update_time) == ({"a": "1"}, "", created.create_time)
    key = {"conversation_id": created.id}
    assert (await history.call("GetConversation", **key)).conversation == created
    changed = (await history.call("UpdateConversation", **key, metadata={"pairs": {"b": "2"}}, title="T")).conversation
    assert (dict(changed.metadata), changed.title) == ({"b": "2"}, "T")
    assert (await history.call("UpdateConversation", **key)).conversation.title == "T"
    await history.call("DeleteConversation", **key)
    with pytest.raises(NotFoundError) as caught:
        await history.call("GetConversation", **key)
    assert caught.value.reason == ErrorReason.ERROR_REASON_CONVERSATION_NOT_FOUND
    assert caught.value.message == f"Conversation with id '{created.id}' not found."


async def test_lists_are_newest_first_unless_asked_otherwise(history: History) -> None:
    ids = [await history.new_conversation() for _ in range(3)]
    newest = await history.call("ListConversations", page=Page(page_size=2))
    assert [c.id for c in newest.conversations] == ids[:0:-1]
    assert newest.has_more
    rest = await history.call("ListConversations", page=Page(page_size=2, after_id=ids[1]))
    assert [c.id for c in rest.conversations] == ids[:1]
    assert not rest.has_more
    oldest = await history.call("ListConversations", page=Page(order=Order.ORDER_ASCENDING))
    assert [c.id for c in oldest.conversations] == ids


async def test_conversations_are_listed_as_asked(history: History) -> None:
    ids = [await history.new_conversation() for _ in range(3)]
    key = {"conversation_id": ids[0]}
    archived = (await history.call("UpdateConversation", **key, archived=True)).conversation
    assert archived.archived
    listed = await history.call("ListConversations", archived=True)
    assert list(listed.conversations) == [archived]
    assert (await history.call("UpdateConversation", **key, archived=False)).conversation.archived is False
    by_update = await history.call("ListConversations", order_by=pb.CONVERSATION_TIME_UPDATED)
    assert [c.id for c in by_update.conversations] == [ids[0], ids[2], ids[1]]
    second = (await history.call("GetConversation", conversation_id=ids[1])).conversation
    third = (await history.call("GetConversation", conversation_id=ids[2])).conversation
    since = await history.call("ListConversations", min_create_time=second.create_time)
    assert [c.id for c in since.conversations] == [ids[2], ids[1]]
    between = await history.call(
        "ListConversations", min_create_time=second.create_time, max_create_time=third.create_time
    )
    assert [c.id for c in between.conversations] == [ids[1]]


async def test_active_item_is_told_and_moved(history: History) -> None:
    conversation_id = await history.new_conversation("one", "two")
    key = {"conversation_id": conversation_id}
    two, one = (await history.call("ListItems", **key)).items
    assert (await history.call("GetConversation", **key)).conversation.active_item_id == two.id
    moved = (await history.call("UpdateConversation", **key, active_item_id=one.id)).conversation
    assert moved.active_item_id == one.id
    assert (await history.call("UpdateConversation", **key, active_item_id="")).conversation.active_item_id == ""
    with pytest.raises(NotFoundError) as caught:
        await history.call("UpdateConversation", **key, active_item_id="msg_elsewhere")
    assert caught.value.reason == ErrorReason.ERROR_REASON_ITEM_NOT_FOUND


async def test_branches_are_listed_and_continued(history: History) -> None:
    conversation_id = await history.new_conversation("one", "two", "three")
    key = {"conversation_id": conversation_id}
    three, two, one = (await history.call("ListItems", **key)).items
    assert [item.parent_id for item in (one, two, three)] == ["", one.id, two.id]
    assert not (await history.call("ListForks", **key)).forks
    await history.queue_response("resp_1", conversation_id=conversation_id)
    await history.call("UpdateConversation", **key, active_item_id=one.id)
    [edited] = (await history.call("CreateItems", **key, items=[message("edited")])).items
    assert edited.parent_id == one.id
    assert (await history.call("GetItem", **key, item_id=edited.id)).item == edited
    assert texts((await history.call("ListItems", **key)).items) == ["edited", "one"]
    everything = await history.call("ListItems", **key, view=pb.ITEM_VIEW_ALL_BRANCHES)
    assert list(everything.items) == [edited, three, two, one]
    [fork] = (await history.call("ListForks", **key)).forks
    assert fork.parent_id == one.id
    assert [(branch.item_id, branch.leaf_id, branch.active) for branch in fork.branches] == [
        (two.id, three.id, False),
        (edited.id, edited.id, True),
    ]
    loaded = await history.call("LoadContext", **key)
    assert texts(loaded.items) == ["one", "edited"]
    assert loaded.branch_point == BranchPoint(item_id=edited.id, next_seq=4, switch_count=1)
    about_to_run = await history.call("LoadContext", **key, response_id="resp_1")
    assert texts(about_to_run.items) == ["one", "two", "three"]
    assert about_to_run.branch_point == BranchPoint(item_id=three.id, next_seq=3, switch_count=0)
    late = Response(id="resp_2", status=IN_PROGRESS, body=b"{}", conversation_id=conversation_id)
    await history.call("CreateResponse", response=late, branch_point=about_to_run.branch_point)
    assert texts((await history.call("LoadContext", **key, response_id="resp_2")).items) == ["one", "two", "three"]


async def test_page_without_a_size_has_twenty_elements(history: History) -> None:
    conversation_id = await history.new_conversation(*map(str, range(20)))
    await history.call("CreateItems", conversation_id=conversation_id, items=[message("20")])
    page = await history.call("ListItems", conversation_id=conversation_id)
    assert texts(page.items) == [str(n) for n in range(20, 0, -1)]
    assert page.has_more


_OPINION = Feedback(rating=FEEDBACK_RATING_POSITIVE, comment="good", update_time=Timestamp(seconds=7, nanos=1_000))


async def test_conversation_is_imported_with_its_times_and_its_active_item(history: History) -> None:
    items = [
        pb.ImportedItem(key="a", body=message("one").body, create_time=Timestamp(seconds=6, nanos=1_000)),
        pb.ImportedItem(key="b", parent_key="a", body=message("two").body),
        pb.ImportedItem(key="c", parent_key="a", body=message("three").body, feedback=_OPINION),
    ]
    imported = {
        "title": "T",
        "metadata": {"a": "1"},
        "archived": True,
        "create_time": Timestamp(seconds=5),
        "update_time": Timestamp(seconds=9, nanos=999_999_000),
        "items": items,
    }
    stored = (await history.call("ImportConversation", **imported, active_key="b")).conversation
    assert (await history.call("GetConversation", conversation_id=stored.id)).conversation == stored
    assert (stored.title, dict(stored.metadata), stored.archived) == ("T", {"a": "1"}, True)
    assert (stored.create_time, stored.update_time) == (imported["create_time"], imported["update_time"])
    context = await history.call("LoadContext", conversation_id=stored.id)
    assert texts(context.items) == ["one", "two"]
    assert [item.create_time for item in context.items] == [items[0].create_time, stored.create_time]
    assert stored.active_item_id == context.items[1].id
    listed = await history.call("ListItems", conversation_id=stored.id, view=pb.ITEM_VIEW_ALL_BRANCHES)
    assert [item.feedback for item in listed.items if item.HasField("feedback")] == [_OPINION]
    last = (await history.call("ImportConversation", **imported)).conversation
    assert texts((await history.call("LoadContext", conversation_id=last.id)).items) == ["one", "three"]
    anew = (await history.call("ImportConversation", **imported, active_key="")).conversation
    assert anew.active_item_id == ""


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"create_time": Timestamp(seconds=-1)}, "create_time"),
        ({"update_time": Timestamp(seconds=253_402_300_800)}, "update_time"),
        ({"items": [{"key": "a", "body": b"{}", "create_time": {"seconds": -1}}]}, "items[0].create_time"),
        ({"items": [{"key": "a", "body": b"\xff"}]}, "items[0]"),
        ({"items": [{"key": "a", "body": b"{}"}]}, "items[0].type"),
        ({"items": [{"key": "a", "body": b"{}", "feedback": {}}]}, "rating"),
        ({"items": [{"key": "a", "body": b"{}", "feedback": {"comment": "x" * 2_001}}]}, "comment"),
        ({"title": "x" * 201}, "title"),
        ({"metadata": {"x" * 65: ""}}, "metadata"),
    ],
)
async def test_import_that_cannot_be_names_the_field(history: History, fields: dict, param: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await history.call("ImportConversation", **fields)
    assert caught.value.param == param
    assert not (await history.call("ListConversations")).conversations


async def test_responses_are_listed_by_their_time(history: History) -> None:
    conversation_id = await history.new_conversation()
    await history.new_response("resp_1", answer="a")
    await history.new_response("resp_2", answer="b", conversation_id=conversation_id)
    await history.queue_response("resp_3")
    newest = await history.call("ListResponses", page=Page(page_size=2))
    assert [response.id for response in newest.responses] == ["resp_3", "resp_2"]
    assert newest.has_more
    assert newest.responses[1].conversation_id == conversation_id
    oldest = await history.call("ListResponses", page=Page(order=Order.ORDER_ASCENDING))
    assert [(response.id, response.status) for response in oldest.responses] == [
        ("resp_1", COMPLETED),
        ("resp_2", COMPLETED),
        ("resp_3", QUEUED),
    ]
    call_as("user_mallory")
    assert not (await history.call("ListResponses")).responses


async def test_items_are_created_in_normal_form_and_deleted(history: History) -> None:
    conversation_id = await history.new_conversation()
    call = Item(body=b'{"type":"function_call","call_id":"c","name":"f","arguments":"{}","id":"mine"}')
    created = await history.call("CreateItems", conversation_id=conversation_id, items=[message("Hi"), call])
    body = json.loads(created.items[0].body)
    assert body == {
        "type": "message",
        "id": created.items[0].id,
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hi"}],
    }
    assert created.items[1].id.startswith("fc_")
    key = {"conversation_id": conversation_id, "item_id": created.items[0].id}
    assert (await history.call("GetItem", **key)).item == created.items[0]
    deleted = await history.call("DeleteItem", **key)
    assert deleted.conversation.id == conversation_id
    with pytest.raises(NotFoundError) as caught:
        await history.call("GetItem", **key)
    assert caught.value.reason == ErrorReason.ERROR_REASON_ITEM_NOT_FOUND


async def test_feedback_is_given_changed_and_forgotten(history: History) -> None:
    conversation_id = await history.new_conversation("Hi")
    [item] = (await history.call("ListItems", conversation_id=conversation_id)).items
    key = {"conversation_id": conversation_id, "item_id": item.id}
    await history.call("UpdateFeedback", **key, feedback=Feedback(rating=POSITIVE))
    given = (await history.call("UpdateFeedback", **key, feedback=Feedback(rating=NEGATIVE, comment="No."))).feedback
    assert (given.rating, given.comment) == (NEGATIVE, "No.")
    assert given.update_time.seconds > 1_700_000_000
    assert (await history.call("GetFeedback", **key)).feedback == given
    assert (await history.call("GetItem", **key)).item == item
    await history.call("DeleteFeedback", **key)
    for method in ("GetFeedback", "DeleteFeedback"):
        with pytest.raises(NotFoundError) as caught:
            await history.call(method, **key)
        assert caught.value.reason == ErrorReason.ERROR_REASON_FEEDBACK_NOT_FOUND
    for rating, times in (("positive", 1), ("negative", 1)):
        assert history.registry.get_sample_value("rostra_history_feedback_given_total", {"rating": rating}) == times


async def test_response_is_stored_finished_continued_and_deleted(history: History) -> None:
    await history.new_response("resp_1", answer="a1")
    got = await history.call("GetResponse", response_id="resp_1")
    assert (got.response.id, got.response.status, got.response.body) == ("resp_1", COMPLETED, b'{"id":2}')
    assert got.response.create_time.seconds > 1_700_000_000
    assert texts(got.output) == ["a1"]
    assert got.output[0].id == "msg_resp_1_out"
    await history.new_response("resp_2", answer="a2", previous_response_id="resp_1")
    second = (await history.call("GetResponse", response_id="resp_2")).response
    assert (second.previous_response_id, second.conversation_id) == ("resp_1", "")
    context = await history.call("LoadContext", previous_response_id="resp_2", item_ids=["msg_resp_1_out"])
    assert texts(context.items) == ["q", "a1", "q", "a2"]
    assert texts(context.referenced_items) == ["a1"]
    given = await history.call("ListInputItems", response_id="resp_2")
    assert [item.id for item in given.items] == ["msg_resp_2_in"]
    await history.call("DeleteResponse", response_id="resp_2")
    with pytest.raises(NotFoundError) as caught:
        await history.call("GetResponse", response_id="resp_2")
    assert caught.value.reason == ErrorReason.ERROR_REASON_RESPONSE_NOT_FOUND


async def test_response_joins_its_conversation(history: History) -> None:
    conversation_id = await history.new_conversation("hello")
    await history.new_response("resp_1", answer="a", conversation_id=conversation_id)
    assert texts((await history.call("LoadContext", conversation_id=conversation_id)).items) == ["hello", "q", "a"]
    assert (await history.call("GetResponse", response_id="resp_1")).response.conversation_id == conversation_id


async def test_background_response_is_run_by_whoever_claims_it(history: History) -> None:
    await history.queue_response("resp_1")
    assert (await history.call("GetResponse", response_id="resp_1")).response.status == QUEUED
    call_as_nobody()
    claimed = await history.call("ClaimResponse", lease_duration=SIX_SECONDS)
    assert claimed.lease == Lease(response_id="resp_1", attempt=1, tries=1)
    assert (claimed.response.id, claimed.response.status, claimed.response.background) == ("resp_1", IN_PROGRESS, True)
    assert claimed.job == Job(request_body=b"\x00\xff", caller=b"\xfe")
    assert await history.call("ClaimResponse", lease_duration=SIX_SECONDS) == pb.ClaimResponseResponse()
    await history.call("ReleaseResponse", lease=claimed.lease)
    claimed = await history.call("ClaimResponse", lease_duration=SIX_SECONDS)
    assert claimed.lease == Lease(response_id="resp_1", attempt=2, tries=1)

    call_as("user_alice")
    cancelled = (await history.call("CancelResponse", response_id="resp_1")).response
    assert (cancelled.id, cancelled.status) == ("resp_1", IN_PROGRESS)
    call_as_nobody()
    leases = [claimed.lease, Lease(response_id="resp_x", attempt=1)]
    renewal = await history.call("RenewLeases", leases=leases, lease_duration=SIX_SECONDS)
    assert (renewal.lost_response_ids, renewal.cancelled_response_ids) == (["resp_x"], ["resp_1"])

    call_as("user_alice")
    finished = Response(id="resp_1", status=CANCELLED, body=b"{}")
    for lease in (None, Lease(response_id="resp_1", attempt=1)):
        with pytest.raises(ConflictError) as caught:
            await history.call("FinishResponse", response=finished, lease=lease)
        assert caught.value.reason == ErrorReason.ERROR_REASON_LEASE_LOST
    await history.call("FinishResponse", response=finished, lease=claimed.lease)
    got = (await history.call("GetResponse", response_id="resp_1")).response
    assert (got.status, got.background) == (CANCELLED, True)


async def test_queued_response_is_cancelled_and_others_cannot_be(history: History) -> None:
    await history.queue_response("resp_1")
    for _ in range(2):
        assert (await history.call("CancelResponse", response_id="resp_1")).response.status == CANCELLED
    assert await history.call("ClaimResponse", lease_duration=SIX_SECONDS) == pb.ClaimResponseResponse()
    await history.new_response("resp_2", answer="a")
    with pytest.raises(InvalidArgumentError) as caught:
        await history.call("CancelResponse", response_id="resp_2")
    assert caught.value.message == "Cannot cancel a synchronous response."


async def test_abandoned_response_is_ended_for_its_owner(history: History) -> None:
    await history.new_response("resp_1")
    call_as_nobody()
    claimed = pb.ClaimResponseResponse()
    while not claimed.HasField("lease"):
        claimed = await history.call("ClaimResponse", lease_duration=SIX_SECONDS)
    assert claimed.lease == Lease(response_id="resp_1", attempt=1, tries=1)
    assert claimed.job.request_body == b""
    assert Caller.FromString(claimed.job.caller) == Caller(user_id="user_alice")


async def test_unknown_previous_response_is_a_bad_parameter(history: History) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await history.call("LoadContext", previous_response_id="resp_x")
    assert caught.value.reason == ErrorReason.ERROR_REASON_PREVIOUS_RESPONSE_NOT_FOUND
    assert caught.value.message == "Previous response with id 'resp_x' not found."
    assert caught.value.param == "previous_response_id"


async def test_bodies_of_responses_are_kept_byte_for_byte(history: History) -> None:
    body = b'{"\\u0000" :[1e400,"\\ud800"], "$x.y":\t' + str(2**70).encode() + b"}"
    await history.call("CreateResponse", response=Response(id="resp_1", body=body), input=[Item(id="a", body=body)])
    assert (await history.call("GetResponse", response_id="resp_1")).response.body == body
    assert (await history.call("ListInputItems", response_id="resp_1")).items[0].body == body


@pytest.mark.parametrize(
    ("method", "fields", "param"),
    [
        ("CreateConversation", {"metadata": {"k" * 65: ""}}, "metadata"),
        ("CreateConversation", {"items": [message("x")] * 21}, "items"),
        ("CreateConversation", {"items": [message("x"), Item(body=b"{")]}, "items[1]"),
        ("CreateConversation", {"items": [Item(body=b"\xff")]}, "items[0]"),
        ("CreateConversation", {"items": [Item(body=b'{"role":"user"}')]}, "items[0].content"),
        ("CreateConversation", {"items": [Item(body=b'{"role":"user","content":"\\udfff"}')]}, "items[0]"),
        ("ListConversations", {"page": Page(page_size=-1)}, "limit"),
        ("ListConversations", {"page": Page(after_id="conv_x")}, "after"),
        ("UpdateConversation", {"conversation_id": "conv_x", "title": "t" * 201}, "title"),
        ("LoadContext", {"previous_response_id": "a", "conversation_id": "b"}, "previous_response_id"),
        ("CreateResponse", {"response": Response(body=b"{}")}, "response.id"),
        ("CreateResponse", {"response": Response(id="a", body=b"\xff")}, "response.body"),
        ("CreateResponse", {"response": Response(id="a"), "input": [Item(body=b"{}")]}, "input[0].id"),
        ("FinishResponse", {"response": Response(id="a")}, "status"),
        ("FinishResponse", {"response": Response(id="a", status=IN_PROGRESS)}, "status"),
        ("FinishResponse", {"response": Response(id="a", status=QUEUED)}, "status"),
        (
            "FinishResponse",
            {"response": Response(id="a", status=COMPLETED), "lease": Lease(response_id="b")},
            "lease.response_id",
        ),
        ("CreateResponse", {"response": Response(id="a", status=QUEUED), "job": Job()}, "job"),
        ("CreateResponse", {"response": Response(id="a", status=QUEUED, background=True)}, "job"),
        ("CreateResponse", {"response": Response(id="a", status=IN_PROGRESS, background=True), "job": Job()}, "job"),
        ("CreateResponse", {"response": Response(id="a", status=IN_PROGRESS), "job": Job()}, "job"),
        ("ClaimResponse", {}, "lease_duration"),
        ("ClaimResponse", {"lease_duration": Duration(seconds=-1)}, "lease_duration"),
        ("ClaimResponse", {"lease_duration": Duration(seconds=3601)}, "lease_duration"),
        ("RenewLeases", {}, "lease_duration"),
        ("RenewLeases", {"leases": [Lease(attempt=1)], "lease_duration": SIX_SECONDS}, "lease.response_id"),
        ("ReleaseResponse", {}, "lease.response_id"),
        ("UpdateFeedback", {"item_id": "msg_x"}, "rating"),
        ("UpdateFeedback", {"item_id": "msg_x", "feedback": Feedback(rating=3)}, "rating"),
        ("UpdateFeedback", {"feedback": Feedback(rating=POSITIVE, comment="x" * 2_001)}, "comment"),
    ],
)
async def test_impossible_request_names_its_parameter(history: History, method, fields, param) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await history.call(method, **fields)
    assert caught.value.param == param


def test_every_rpc_is_served() -> None:
    assert vars(HistoryServicer).keys() >= METHODS


@pytest.mark.parametrize("method", sorted(METHODS - OF_RUNNERS))
async def test_nobody_gets_an_answer_without_a_caller(history: History, method: str) -> None:
    call_as_nobody()
    with pytest.raises(UnauthenticatedError):
        await history.call(method)


# How somebody else calls each RPC that names something; a new RPC belongs here, or to those that name nothing.
FOREIGN = {
    "GetConversation": {"conversation_id": "CONV"},
    "UpdateConversation": {"conversation_id": "CONV"},
    "ListForks": {"conversation_id": "CONV"},
    "DeleteConversation": {"conversation_id": "CONV"},
    "CreateItems": {"conversation_id": "CONV", "items": [message("x")]},
    "ListItems": {"conversation_id": "CONV"},
    "GetItem": {"conversation_id": "CONV", "item_id": "ITEM"},
    "DeleteItem": {"conversation_id": "CONV", "item_id": "ITEM"},
    "LoadContext": {"conversation_id": "CONV"},
    "FinishResponse": {"response": Response(id="resp_1", status=COMPLETED)},
    "GetResponse": {"response_id": "resp_1"},
    "DeleteResponse": {"response_id": "resp_1"},
    "ListInputItems": {"response_id": "resp_1"},
    "CreateResponse": {"response": Response(id="resp_2", previous_response_id="resp_1")},
    "CancelResponse": {"response_id": "resp_1"},
    "UpdateFeedback": {"conversation_id": "CONV", "item_id": "ITEM", "feedback": Feedback(rating=POSITIVE)},
    "GetFeedback": {"conversation_id": "CONV", "item_id": "ITEM"},
    "DeleteFeedback": {"conversation_id": "CONV", "item_id": "ITEM"},
}
NAMES_NOTHING = {
    *("CreateConversation", "ImportConversation", "ListConversations", "SearchConversations"),
    *("ListResponses", "DeleteUserData"),
}


@pytest.mark.parametrize("method", sorted(METHODS - NAMES_NOTHING - OF_RUNNERS))
async def test_what_is_anothers_does_not_exist(history: History, method: str) -> None:
    conversation_id = await history.new_conversation("secret")
    item_id = (await history.call("ListItems", conversation_id=conversation_id)).items[0].id
    await history.new_response("resp_1", answer="a")
    names = {"CONV": conversation_id, "ITEM": item_id}
    fields = {
        name: names.get(value, value) if isinstance(value, str) else value for name, value in FOREIGN[method].items()
    }
    call_as("user_mallory")
    with pytest.raises(AppError, match="not found") as caught:
        await history.call(method, **fields)
    expected = InvalidArgumentError if method == "CreateResponse" else NotFoundError
    assert isinstance(caught.value, expected)
    assert (await history.call("ListConversations")).conversations == []
    assert (await history.call("SearchConversations", query="secret")).matches == []
    await history.call("DeleteUserData")
    call_as("user_alice")
    assert texts((await history.call("ListItems", conversation_id=conversation_id)).items) == ["secret"]
    assert texts((await history.call("GetResponse", response_id="resp_1")).output) == ["a"]


async def test_conversations_are_searched_by_pages(history: History) -> None:
    names = [await history.new_conversation(f"The prows, {number}.") for number in range(3)]
    await history.call("UpdateConversation", conversation_id=names[0], title="Prows")
    first = await history.call("SearchConversations", query="PROWS", page=Page(page_size=2))
    assert [match.conversation.id for match in first.matches] == names[:0:-1]
    assert first.has_more
    [item] = (await history.call("ListItems", conversation_id=names[2])).items
    match = first.matches[0]
    assert (match.id, match.item_id, match.snippet) == (item.id, item.id, "The prows, 2.")
    assert match.create_time == item.create_time
    rest = await history.call("SearchConversations", query="PROWS", page=Page(after_id=first.matches[-1].id))
    assert [match.conversation.id for match in rest.matches] == names[:1]
    assert not rest.has_more
    [title] = (await history.call("SearchConversations", query="prows", page=Page(after_id=names[1]))).matches
    assert title.conversation.title == "Prows"


async def test_query_without_a_word_is_refused(history: History) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await history.call("SearchConversations", query="...")
    assert caught.value.param == "query"


async def test_deleted_user_data_is_gone(history: History) -> None:
    conversation_id = await history.new_conversation("one")
    await history.call("DeleteUserData")
    with pytest.raises(NotFoundError):
        await history.call("ListItems", conversation_id=conversation_id)


async def test_what_is_stored_is_counted(history: History) -> None:
    conversation_id = await history.new_conversation("one", "two")
    await history.new_response("resp_1", answer="a", conversation_id=conversation_id)
    await history.call("LoadContext", conversation_id=conversation_id)

    def value(name: str, **labels: str) -> float | None:
        return history.registry.get_sample_value(f"rostra_history_{name}", labels)

    assert value("conversations_created_total") == 1
    assert value("items_stored_total", source="direct") == 2
    assert value("items_stored_total", source="input") == 1
    assert value("items_stored_total", source="output") == 1
    assert value("responses_finished_total", status="completed") == 1
    assert value("context_items_sum") == 4

    await history.queue_response("resp_2")
    await history.call("ClaimResponse", lease_duration=SIX_SECONDS)
    await history.queue_response("resp_3")
    await history.call("CancelResponse", response_id="resp_3")
    assert value("responses_claimed_total", reason="queued") == 1
    assert value("queue_seconds_count") == 1
    assert value("responses_finished_total", status="cancelled") == 1
