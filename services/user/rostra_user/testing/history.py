"""A stand-in for the history service: a real gRPC server that remembers whose data it was asked to delete."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceServicer, add_HistoryServiceServicer_to_server
from rostra_kit.context import current_caller
from rostra_kit.errors import UnavailableError
from rostra_kit.server import new_server


class HistoryStandIn(HistoryServiceServicer):
    """Answers DeleteUserData.

    Attributes:
        target: Where it is found.
        erased: The users whose data it deleted, in order.
        is_down: Whether it fails instead.
    """

    def __init__(self) -> None:
        self.target = ""
        self.erased: list[str] = []
        self.is_down = False

    async def DeleteUserData(self, request: pb.DeleteUserDataRequest, context: Any) -> pb.DeleteUserDataResponse:  # noqa: ARG002 - gRPC's signature
        """Remember the caller, or fail."""
        if self.is_down:
            raise UnavailableError("History is down.", retry_after_seconds=1)
        self.erased.append(current_caller().user_id)
        return pb.DeleteUserDataResponse()


@asynccontextmanager
async def running_history() -> AsyncIterator[HistoryStandIn]:
    """Serve a stand-in on a free port."""
    stand_in = HistoryStandIn()  # type: ignore[abstract]  # the other RPCs answer UNIMPLEMENTED
    server = new_server(CollectorRegistry())
    add_HistoryServiceServicer_to_server(stand_in, server)
    stand_in.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield stand_in
    finally:
        await server.stop(grace=None)
