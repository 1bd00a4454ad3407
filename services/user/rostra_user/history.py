"""What the user service asks of the history service."""

from typing import TYPE_CHECKING, Protocol

from rostra.common.v1.caller_pb2 import Caller, Role
from rostra.history.v1 import history_service_pb2 as pb
from rostra_kit.client import ServiceClient
from rostra_kit.context import current_request, set_current_request

if TYPE_CHECKING:
    from rostra.history.v1.history_service_pb2_grpc import HistoryServiceAsyncStub


class UserDataEraser(Protocol):
    """A place outside of this service that stores data of users."""

    async def erase(self, user_id: str) -> None:
        """Remove all that the user stored there. Repeating the call changes nothing.

        Raises:
            AppError: It was not, or perhaps not wholly, removed.
        """


class HistoryEraser:
    """Erases what a user stored in the history service."""

    def __init__(self, client: "ServiceClient[HistoryServiceAsyncStub]") -> None:
        self._client = client

    async def erase(self, user_id: str) -> None:
        """See `UserDataEraser.erase`."""
        caller = Caller(user_id=user_id, role=Role.ROLE_USER)
        set_current_request(current_request()._replace(caller=caller.SerializeToString()))
        await self._client.call(self._client.stub.DeleteUserData, pb.DeleteUserDataRequest())
