"""Remembers responses in the history service."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.history.v1.conversation_pb2 import BranchPoint
from rostra.history.v1.history_service_pb2 import (
    CreateResponseRequest,
    FinishResponseRequest,
    LoadContextRequest,
    RenewLeasesRequest,
)
from rostra.history.v1.item_pb2 import Item as StoredItem
from rostra.history.v1.response_pb2 import Lease, ResponseStatus
from rostra.history.v1.response_pb2 import Response as StoredResponse
from rostra_chat.errors import LeaseLost
from rostra_chat.responses.store import Context, Item
from rostra_kit.client import ServiceClient
from rostra_kit.errors import AppError

if TYPE_CHECKING:
    # The asynchronous face of the generated stub exists for type checkers alone.
    from rostra.history.v1.history_service_pb2_grpc import HistoryServiceAsyncStub

_STATUSES = {
    "queued": ResponseStatus.RESPONSE_STATUS_QUEUED,
    "in_progress": ResponseStatus.RESPONSE_STATUS_IN_PROGRESS,
    "completed": ResponseStatus.RESPONSE_STATUS_COMPLETED,
    "incomplete": ResponseStatus.RESPONSE_STATUS_INCOMPLETE,
    "failed": ResponseStatus.RESPONSE_STATUS_FAILED,
    "cancelled": ResponseStatus.RESPONSE_STATUS_CANCELLED,
}

STATUS_NAMES = {status: name for name, status in _STATUSES.items()}
"""The statuses in OpenAI's words."""


class HistoryResponseStore:
    """Implements `ResponseStore` by calls of the history service, on behalf of the caller of the request under way."""

    def __init__(self, client: "ServiceClient[HistoryServiceAsyncStub]") -> None:
        self._client = client

    async def load_context(
        self, *, previous_response_id: str, conversation_id: str, item_ids: Sequence[str], response_id: str = ""
    ) -> Context:
        """Return what a response continues: see `ResponseStore`."""
        request = LoadContextRequest(
            previous_response_id=previous_response_id,
            conversation_id=conversation_id,
            item_ids=item_ids,
            response_id=response_id,
        )
        answer = await self._client.call(self._client.stub.LoadContext, request)
        return Context(
            items=_from_proto(answer.items),
            referenced=_from_proto(answer.referenced_items),
            branch_point=answer.branch_point.SerializeToString() if answer.HasField("branch_point") else b"",
        )

    async def create(
        self, response: dict[str, Any], *, input_items: Sequence[Item], branch_point: bytes = b"", lease_seconds: float
    ) -> None:
        """Store a run that begins: see `ResponseStore`."""
        request = CreateResponseRequest(
            response=response_to_proto(response),
            input=items_to_proto(input_items),
            branch_point=branch_point_to_proto(branch_point),
            lease_duration=timedelta(seconds=lease_seconds),
        )
        await self._client.call(self._client.stub.CreateResponse, request)

    async def renew(self, response_ids: Sequence[str], *, lease_seconds: float) -> None:
        """Renew the leases of responses that run: see `ResponseStore`."""
        leases = [Lease(response_id=response_id) for response_id in response_ids]
        request = RenewLeasesRequest(leases=leases, lease_duration=timedelta(seconds=lease_seconds))
        await self._client.call(self._client.stub.RenewLeases, request)

    async def finish(self, response: dict[str, Any]) -> None:
        """Store a run that ended: see `ResponseStore`."""
        request = FinishResponseRequest(response=response_to_proto(response), output=items_to_proto(response["output"]))
        try:
            await self._client.call(self._client.stub.FinishResponse, request)
        except AppError as error:
            if error.reason == ErrorReason.ERROR_REASON_LEASE_LOST:
                raise LeaseLost(error.message) from error
            raise


def response_to_proto(response: dict[str, Any]) -> StoredResponse:
    """Return a response object as history keeps it: without its output, which is kept as items."""
    body = {name: value for name, value in response.items() if name != "output"}
    return StoredResponse(
        id=response["id"],
        status=_STATUSES[response["status"]],
        previous_response_id=response["previous_response_id"] or "",
        conversation_id=(response["conversation"] or {}).get("id", ""),
        body=orjson.dumps(body),
        create_time=Timestamp(seconds=response["created_at"]),
        background=bool(response.get("background")),
    )


def items_to_proto(items: Iterable[Item]) -> list[StoredItem]:
    """Return items as history keeps them."""
    return [StoredItem(id=item["id"], body=orjson.dumps(item)) for item in items]


def branch_point_to_proto(branch_point: bytes) -> BranchPoint | None:
    """Return the point of a conversation that history wrote down; `None` where it wrote nothing."""
    return BranchPoint.FromString(branch_point) if branch_point else None


def _from_proto(items: Iterable[StoredItem]) -> tuple[Item, ...]:
    return tuple(orjson.loads(item.body) for item in items)
