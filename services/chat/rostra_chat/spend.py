"""What callers spent, as the user service's ledger has it."""

from typing import TYPE_CHECKING

from rostra.user.v1.user_service_pb2 import GetSpendRequest
from rostra_kit.client import ServiceClient

if TYPE_CHECKING:
    # The asynchronous face of the generated stub exists for type checkers alone.
    from rostra.user.v1.user_service_pb2_grpc import UserServiceAsyncStub


class Spend:
    """Asks the user service."""

    def __init__(self, user: "ServiceClient[UserServiceAsyncStub]") -> None:
        self._user = user

    async def of_month(self, month: str, api_key_id: str) -> int:
        """Return what the caller spent in `month` (`YYYY-MM`, UTC), in millionths of the currency unit.

        With one API key of theirs, or with an empty `api_key_id` in all.
        """
        request = GetSpendRequest(month=month, api_key_id=api_key_id)
        answer = await self._user.call(self._user.stub.GetSpend, request)
        return answer.cost_micros
