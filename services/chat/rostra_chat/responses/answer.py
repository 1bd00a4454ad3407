"""A model's answer while it is made: counted, reduced to items, and judged in the end, whoever listens."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeAlias

from rostra.user.v1.usage_pb2 import UsageOutcome
from rostra_chat.errors import ProviderError
from rostra_chat.metering import Charge
from rostra_chat.providers.provider import Frame
from rostra_chat.responses.failure import public_error, response_error
from rostra_chat.responses.plan import RunPlan
from rostra_chat.responses.reducer import ChunkReducer
from rostra_chat.responses.response_object import Ending
from rostra_chat.tally import Tally

Failure: TypeAlias = Exception | asyncio.CancelledError


class Answer:
    """One call of a model.

    Args:
        plan: What is asked, and of whom.
        reducer: Takes the chunks; it has items already where an answer is continued.

    Attributes:
        has_begun: Whether the provider has answered.
    """

    def __init__(self, plan: RunPlan, reducer: ChunkReducer) -> None:
        self.has_begun = False
        self._plan = plan
        self._reducer = reducer
        self._tally = Tally(input_tokens=plan.demand.input_tokens)
        self._is_called = False

    async def reads(self) -> AsyncGenerator[Sequence[Frame], None]:
        """Call the provider and yield what it says, to be given to `add`; closing the iterator cuts the call.

        Raises:
            AppError: The provider failed, or said nothing at all.
        """
        self._is_called = True
        async with aclosing(self._plan.provider.stream(self._plan.model, self._plan.body)) as reads:
            async for frames in reads:
                self.has_begun = True
                yield frames
        if not self.has_begun:
            raise ProviderError("The model's provider answered nothing.")

    def add(self, frames: Sequence[Frame]) -> None:
        """Count what came together, and write the events that tell of it."""
        self._tally.add(frames)
        self._reducer.feed(frame.data for frame in frames)

    def finish(self) -> None:
        """Write that the answer is whole, or cut where the provider cut it."""
        self._reducer.finish()

    def ending(self, failure: Failure | None) -> Ending:
        """Return how the response ends, given what prevented or broke the answer."""
        reducer = self._reducer
        if failure is not None:
            return broken(reducer, failure)
        return Ending(
            status="incomplete" if reducer.incomplete_reason else "completed",
            output=reducer.output(),
            usage=self._tally.usage(),
            incomplete_reason=reducer.incomplete_reason,
            service_tier=reducer.service_tier,
        )

    async def settle(self, charge: Charge, failure: Failure | None) -> None:
        """Settle what was used; a call that the provider refused, or never got, costs nothing."""
        if failure is None:
            outcome = UsageOutcome.USAGE_OUTCOME_FINISHED
        elif isinstance(failure, asyncio.CancelledError) and self._is_called:
            outcome = UsageOutcome.USAGE_OUTCOME_CANCELLED
        elif self.has_begun:
            outcome = UsageOutcome.USAGE_OUTCOME_FAILED
        else:
            await charge.cancel()
            return
        await charge.settle(self._tally.usage(), outcome=outcome, estimated=self._tally.is_estimated)


def broken(reducer: ChunkReducer, failure: Failure) -> Ending:
    """Return how a response ends that was prevented, or breaks off with what `reducer` has."""
    reducer.abandon()
    if isinstance(failure, asyncio.CancelledError):
        return Ending(status="cancelled", output=reducer.output())
    return Ending(status="failed", output=reducer.output(), error=response_error(public_error(failure)))
