"""Questions of Rostra's own to a model, on the caller's account: a summary of what is too long, a title."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from rostra.common.v1.limit_state_pb2 import LimitState
from rostra.user.v1.usage_pb2 import UsageOutcome
from rostra_chat.catalogue import Model
from rostra_chat.chat_request import Demand
from rostra_chat.errors import ProviderError
from rostra_chat.metering import Charge, Meter
from rostra_chat.providers.provider import Body, Provider, Usage
from rostra_chat.responses.chunk import first_choice
from rostra_chat.tally import Tally
from rostra_chat.tokens import estimate_request_tokens


@dataclass(slots=True)
class _Call:
    tally: Tally
    has_begun: bool = False


class Errand:
    """One or several calls of a model that are paid together: begun by `run_errand`.

    Attributes:
        limits: Where the caller stands after the reservation.
    """

    def __init__(self, *, model: Model, provider: Provider, charge: Charge) -> None:
        self.limits: tuple[LimitState, ...] = charge.limits
        self._model = model
        self._provider = provider
        self._charge = charge
        self._calls: list[_Call] = []

    async def ask(self, body: Body) -> str:
        """Return what the model answers to a chat completion, all of it.

        Raises:
            AppError: The provider failed, or the model said nothing.
        """
        call = _Call(Tally(input_tokens=estimate_request_tokens(body)))
        self._calls.append(call)
        said: list[str] = []
        async with aclosing(self._provider.stream(self._model, body)) as reads:
            async for frames in reads:
                call.has_begun = True
                call.tally.add(frames)
                said += [choice.content for frame in frames if (choice := first_choice(frame.data))]
        if not (text := "".join(said).strip()):
            raise ProviderError("The model answered nothing that could be used.")
        return text

    def usage(self) -> Usage:
        """Return what was used by the calls that the provider answered, all together."""
        return _sum(call.tally for call in self._calls if call.has_begun)

    async def end(self, outcome: UsageOutcome) -> None:
        """Settle what was used; when no call came to anything, give everything back.

        A call that the provider refused, or never got, used nothing. One that was cut before its answer began used its
        input.
        """
        was_cut = outcome == UsageOutcome.USAGE_OUTCOME_CANCELLED
        paid = [call.tally for call in self._calls if call.has_begun or was_cut]
        if paid:
            estimated = any(tally.is_estimated for tally in paid)
            await self._charge.settle(_sum(paid), outcome=outcome, estimated=estimated)
        else:
            await self._charge.cancel()


@asynccontextmanager
async def run_errand(meter: Meter, *, model: Model, provider: Provider, demand: Demand) -> AsyncIterator[Errand]:
    """Reserve what an errand can come to, and settle it when the context ends, however it ends.

    Args:
        meter: Reserves and settles.
        model: The model to be asked.
        provider: Who runs it.
        demand: What all calls together can come to.

    Raises:
        AppError: The caller's limits do not suffice.
    """
    charge = await meter.reserve(
        model=model, input_tokens=demand.input_tokens, max_output_tokens=demand.max_output_tokens
    )
    errand = Errand(model=model, provider=provider, charge=charge)
    outcome = UsageOutcome.USAGE_OUTCOME_FAILED
    try:
        yield errand
        outcome = UsageOutcome.USAGE_OUTCOME_FINISHED
    except asyncio.CancelledError:
        outcome = UsageOutcome.USAGE_OUTCOME_CANCELLED
        raise
    finally:
        await errand.end(outcome)


def _sum(tallies: Iterable[Tally]) -> Usage:
    used = [tally.usage() for tally in tallies]
    return Usage(
        input_tokens=sum(each.input_tokens for each in used),
        cached_input_tokens=sum(each.cached_input_tokens for each in used),
        output_tokens=sum(each.output_tokens for each in used),
        reasoning_tokens=sum(each.reasoning_tokens for each in used),
    )
