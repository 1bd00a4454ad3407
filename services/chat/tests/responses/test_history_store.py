import orjson
import pytest

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.history.v1 import history_service_pb2, history_service_pb2_grpc
from rostra.history.v1.conversation_pb2 import BranchPoint
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceStub
from rostra.history.v1.item_pb2 import Item
from rostra.history.v1.response_pb2 import ResponseStatus
from rostra_chat.errors import LeaseLost
from rostra_chat.responses.history_store import HistoryResponseStore
from rostra_chat.responses.store import Context
from rostra_kit.errors import ConflictError, NotFoundError
from rostra_kit.testing.grpc import call_as, grpc_client

MESSAGE = {"id": "msg_1", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}


class RecordingHistory(history_service_pb2_grpc.HistoryServiceServicer):
    def __init__(self):
        self.requests = []
        self.error = None
        self.branch_point = None

    async def LoadContext(self, request, context):
        self._note(request)
        item = Item(id="msg_1", body=orjson.dumps(MESSAGE))
        return history_service_pb2.LoadContextResponse(
            items=[item], referenced_items=[item, item], branch_point=self.branch_point
        )

    async def CreateResponse(self, request, context):
        self._note(request)
        return history_service_pb2.CreateResponseResponse()

    async def RenewLeases(self, request, context):
        self._note(request)
        return history_service_pb2.RenewLeasesResponse()

    async def FinishResponse(self, request, context):
        self._note(request)
        return history_service_pb2.FinishResponseResponse()

    def _note(self, request):
        self.requests.append(request)
        if self.error:
            raise self.error


@pytest.fixture
def history():
    return RecordingHistory()


@pytest.fixture
async def store(history):
    def register(server):
        history_service_pb2_grpc.add_HistoryServiceServicer_to_server(history, server)

    service = history_service_pb2.DESCRIPTOR.services_by_name["HistoryService"]
    call_as("user_1")
    async with grpc_client(HistoryServiceStub, service, register) as client:
        yield HistoryResponseStore(client)


def response(status, **more):
    return {
        "id": "resp_1",
        "status": status,
        "created_at": 1_700_000_000,
        "previous_response_id": None,
        "conversation": None,
        "output": [],
        **more,
    }


async def test_context_is_parsed(store, history):
    context = await store.load_context(previous_response_id="resp_0", conversation_id="", item_ids=["msg_1", "msg_1"])

    assert context == Context(items=(MESSAGE,), referenced=(MESSAGE, MESSAGE))
    assert history.requests[0].previous_response_id == "resp_0"
    assert history.requests[0].item_ids == ["msg_1", "msg_1"]
    assert not history.requests[0].response_id


async def test_response_that_is_stored_already_is_named(store, history):
    await store.load_context(previous_response_id="", conversation_id="conv_1", item_ids=[], response_id="resp_1")

    assert (history.requests[0].conversation_id, history.requests[0].response_id) == ("conv_1", "resp_1")


async def test_point_of_the_context_is_handed_back_as_it_came(store, history):
    point = BranchPoint(item_id="msg_1", next_seq=7, switch_count=2)
    history.branch_point = point
    context = await store.load_context(previous_response_id="", conversation_id="conv_1", item_ids=[])
    await store.create(response("in_progress"), input_items=[], branch_point=context.branch_point, lease_seconds=20)
    await store.create(response("in_progress"), input_items=[], lease_seconds=20)

    assert history.requests[1].branch_point == point
    assert not history.requests[2].HasField("branch_point")


async def test_beginning_is_stored_with_its_input(store, history):
    await store.create(response("in_progress", previous_response_id="resp_0"), input_items=[MESSAGE], lease_seconds=20)

    stored = history.requests[0]
    assert stored.response.status == ResponseStatus.RESPONSE_STATUS_IN_PROGRESS
    assert stored.response.previous_response_id == "resp_0"
    assert stored.response.create_time.seconds == 1_700_000_000
    assert [(item.id, orjson.loads(item.body)) for item in stored.input] == [("msg_1", MESSAGE)]


@pytest.mark.parametrize(
    ("status", "stored"),
    [
        ("completed", ResponseStatus.RESPONSE_STATUS_COMPLETED),
        ("incomplete", ResponseStatus.RESPONSE_STATUS_INCOMPLETE),
        ("failed", ResponseStatus.RESPONSE_STATUS_FAILED),
        ("cancelled", ResponseStatus.RESPONSE_STATUS_CANCELLED),
    ],
)
async def test_output_is_stored_as_items_and_not_in_the_body(store, history, status, stored):
    await store.finish(response(status, conversation={"id": "conv_1"}, output=[MESSAGE]))

    request = history.requests[0]
    assert request.response.status == stored
    assert request.response.conversation_id == "conv_1"
    assert "output" not in orjson.loads(request.response.body)
    assert [orjson.loads(item.body) for item in request.output] == [MESSAGE]


async def test_refusal_of_history_passes_through(store, history):
    history.error = NotFoundError("No such response.", param="previous_response_id")

    with pytest.raises(NotFoundError) as caught:
        await store.load_context(previous_response_id="resp_0", conversation_id="", item_ids=[])

    assert caught.value.param == "previous_response_id"


async def test_lease_that_others_have_is_lost(store, history):
    history.error = ConflictError("It is another runner's.", reason=ErrorReason.ERROR_REASON_LEASE_LOST)
    with pytest.raises(LeaseLost):
        await store.finish(response("completed"))


async def test_leases_are_those_of_nobodys_attempt(store, history):
    await store.create(response("in_progress"), input_items=[], lease_seconds=1.5)
    await store.renew(["resp_1", "resp_2"], lease_seconds=1.5)

    created, renewed = history.requests
    assert created.lease_duration.ToTimedelta().total_seconds() == 1.5
    assert renewed.lease_duration == created.lease_duration
    assert [(lease.response_id, lease.attempt) for lease in renewed.leases] == [("resp_1", 0), ("resp_2", 0)]
