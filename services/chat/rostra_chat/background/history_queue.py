"""The queue of background responses in the history service."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
from google.protobuf.duration_pb2 import Duration

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1 import response_pb2
from rostra.history.v1.item_pb2 import Item as StoredItem
from rostra_chat.background.job_queue import Job, Lease, Renewal
from rostra_chat.errors import LeaseLost
from rostra_chat.responses.history_store import STATUS_NAMES, branch_point_to_proto, items_to_proto, response_to_proto
from rostra_chat.responses.store import Item
from rostra_kit.client import ServiceClient
from rostra_kit.context import current_request
from rostra_kit.errors import AppError

if TYPE_CHECKING:
    # The asynchronous face of the generated stub exists for type checkers alone.
    from rostra.history.v1.history_service_pb2_grpc import HistoryServiceAsyncStub


class HistoryJobQueue:
    """Implements `JobQueue` by calls of the history service."""

    def __init__(self, client: "ServiceClient[HistoryServiceAsyncStub]") -> None:
        self._client = client

    async def enqueue(
        self, response: dict[str, Any], *, input_items: Sequence[Item], request_body: bytes, branch_point: bytes = b""
    ) -> None:
        """Store a queued response: see `JobQueue`."""
        job = response_pb2.Job(request_body=request_body, caller=current_request().caller)
        request = pb.CreateResponseRequest(
            response=response_to_proto(response),
            input=items_to_proto(input_items),
            job=job,
            branch_point=branch_point_to_proto(branch_point),
        )
        await self._client.call(self._client.stub.CreateResponse, request)

    async def get(self, response_id: str) -> dict[str, Any]:
        """Return a response: see `JobQueue`."""
        answer = await self._client.call(self._client.stub.GetResponse, pb.GetResponseRequest(response_id=response_id))
        return _response_from_proto(answer.response, answer.output)

    async def cancel(self, response_id: str) -> dict[str, Any]:
        """Cancel a response: see `JobQueue`."""
        await self._client.call(self._client.stub.CancelResponse, pb.CancelResponseRequest(response_id=response_id))
        return await self.get(response_id)

    async def claim(self, *, lease_seconds: float) -> Job | None:
        """Claim a response: see `JobQueue`."""
        request = pb.ClaimResponseRequest(lease_duration=_duration(lease_seconds))
        answer = await self._client.call(self._client.stub.ClaimResponse, request)
        if not answer.HasField("lease"):
            return None
        return Job(
            lease=Lease(answer.lease.response_id, answer.lease.attempt),
            tries=answer.lease.tries,
            response=_response_from_proto(answer.response),
            request_body=answer.job.request_body,
            caller=answer.job.caller,
        )

    async def renew(self, leases: Sequence[Lease], *, lease_seconds: float) -> Renewal:
        """Renew leases: see `JobQueue`."""
        request = pb.RenewLeasesRequest(leases=map(_to_proto, leases), lease_duration=_duration(lease_seconds))
        answer = await self._client.call(self._client.stub.RenewLeases, request)
        return Renewal(frozenset(answer.lost_response_ids), frozenset(answer.cancelled_response_ids))

    async def release(self, lease: Lease) -> None:
        """Give a lease back: see `JobQueue`."""
        await self._client.call(self._client.stub.ReleaseResponse, pb.ReleaseResponseRequest(lease=_to_proto(lease)))

    async def finish(self, response: dict[str, Any], lease: Lease) -> None:
        """Store how a response ended: see `JobQueue`."""
        request = pb.FinishResponseRequest(
            response=response_to_proto(response), output=items_to_proto(response["output"]), lease=_to_proto(lease)
        )
        try:
            await self._client.call(self._client.stub.FinishResponse, request)
        except AppError as error:
            if error.reason == ErrorReason.ERROR_REASON_LEASE_LOST:
                raise LeaseLost(error.message) from error
            raise


def _response_from_proto(stored: response_pb2.Response, output: Sequence[StoredItem] = ()) -> dict[str, Any]:
    """Return the response object; how far it is, history says beside the object."""
    response: dict[str, Any] = orjson.loads(stored.body)
    response["status"] = STATUS_NAMES[stored.status]
    response["background"] = stored.background
    response["output"] = [orjson.loads(item.body) for item in output]
    return response


def _to_proto(lease: Lease) -> response_pb2.Lease:
    return response_pb2.Lease(response_id=lease.response_id, attempt=lease.attempt)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return duration
