"""What a call of a model costs: tokens and money are reserved before it and settled after it, once."""

from rostra.common.v1.limit_state_pb2 import LimitState
from rostra.user.v1.usage_pb2 import UsageOutcome
from rostra_chat.catalogue import Model
from rostra_chat.providers.provider import Usage


class Charge:
    """What is reserved for one call of a model; it ends with one `settle` or `cancel`, whatever happens.

    Attributes:
        limits: Where the caller stands after the reservation.
    """

    limits: tuple[LimitState, ...]

    async def settle(self, usage: Usage, *, outcome: UsageOutcome, estimated: bool) -> None:
        """Charge what was really used and record it in the ledger.

        Only the first of `settle` and `cancel` counts. Cancelling the caller does not interrupt it. Redis being away
        is not the caller's trouble: the settlement and the record then wait, and are repeated.

        Args:
            usage: What was used.
            outcome: How the call ended.
            estimated: Whether the counts are an estimate.
        """
        raise NotImplementedError

    async def cancel(self) -> None:
        """Give everything back: nothing reached the provider, or it refused. The ledger hears nothing."""
        raise NotImplementedError


class Meter:
    """Reserves tokens and money for the caller of the request under way."""

    async def reserve(self, *, model: Model, input_tokens: int, max_output_tokens: int) -> Charge:
        """Reserve what a call can come to at most.

        Args:
            model: The model to be called.
            input_tokens: The estimate of the input.
            max_output_tokens: The most that the answer can have, all choices together.

        Raises:
            UnauthenticatedError: Nobody is known to be calling.
            ResourceExhaustedError: The tokens per minute, or the budget, do not suffice.
            UnavailableError: A budget cannot be checked now.
        """
        raise NotImplementedError
