"""What a call of a model costs: tokens and money are reserved before it and settled after it, once."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

from rostra.common.v1.caller_pb2 import Caller
from rostra.common.v1.limit_state_pb2 import LimitState
from rostra.user.v1.usage_pb2 import UsageEvent, UsageOutcome
from rostra_chat.catalogue import Model
from rostra_chat.limit_answers import public_states, refusal_error
from rostra_chat.limit_claims import (
    Demand,
    LoadSpent,
    actual_costs,
    caller_claims,
    model_claims,
    model_reservation_id,
)
from rostra_chat.metrics import ChatMetrics
from rostra_chat.pricing import cost_micros
from rostra_chat.providers.provider import Usage
from rostra_chat.usage_log import UsageLog
from rostra_kit.context import current_caller
from rostra_kit.ids import new_id
from rostra_kit.limits import Claim, Grant, Limiter, RateClaim, Refusal
from rostra_kit.limits.limiter import DEFAULT_HOLD_SECONDS
from rostra_kit.telemetry.facts import note_facts

_RENEWALS_PER_HOLD = 3


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Meter:
    """Reserves tokens and money for the caller of the request under way.

    Args:
        limiter: Counts over all replicas.
        usage_log: Takes a usage event for every settled call.
        load_spent: Answers what the caller spent in a month, `YYYY-MM`, in millionths of the currency unit; with
            one API key, or, without the name of one, in all.
        metrics: Counts tokens and money.
        hold_seconds: How long money stays held should this process die; a call that runs longer renews its hold.
        now: The time, in UTC.
    """

    def __init__(
        self,
        limiter: Limiter,
        usage_log: UsageLog,
        *,
        load_spent: LoadSpent,
        metrics: ChatMetrics,
        hold_seconds: float = DEFAULT_HOLD_SECONDS,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.limiter = limiter
        self.usage_log = usage_log
        self.metrics = metrics
        self.now = now
        self.load_spent = load_spent
        self._hold_seconds = hold_seconds
        self._under_way: set[asyncio.Task[None]] = set()

    async def reserve(self, *, model: Model, input_tokens: int, max_output_tokens: int) -> "Charge":
        """Reserve what a call can come to at most.

        Args:
            model: The model to be called.
            input_tokens: The estimate of the input.
            max_output_tokens: The most that the answer can have, all choices together.

        Raises:
            UnauthenticatedError: Nobody is known to be calling.
            ResourceExhaustedError: A limit of the caller or of the model does not suffice.
            LimitsUnavailable: A budget cannot be checked now.
        """
        caller = current_caller()
        most = Usage(input_tokens=input_tokens, output_tokens=max_output_tokens)
        demand = Demand(input_tokens + max_output_tokens, cost_micros(model, most))
        event_id = new_id("use")
        # The caller first: one who is over their own limits takes nothing of what all share, not even for a moment.
        reservations = {
            event_id: caller_claims(caller, model, demand, now=self.now(), load_spent=self.load_spent),
            model_reservation_id(event_id): model_claims(model, demand),
        }
        event_of_dead = _usage_event(
            event_id, caller, model, Usage(input_tokens=input_tokens), end_time=self.now(), estimated=True
        )
        # It is written down while the limits are asked, and so with the same message to Redis.
        beginning = asyncio.create_task(self.usage_log.calls.begin(event_of_dead))
        grants: list[Grant] = []
        try:
            for reservation_id, claims in reservations.items():
                if claims:
                    grants.append(await self._reserve(claims, reservation_id, model))
            await beginning
        except BaseException:
            await self.complete(self._give_up(beginning, event_id, grants))
            raise
        return Charge(self, event_id, model=model, caller=caller, grants=grants)

    async def _reserve(self, claims: Sequence[Claim], reservation_id: str, model: Model) -> Grant:
        outcome = await self.limiter.reserve(claims, reservation_id=reservation_id, hold_seconds=self._hold_seconds)
        if isinstance(outcome, Refusal):
            raise refusal_error(outcome, claims, model=model.id)
        return outcome

    async def _give_up(self, beginning: asyncio.Task[None], event_id: str, grants: Sequence[Grant]) -> None:
        await asyncio.wait({beginning})  # written down later than it is taken back, it would stay
        await self.cancel(event_id, grants)

    async def cancel(self, event_id: str, grants: Sequence[Grant]) -> None:
        """Take a call back that is written down, and give back what was reserved for it."""
        await self.usage_log.calls.cancel(event_id)
        for grant in grants:
            await self.limiter.cancel(grant)

    async def complete(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` to its end, whatever happens to the caller meanwhile."""
        task = asyncio.create_task(work)
        self.keep(task)
        await asyncio.shield(task)

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold on to a task that nobody may be waiting for, until it ends."""
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def drain(self) -> None:
        """Return when every settlement under way has ended."""
        while self._under_way:
            await asyncio.wait(self._under_way)


def _usage_event(
    event_id: str,
    caller: Caller,
    model: Model,
    usage: Usage,
    *,
    end_time: datetime,
    estimated: bool,
    outcome: UsageOutcome = UsageOutcome.USAGE_OUTCOME_FAILED,
) -> UsageEvent:
    """Return what the ledger is told of a call."""
    return UsageEvent(
        id=event_id,
        user_id=caller.user_id,
        api_key_id=caller.api_key_id,
        model=model.id,
        provider=model.provider,
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost_micros=cost_micros(model, usage),
        estimated=estimated,
        outcome=outcome,
        end_time=end_time,
    )


class Charge:
    """What is reserved for one call of a model; it ends with one `settle` or `cancel`, whatever happens.

    Attributes:
        limits: Where the caller stands after the reservation.
    """

    def __init__(self, meter: Meter, event_id: str, *, model: Model, caller: Caller, grants: Sequence[Grant]) -> None:
        self.limits: tuple[LimitState, ...] = public_states([state for grant in grants for state in grant.states])
        self._event_id = event_id
        self._meter = meter
        self._model = model
        self._caller = caller
        self._grants = grants
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._renew_later()

    async def settle(self, usage: Usage, *, outcome: UsageOutcome, estimated: bool) -> None:
        """Charge what was really used and record it in the ledger.

        Only the first of `settle` and `cancel` counts. Cancelling the caller does not interrupt it. Redis being away
        is not the caller's trouble: the settlement and the record then wait, and are repeated.

        Args:
            usage: What was used.
            outcome: How the call ended.
            estimated: Whether the counts are an estimate.
        """
        if self._close():
            await self._meter.complete(self._settle(usage, outcome, estimated))

    async def cancel(self) -> None:
        """Give everything back: nothing reached the provider, or it refused. The ledger hears nothing."""
        if self._close():
            await self._meter.complete(self._meter.cancel(self._event_id, self._grants))

    def _close(self) -> bool:
        """Say whether the charge was open until now."""
        was_open, self._is_closed = not self._is_closed, True
        if self._timer:
            self._timer.cancel()
        return was_open

    async def _settle(self, usage: Usage, outcome: UsageOutcome, estimated: bool) -> None:
        event = _usage_event(
            self._event_id,
            self._caller,
            self._model,
            usage,
            end_time=self._meter.now(),
            estimated=estimated,
            outcome=outcome,
        )
        self._count(usage, event.cost_micros)
        tokens = usage.input_tokens + usage.output_tokens
        # The ledger's event first: whoever writes it is woken by it, and so both go with the same message to Redis.
        await asyncio.gather(
            self._meter.usage_log.append(event),
            *(
                self._meter.limiter.settle(
                    grant, actual_costs(grant.claims, tokens=tokens, cost_micros=event.cost_micros)
                )
                for grant in self._grants
            ),
        )

    def _count(self, usage: Usage, cost: int) -> None:
        metrics, provider, model = self._meter.metrics, self._model.provider, self._model.id
        metrics.tokens.labels("input", provider, model).inc(usage.input_tokens)
        metrics.tokens.labels("output", provider, model).inc(usage.output_tokens)
        metrics.cost_micros.labels(provider, model).inc(cost)
        note_facts(
            provider=provider,
            input_tokens=usage.input_tokens,
            cached_tokens=usage.cached_input_tokens,
            output_tokens=usage.output_tokens,
            cost_micros=cost,
        )

    def _renew_later(self) -> None:
        """Keep money and places held for as long as the call runs; rates are not held."""
        if held := [grant for grant in self._grants if any(not isinstance(each, RateClaim) for each in grant.claims)]:
            pause_seconds = held[0].hold_seconds / _RENEWALS_PER_HOLD
            self._timer = asyncio.get_running_loop().call_later(pause_seconds, self._renew, held)

    def _renew(self, held: Sequence[Grant]) -> None:
        if not self._is_closed:
            self._meter.keep(asyncio.create_task(self._renew_now(held)))
            self._renew_later()

    async def _renew_now(self, held: Sequence[Grant]) -> None:
        for grant in held:
            await self._meter.limiter.renew(grant)
