"""The contract of every limiter: reserve before the work, settle after it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from rostra_kit.limits.claims import Claim
from rostra_kit.limits.outcomes import Grant, Outcome

DEFAULT_HOLD_SECONDS = 120.0


class Limiter(Protocol):
    """Reserves from several limits at once, and settles afterwards what it really came to.

    A reservation's life: `reserve`, `renew` while the work runs, then **one** of `settle` and `cancel`. The first of
    those closes it; whatever comes later with the same id changes nothing, for as long as closed reservations are
    remembered (two minutes).
    """

    async def reserve(
        self, claims: Sequence[Claim], *, reservation_id: str, hold_seconds: float = DEFAULT_HOLD_SECONDS
    ) -> Outcome:
        """Take all the claims, or none of them.

        Repeating a reservation under its id takes nothing twice.

        Args:
            claims: What to take; their keys share one hash tag.
            reservation_id: Unique for the attempt: after an error it is spent, as the reservation may have been taken
                and is then given back.
            hold_seconds: How long slots and money stay held should the owner die.

        Raises:
            ValueError: The claims cannot be one reservation, or the reservation is closed.
            LimitsUnavailable: Nobody can say now.
        """
        ...

    async def renew(self, grant: Grant) -> bool:
        """Hold the grant's slots and money for another `hold_seconds`; call it about three times in that time.

        Returns:
            Whether everything is still held. When it is not, the work is no longer counted as going on (its costs are
            still settled); ending it is the caller's choice.
        """
        ...

    async def settle(self, grant: Grant, actual: Mapping[str, int]) -> None:
        """Replace the reserved costs by the actual ones, free the slots and close the reservation.

        A rate that is not named keeps its reserved cost; money that is not named is released and not charged. Costs
        above the reserved ones are charged too: a rate is then in debt and refuses until it has regained it.

        What a rate gets back is usable at once, also when the reservation is older than the period: over any time
        that begins with nothing reserved, settled costs never exceed limit x (1 + time / period).

        Args:
            grant: What `reserve` answered.
            actual: The actual cost by the name of the claim.

        Raises:
            ValueError: A name is not that of a rate or budget of the grant, or a cost is negative.
        """
        ...

    async def cancel(self, grant: Grant) -> None:
        """Give everything back and close the reservation: the work never happened."""
        ...
