"""Any order of calls leaves a limiter where exact arithmetic says it should be."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from uuid import uuid4

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from rostra_kit.limits import BudgetClaim, Claim, Grant, Limiter, LocalLimiter, RateClaim, RedisLimiter, SlotClaim
from rostra_kit.testing.manual_clock import ManualClock
from rostra_kit.testing.redis_server import redis_client

PERIOD, HOLD, SPENT_BEFORE = 1000, 600, 5
REQUESTS, TOKENS, SLOTS, BUDGET = 7, 3000, 2, 60
SCHEDULES = settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass
class Reservation:
    """A reservation of the model; times are whole seconds, and it is not known once Redis was empty."""

    grant: Grant
    tokens: int
    money: int
    lapses_at: int
    is_open: bool = True
    is_known: bool = True
    has_slot: bool = True
    has_money: bool = True


@dataclass
class Rate:
    """What is used of a rate, kept as the moment at which all of it is there again; `None` where nothing is used."""

    limit: int
    full_at: Fraction | None = None

    def used(self, now: int) -> Fraction:
        return Fraction(0) if self.full_at is None else max(Fraction(0), (self.full_at - now) * self.limit / PERIOD)

    def use(self, amount: int, now: int) -> None:
        """Use more, or give back."""
        used = max(Fraction(0), self.used(now) + amount)
        self.full_at = now + used * PERIOD / self.limit if used else None


@dataclass
class Model:
    """What is used, as simply as it can be said; `now` is the time on the limiter's clock."""

    now: int = 0
    requests: Rate = field(default_factory=lambda: Rate(REQUESTS))
    tokens: Rate = field(default_factory=lambda: Rate(TOKENS))
    spent: int = SPENT_BEFORE
    reservations: list[Reservation] = field(default_factory=list)

    def look_at_slots(self) -> None:
        """Let slots lapse whose time is over: when somebody looks, so that none comes back if the clock is set back."""
        for reservation in self.reservations:
            if reservation.lapses_at <= self.now:
                reservation.has_slot = False

    def look_at_money(self) -> None:
        """Let holds of money lapse whose time is over."""
        for reservation in self.reservations:
            if reservation.lapses_at <= self.now:
                reservation.has_money = False

    def forget(self) -> None:
        """Lose what a limiter remembers; the ledger knows what was spent."""
        self.requests.full_at = self.tokens.full_at = None
        for reservation in self.reservations:
            reservation.is_known = reservation.has_slot = reservation.has_money = False

    def remaining(self) -> list[int]:
        slots = sum(reservation.has_slot for reservation in self.reservations)
        held = sum(reservation.money for reservation in self.reservations if reservation.has_money)
        free = (
            floor(REQUESTS - self.requests.used(self.now)),
            floor(TOKENS - self.tokens.used(self.now)),
            SLOTS - slots,
            BUDGET - self.spent - held,
        )
        return [max(0, amount) for amount in free]

    def short(self, tokens: int, money: int) -> set[str]:
        requests_left, tokens_left, slots_left, money_left = self.remaining()
        return {
            name
            for name, cost, left in (
                ("requests", 1, requests_left),
                ("tokens", tokens, tokens_left),
                ("streams", 1, slots_left),
                ("budget", money, money_left),
            )
            if cost > left
        }


class LimiterSchedule(RuleBasedStateMachine):
    """Makes the same calls to limiters of several processes and to the model; subclasses say which limiters."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.model = Model()
        self.tag = uuid4().hex
        self.limiters = self.runner.run(self.open_limiters())
        self.calls = 0

    @property
    def limiter(self) -> Limiter:
        """Return another process' limiter than the last time."""
        self.calls += 1
        return self.limiters[self.calls % len(self.limiters)]

    async def open_limiters(self) -> list[Limiter]:
        return [LocalLimiter(now_us=self.clock)]

    async def close_limiters(self) -> None:
        """Close what open_limiters opened."""

    def teardown(self) -> None:
        self.runner.run(self.close_limiters())
        self.runner.close()

    def claims(self, *, tokens: int, money: int) -> list[Claim]:
        async def spent() -> int:
            return self.model.spent

        return [
            RateClaim("requests", f"limit:{{{self.tag}}}:rpm", REQUESTS, 1, PERIOD),
            RateClaim("tokens", f"limit:{{{self.tag}}}:tpm", TOKENS, tokens, PERIOD),
            SlotClaim("streams", f"limit:{{{self.tag}}}:streams", SLOTS),
            BudgetClaim("budget", f"limit:{{{self.tag}}}:budget", BUDGET, money, spent),
        ]

    @rule(tokens=st.integers(1, 1500), money=st.integers(1, 30))
    def reserve(self, tokens: int, money: int) -> None:
        claims = self.claims(tokens=tokens, money=money)
        self.model.look_at_slots()
        self.model.look_at_money()
        short = self.model.short(tokens, money)
        call = self.limiter.reserve(claims, reservation_id=uuid4().hex, hold_seconds=HOLD)
        outcome = self.runner.run(call)
        if isinstance(outcome, Grant):
            assert not short
            self.model.requests.use(1, self.model.now)
            self.model.tokens.use(tokens, self.model.now)
            self.model.reservations.append(Reservation(outcome, tokens, money, self.model.now + HOLD))
        else:
            assert outcome.refused in short
        assert [state.remaining for state in outcome.states] == self.model.remaining()

    @precondition(lambda self: self.model.reservations)
    @rule(data=st.data(), tokens=st.integers(0, 2000), money=st.integers(0, 40), cancels=st.booleans())
    def close(self, data: st.DataObject, tokens: int, money: int, cancels: bool) -> None:
        reservation = data.draw(st.sampled_from(self.model.reservations))
        if not (reservation.is_open or reservation.is_known):
            return  # nobody remembers that it was settled: its money would be counted twice
        if cancels:
            self.runner.run(self.limiter.cancel(reservation.grant))
        else:
            self.runner.run(self.limiter.settle(reservation.grant, {"tokens": tokens, "budget": money}))
        if not reservation.is_open:
            return
        reservation.is_open = reservation.has_slot = reservation.has_money = False
        self.model.spent += 0 if cancels else money
        if reservation.is_known:
            self.model.tokens.use((0 if cancels else tokens) - reservation.tokens, self.model.now)
            self.model.requests.use(-cancels, self.model.now)

    @precondition(lambda self: self.model.reservations)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        reservation = data.draw(st.sampled_from(self.model.reservations))
        if reservation.is_open and reservation.is_known:
            self.model.look_at_slots()
        renewed = self.runner.run(self.limiter.renew(reservation.grant))
        assert renewed == (reservation.is_open and reservation.has_slot)
        if reservation.is_open and reservation.is_known:
            reservation.has_money = True
            reservation.lapses_at = self.model.now + HOLD

    @precondition(lambda self: self.model.reservations)
    @rule(data=st.data())
    def reserve_again(self, data: st.DataObject) -> None:
        """Repeat a reservation whose reply was lost: it takes nothing twice."""
        reservation = data.draw(st.sampled_from(self.model.reservations))
        if not reservation.is_known:
            return  # it would be taken anew
        grant = reservation.grant
        call = self.limiter.reserve(grant.claims, reservation_id=grant.reservation_id, hold_seconds=HOLD)
        if not reservation.is_open:
            with pytest.raises(ValueError, match="is closed"):
                self.runner.run(call)
            return
        outcome = self.runner.run(call)
        self.model.look_at_slots()
        self.model.look_at_money()
        assert isinstance(outcome, Grant)
        assert [state.remaining for state in outcome.states] == self.model.remaining()

    @rule(tokens=st.integers(1, 1500), money=st.integers(1, 30))
    def cancel_before_it_arrives(self, tokens: int, money: int) -> None:
        """Cancel a reservation that was given up before it reached the limiter: it takes nothing afterwards."""
        claims = tuple(self.claims(tokens=tokens, money=money))
        late = Grant(uuid4().hex, claims, (), HOLD, "redis")
        self.runner.run(self.limiter.cancel(late))
        with pytest.raises(ValueError, match="is closed"):
            self.runner.run(self.limiter.reserve(claims, reservation_id=late.reservation_id, hold_seconds=HOLD))

    @rule(tens=st.integers(1, 40))
    def advance(self, tens: int) -> None:
        self.pass_time(tens * 10)

    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)
        self.model.now += seconds


def redis_schedule(url: str) -> type[LimiterSchedule]:
    """Return the schedule of a limiter in the Redis at a URL."""

    class RedisLimiterSchedule(LimiterSchedule):
        async def open_limiters(self) -> list[Limiter]:
            self.stack = AsyncExitStack()
            self.clients = [await self.stack.enter_async_context(redis_client(url)) for _ in range(3)]
            return [RedisLimiter(client, now_us=self.clock) for client in self.clients]

        async def close_limiters(self) -> None:
            await self.stack.aclose()

        @rule(tens=st.integers(1, 100), back=st.booleans())
        def set_clock(self, tens: int, back: bool) -> None:
            """Set Redis' clock: to it, forth is time that passed, and back is that everything has to wait longer."""
            self.pass_time(-10 * tens if back else 10 * tens)

        @rule()
        def lose_everything(self) -> None:
            """Let Redis come back empty, scripts included."""
            self.runner.run(self.empty())
            self.model.forget()

        async def empty(self) -> None:
            await self.clients[0].script_flush()
            await self.clients[0].flushdb()

    return RedisLimiterSchedule


def test_any_schedule_on_the_local_limiter_agrees_with_the_model() -> None:
    run_state_machine_as_test(LimiterSchedule, settings=SCHEDULES)


@pytest.mark.timeout(300)
def test_any_schedule_on_redis_agrees_with_the_model(redis_url: str) -> None:
    run_state_machine_as_test(redis_schedule(redis_url), settings=SCHEDULES)
