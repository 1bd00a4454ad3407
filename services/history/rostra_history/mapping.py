"""Messages of the wire and what they stand for, both ways."""

from collections.abc import Iterable
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from rostra.common.v1.caller_pb2 import Caller
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.common.v1.page_pb2 import Order
from rostra.common.v1.page_pb2 import PageRequest as PageMessage
from rostra.history.v1 import conversation_pb2, item_pb2, response_pb2
from rostra.history.v1.history_service_pb2 import (
    CONVERSATION_TIME_UPDATED,
    ITEM_VIEW_ALL_BRANCHES,
    ClaimResponseResponse,
    CreateResponseRequest,
    FinishResponseRequest,
    ListConversationsRequest,
    RenewLeasesResponse,
    UpdateConversationRequest,
)
from rostra_history.branches import Fork
from rostra_history.domain import (
    BranchPoint,
    Conversation,
    ConversationChanges,
    ConversationFilter,
    ConversationTime,
    Item,
    ItemView,
    PageRequest,
    Response,
    ResponseStatus,
)
from rostra_history.drafts import NewItem
from rostra_history.leases import Claim, Job, Lease, Renewal
from rostra_history.search import Match
from rostra_history.validation import page_request, parse_json
from rostra_kit.errors import InvalidArgumentError

_STATUSES = {
    ResponseStatus.IN_PROGRESS: response_pb2.RESPONSE_STATUS_IN_PROGRESS,
    ResponseStatus.COMPLETED: response_pb2.RESPONSE_STATUS_COMPLETED,
    ResponseStatus.INCOMPLETE: response_pb2.RESPONSE_STATUS_INCOMPLETE,
    ResponseStatus.FAILED: response_pb2.RESPONSE_STATUS_FAILED,
    ResponseStatus.CANCELLED: response_pb2.RESPONSE_STATUS_CANCELLED,
    ResponseStatus.QUEUED: response_pb2.RESPONSE_STATUS_QUEUED,
}
_STATUSES_BY_NUMBER = {int(number): status for status, number in _STATUSES.items()}
_MAX_LEASE_US = 3_600_000_000
_LAST_SECOND = 253_402_300_799


def conversation_message(conversation: Conversation) -> conversation_pb2.Conversation:
    """Return the message of a conversation."""
    return conversation_pb2.Conversation(
        id=conversation.id,
        metadata=conversation.metadata,
        title=conversation.title,
        create_time=timestamp(conversation.create_time_us),
        update_time=timestamp(conversation.update_time_us),
        archived=conversation.archived,
        active_item_id=conversation.leaf_id or "",
    )


def conversation_changes(request: UpdateConversationRequest) -> ConversationChanges:
    """Return what is to become of a conversation."""
    return ConversationChanges(
        metadata=request.metadata.pairs if request.HasField("metadata") else None,
        title=request.title if request.HasField("title") else None,
        archived=request.archived if request.HasField("archived") else None,
        active_item_id=request.active_item_id if request.HasField("active_item_id") else None,
    )


def conversation_filter(request: ListConversationsRequest) -> ConversationFilter:
    """Return which conversations are asked for."""
    by_update = request.order_by == CONVERSATION_TIME_UPDATED
    return ConversationFilter(
        archived=request.archived,
        order_by=ConversationTime.UPDATED if by_update else ConversationTime.CREATED,
        min_create_time_us=_optional_time_us(request, "min_create_time"),
        max_create_time_us=_optional_time_us(request, "max_create_time"),
    )


def item_messages(items: Iterable[Item]) -> list[item_pb2.Item]:
    """Return the messages of items."""
    return [_item_message(item) for item in items]


def member_messages(items: Iterable[Item]) -> list[item_pb2.Item]:
    """Return the messages of a conversation's items."""
    return [member_message(item) for item in items]


def member_message(item: Item) -> item_pb2.Item:
    """Return the message of a conversation's item, whose parent is one that is shown."""
    message = _item_message(item)
    message.parent_id = item.parent_id or ""
    return message


def item_view(number: int) -> ItemView:
    """Return which items are asked for."""
    return ItemView.ALL_BRANCHES if number == ITEM_VIEW_ALL_BRANCHES else ItemView.ACTIVE_BRANCH


def branch_point_message(point: BranchPoint | None) -> conversation_pb2.BranchPoint | None:
    """Return the message of a point of a branch, if there is one."""
    if point is None:
        return None
    return conversation_pb2.BranchPoint(
        item_id=point.leaf_id or "", next_seq=point.next_seq, switch_count=point.switch_count
    )


def branch_point_of(request: CreateResponseRequest) -> BranchPoint | None:
    """Return which point of its conversation a response continues; `None` for the present one."""
    if not request.HasField("branch_point"):
        return None
    point = request.branch_point
    return BranchPoint(point.item_id or None, point.next_seq, point.switch_count)


def fork_message(fork: Fork) -> conversation_pb2.Fork:
    """Return the message of a fork."""
    branches = [
        conversation_pb2.Branch(item_id=branch.item_id, leaf_id=branch.leaf_id, active=branch.active)
        for branch in fork.branches
    ]
    return conversation_pb2.Fork(parent_id=fork.parent_id or "", branches=branches)


def match_message(match: Match) -> conversation_pb2.Match:
    """Return the message of what a search found."""
    return conversation_pb2.Match(
        id=match.id,
        conversation=conversation_message(match.conversation),
        item_id=match.item_id or "",
        snippet=match.snippet,
        create_time=timestamp(match.create_time_us),
    )


def response_message(response: Response) -> response_pb2.Response:
    """Return the message of a response."""
    return response_pb2.Response(
        id=response.id,
        status=_STATUSES[response.status],
        previous_response_id=response.previous_response_id or "",
        conversation_id=response.conversation_id or "",
        body=response.body.encode(),
        create_time=timestamp(response.create_time_us),
        background=response.background,
    )


def claim_message(claim: Claim | None) -> ClaimResponseResponse:
    """Return the message of what a runner gets; without a job it gets to know for whom to end the response."""
    if claim is None:
        return ClaimResponseResponse()
    response = claim.response
    job = claim.job or Job(b"", Caller(user_id=response.owner).SerializeToString())
    return ClaimResponseResponse(
        lease=response_pb2.Lease(response_id=response.id, attempt=response.attempt, tries=claim.tries),
        response=response_message(response),
        job=response_pb2.Job(request_body=job.request_body, caller=job.caller),
    )


def renewal_message(renewal: Renewal) -> RenewLeasesResponse:
    """Return the message of what became of leases."""
    return RenewLeasesResponse(lost_response_ids=renewal.lost_ids, cancelled_response_ids=renewal.cancelled_ids)


def new_job(request: CreateResponseRequest) -> Job | None:
    """Return what it takes to run the response in the background; `None` when it runs for a waiting client."""
    is_queued = request.response.status == response_pb2.RESPONSE_STATUS_QUEUED
    if not request.response.background == is_queued == request.HasField("job"):
        raise InvalidArgumentError("A background response is queued and has a job; no other is or has.", param="job")
    return Job(request.job.request_body, request.job.caller) if is_queued else None


def lease_of(message: response_pb2.Lease) -> Lease:
    """Return a runner's lease."""
    return Lease(required(message.response_id, param="lease.response_id"), message.attempt)


def attempt_of(request: FinishResponseRequest) -> int:
    """Return the attempt that ends the response; 0 when none is told of."""
    if not request.HasField("lease"):
        return 0
    if request.lease.response_id != request.response.id:
        raise InvalidArgumentError("The lease is one of another response.", param="lease.response_id")
    return request.lease.attempt


def lease_us_of(duration: Duration) -> int:
    """Return for how many microseconds a lease is wanted."""
    whole = duration.seconds in range(_MAX_LEASE_US) and duration.nanos in range(1_000_000_000)
    lease_us = duration.ToMicroseconds() if whole else 0
    if not 0 < lease_us <= _MAX_LEASE_US:
        raise InvalidArgumentError("A lease lasts for some time, and for an hour at most.", param="lease_duration")
    return lease_us


def parsed_bodies(items: Iterable[item_pb2.Item]) -> list[Any]:
    """Return the parsed bodies of items whose ids are of no interest."""
    params = ((f"items[{index}]", item) for index, item in enumerate(items))
    return [parse_json(body_text(item.body, param=param), param=param) for param, item in params]


def new_items(items: Iterable[item_pb2.Item], *, param: str) -> list[NewItem]:
    """Return items whose ids and bodies are stored as they are."""
    return [
        NewItem(
            id=required(item.id, param=f"{param}[{index}].id"),
            body=body_text(item.body, param=f"{param}[{index}].body"),
        )
        for index, item in enumerate(items)
    ]


def response_status(number: int) -> ResponseStatus:
    """Return the status of this number in the enum of the wire."""
    if number not in _STATUSES_BY_NUMBER:
        raise InvalidArgumentError("A response needs a status.", param="status")
    return _STATUSES_BY_NUMBER[number]


def response_body(response: response_pb2.Response) -> str:
    """Return the JSON text of a response."""
    return body_text(response.body, param="response.body")


def page_of(message: PageMessage) -> PageRequest:
    """Return which page is asked for."""
    return page_request(
        page_size=message.page_size, after_id=message.after_id, descending=message.order != Order.ORDER_ASCENDING
    )


def required(value: str, *, param: str) -> str:
    """Return `value`, which must not be empty."""
    if not value:
        raise InvalidArgumentError(
            f"Missing required parameter: '{param}'.",
            reason=ErrorReason.ERROR_REASON_MISSING_REQUIRED_PARAMETER,
            param=param,
        )
    return value


def time_us_of(message: Timestamp, *, param: str) -> int:
    """Return a time in microseconds since 1970."""
    if not (0 <= message.seconds <= _LAST_SECOND and 0 <= message.nanos < 1_000_000_000):
        raise InvalidArgumentError("A time lies between 1970 and the end of 9999.", param=param)
    return message.ToMicroseconds()


def _optional_time_us(request: ListConversationsRequest, field: str) -> int | None:
    return time_us_of(getattr(request, field), param=field) if request.HasField(field) else None


def timestamp(time_us: int) -> Timestamp:
    """Return the message of a time in microseconds since 1970."""
    message = Timestamp()
    message.FromMicroseconds(time_us)
    return message


def _item_message(item: Item) -> item_pb2.Item:
    return item_pb2.Item(id=item.id, body=item.body.encode(), create_time=timestamp(item.create_time_us))


def body_text(body: bytes, *, param: str) -> str:
    """Return the JSON text of a body."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"'{param}' is not UTF-8.", param=param) from error
