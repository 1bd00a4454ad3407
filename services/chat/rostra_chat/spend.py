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

    async def of_month(self, month: str) -> int:
        """Return what the caller spent in `month` (`YYYY-MM`, UTC), in millionths of the currency unit."""
        answer = await self._user.call(self._user.stub.GetSpend, GetSpendRequest(month=month))
        return answer.cost_micros
