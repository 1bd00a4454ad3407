"""What every limiter promises, the local one as well as the one in Redis."""

from collections.abc import Callable
from itertools import count

import pytest

from rostra_kit.limits import BudgetClaim, Claim, Grant, Limiter, Outcome, RateClaim, Refusal, SlotClaim
from rostra_kit.testing.manual_clock import ManualClock

Key = Callable[[str], str]


class Caller:
    """Reserves under a new id each time."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._ids = count()

    async def ask(self, *claims: Claim, hold_seconds: float = 120.0) -> Outcome:
        return await self._limiter.reserve(claims, reservation_id=f"call-{next(self._ids)}", hold_seconds=hold_seconds)

    async def take(self, *claims: Claim, hold_seconds: float = 120.0) -> Grant:
        outcome = await self.ask(*claims, hold_seconds=hold_seconds)
        assert isinstance(outcome, Grant), outcome
        return outcome

    async def miss(self, *claims: Claim) -> Refusal:
        outcome = await self.ask(*claims)
        assert isinstance(outcome, Refusal), outcome
        return outcome


@pytest.fixture
def caller(limiter: Limiter) -> Caller:
    return Caller(limiter)


async def nothing_spent() -> int:
    return 0


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_full_limit_may_be_used_at_once_and_no_more(caller: Caller, key: Key, limit: int) -> None:
    claim = RateClaim("requests", key("rpm"), limit)
    grants = [await caller.take(claim) for _ in range(limit)]
    refusal = await caller.miss(claim)
    assert [grant.states[0].remaining for grant in grants] == list(reversed(range(limit)))
    assert refusal.refused == "requests"
    assert refusal.states[0].remaining == 0


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_refused_rate_passes_after_exactly_its_retry_after(
    caller: Caller, key: Key, clock: ManualClock, limit: int
) -> None:
    claim = RateClaim("requests", key("rpm"), limit)
    for _ in range(limit):
        await caller.take(claim)
    retry_after_seconds = (await caller.miss(claim)).retry_after_seconds
    assert retry_after_seconds == pytest.approx(60 / limit, abs=1e-6)
    assert retry_after_seconds is not None
    clock.advance(seconds=retry_after_seconds, microseconds=-1)
    await caller.miss(claim)
    clock.advance(microseconds=1)
    await caller.take(claim)
    await caller.miss(claim)


async def test_rate_is_full_again_after_its_reset(caller: Caller, key: Key, clock: ManualClock) -> None:
    grant = await caller.take(RateClaim("tokens", key("tpm"), limit=1000, cost=250))
    assert (grant.states[0].remaining, grant.states[0].reset_seconds) == (750, 15.0)
    clock.advance(seconds=15)
    grant = await caller.take(RateClaim("tokens", key("tpm"), limit=1000, cost=1000))
    assert grant.states[0].remaining == 0


async def test_cost_above_the_limit_never_passes(caller: Caller, key: Key) -> None:
    for claim in (
        RateClaim("tokens", key("tpm"), limit=10, cost=11),
        RateClaim("requests", key("rpm"), limit=0),
        SlotClaim("streams", key("streams"), limit=0),
        BudgetClaim("budget", key("budget"), limit=10, cost=11, load_spent=nothing_spent),
    ):
        refusal = await caller.miss(claim)
        assert refusal.retry_after_seconds is None
        assert refusal.refused == claim.name


async def test_nothing_claimed_is_never_refused(caller: Caller, key: Key) -> None:
    await caller.take(RateClaim("tokens", key("tpm"), limit=5, cost=5))
    await caller.take(RateClaim("tokens", key("tpm"), limit=5, cost=0))
    await caller.take(RateClaim("tokens", key("none"), limit=0, cost=0))
    await caller.take(BudgetClaim("budget", key("budget"), limit=0, cost=0, load_spent=nothing_spent))


async def test_one_short_limit_leaves_the_others_untouched(caller: Caller, key: Key) -> None:
    requests, streams = RateClaim("requests", key("rpm"), 10), SlotClaim("streams", key("streams"), 5)
    budget = BudgetClaim("budget", key("budget"), limit=100, cost=60, load_spent=nothing_spent)
    await caller.take(requests, streams, budget)
    refusal = await caller.miss(requests, streams, budget)
    assert refusal.refused == "budget"
    assert [state.remaining for state in refusal.states] == [9, 4, 40]


async def test_several_short_limits_name_the_longest_wait(caller: Caller, key: Key) -> None:
    slow, fast = (
        RateClaim("slow", key("slow"), 1, period_seconds=60),
        RateClaim("fast", key("fast"), 1, period_seconds=1),
    )
    await caller.take(fast, slow)
    refusal = await caller.miss(fast, slow)
    assert (refusal.refused, refusal.retry_after_seconds) == ("slow", 60.0)


async def test_unspent_tokens_are_given_back(caller: Caller, limiter: Limiter, key: Key) -> None:
    grant = await caller.take(RateClaim("tokens", key("tpm"), limit=100, cost=90))
    await limiter.settle(grant, {"tokens": 57})
    assert (await caller.take(RateClaim("tokens", key("tpm"), limit=100, cost=0))).states[0].remaining == 43


async def test_overspent_tokens_put_the_rate_in_debt(
    caller: Caller, limiter: Limiter, key: Key, clock: ManualClock
) -> None:
    grant = await caller.take(RateClaim("tokens", key("tpm"), limit=100, cost=90))
    await limiter.settle(grant, {"tokens": 150})
    refusal = await caller.miss(RateClaim("tokens", key("tpm"), limit=100, cost=10))
    assert (refusal.states[0].remaining, refusal.retry_after_seconds) == (0, 36.0)
    clock.advance(seconds=36)
    await caller.take(RateClaim("tokens", key("tpm"), limit=100, cost=10))


async def test_refund_never_exceeds_a_full_limit(
    caller: Caller, limiter: Limiter, key: Key, clock: ManualClock
) -> None:
    grant = await caller.take(RateClaim("tokens", key("tpm"), limit=100, cost=100))
    clock.advance(seconds=59)
    await limiter.settle(grant, {"tokens": 0})
    assert (await caller.take(RateClaim("tokens", key("tpm"), limit=100, cost=0))).states[0].remaining == 100


async def test_unnamed_claims_keep_the_rate_free_the_slot_and_release_the_money(
    caller: Caller, limiter: Limiter, key: Key
) -> None:
    claims = (
        RateClaim("requests", key("rpm"), 10),
        SlotClaim("streams", key("streams"), 5),
        BudgetClaim("budget", key("budget"), limit=100, cost=60, load_spent=nothing_spent),
    )
    await limiter.settle(await caller.take(*claims), {})
    assert [state.remaining for state in (await caller.take(*claims)).states] == [8, 4, 40]


async def test_cancelled_reservation_gives_everything_back(caller: Caller, limiter: Limiter, key: Key) -> None:
    claims = (
        RateClaim("tokens", key("tpm"), limit=100, cost=60),
        SlotClaim("streams", key("streams"), 1),
        BudgetClaim("budget", key("budget"), limit=100, cost=60, load_spent=nothing_spent),
    )
    await limiter.cancel(await caller.take(*claims))
    assert [state.remaining for state in (await caller.take(*claims)).states] == [40, 0, 40]


@pytest.mark.parametrize("last", ["settle", "cancel"])
@pytest.mark.parametrize("first", ["settle", "cancel"])
async def test_closing_again_changes_nothing(caller: Caller, limiter: Limiter, key: Key, first: str, last: str) -> None:
    claims = (
        RateClaim("tokens", key("tpm"), limit=1000, cost=100),
        BudgetClaim("budget", key("budget"), limit=1000, cost=100, load_spent=nothing_spent),
    )
    await caller.take(*claims)
    grant = await caller.take(*claims)

    async def close(how: str, actual: int) -> list[int]:
        if how == "settle":
            await limiter.settle(grant, {"tokens": actual, "budget": actual})
        else:
            await limiter.cancel(grant)
        free = (RateClaim("tokens", key("tpm"), 1000, 0), BudgetClaim("budget", key("budget"), 1000, 0, nothing_spent))
        return [state.remaining for state in (await caller.take(*free)).states]

    after_first = await close(first, 30)
    assert after_first == ([870, 870] if first == "settle" else [900, 900])
    assert await close(last, 50) == after_first


async def test_repeated_reservation_takes_nothing_twice(limiter: Limiter, key: Key) -> None:
    claims = (RateClaim("requests", key("rpm"), 10), SlotClaim("streams", key("streams"), 1))
    outcomes = [await limiter.reserve(claims, reservation_id="same") for _ in range(3)]
    assert {tuple(state.remaining for state in outcome.states) for outcome in outcomes} == {(9, 0)}
    assert all(isinstance(outcome, Grant) for outcome in outcomes)


async def test_closed_reservation_cannot_be_reserved_again(caller: Caller, limiter: Limiter, key: Key) -> None:
    grant = await caller.take(RateClaim("requests", key("rpm"), 10))
    await limiter.cancel(grant)
    with pytest.raises(ValueError, match="closed"):
        await limiter.reserve(grant.claims, reservation_id=grant.reservation_id)


async def test_cancel_that_overtakes_its_reservation_keeps_it_from_being_taken(limiter: Limiter, key: Key) -> None:
    claim = RateClaim("requests", key("rpm"), 10)
    await limiter.reserve([claim], reservation_id="earlier")
    await limiter.cancel(Grant("late", (claim,), (), 120.0, "redis"))
    with pytest.raises(ValueError, match="closed"):
        await limiter.reserve([claim], reservation_id="late")
    outcome = await limiter.reserve([claim], reservation_id="later")
    assert outcome.states[0].remaining == 8, "nothing was given back that had not been taken"


async def test_slot_of_a_dead_owner_frees_itself(caller: Caller, key: Key, clock: ManualClock) -> None:
    claim = SlotClaim("streams", key("streams"), 1)
    await caller.take(claim, hold_seconds=30)
    refusal = await caller.miss(claim)
    assert refusal.retry_after_seconds == 1.0
    assert refusal.states[0].reset_seconds == pytest.approx(30, abs=0.001)
    clock.advance(seconds=29)
    await caller.miss(claim)
    clock.advance(seconds=1)
    await caller.take(claim)


async def test_renewed_holds_last_longer(caller: Caller, limiter: Limiter, key: Key, clock: ManualClock) -> None:
    claims = (
        SlotClaim("streams", key("streams"), 1),
        BudgetClaim("budget", key("budget"), limit=100, cost=60, load_spent=nothing_spent),
    )
    grant = await caller.take(*claims, hold_seconds=30)
    for _ in range(4):
        clock.advance(seconds=20)
        assert await limiter.renew(grant)
    assert [state.remaining for state in (await caller.miss(*claims)).states] == [0, 40]


async def test_lapsed_slot_is_not_taken_back(caller: Caller, limiter: Limiter, key: Key, clock: ManualClock) -> None:
    claim = SlotClaim("streams", key("streams"), 1)
    grant = await caller.take(claim, hold_seconds=30)
    clock.advance(seconds=30)
    await caller.take(claim)
    assert not await limiter.renew(grant)
    await limiter.settle(grant, {})
    assert (await caller.miss(claim)).refused == "streams", "the slot is its new owner's"


async def test_closed_reservation_cannot_be_renewed(caller: Caller, limiter: Limiter, key: Key) -> None:
    claim = SlotClaim("streams", key("streams"), 1)
    grant = await caller.take(claim)
    await limiter.settle(grant, {})
    assert not await limiter.renew(grant)
    await caller.take(claim)


async def test_budget_starts_from_what_was_spent(caller: Caller, key: Key) -> None:
    async def spent() -> int:
        return 950

    claim = BudgetClaim("budget", key("budget"), 1000, 50, spent, period_left_seconds=3600)
    assert (await caller.take(claim)).states[0].remaining == 0
    refusal = await caller.miss(claim)
    assert refusal.retry_after_seconds == 1.0, "what is held may be released"
    assert refusal.states[0].reset_seconds == 3600


async def test_spent_budget_waits_for_the_next_period(caller: Caller, limiter: Limiter, key: Key) -> None:
    claim = BudgetClaim("budget", key("budget"), 1000, 600, nothing_spent, period_left_seconds=3600)
    await limiter.settle(await caller.take(claim), {"budget": 500})
    assert (await caller.miss(claim)).retry_after_seconds == 3600
    endless = BudgetClaim("budget", key("budget"), 1000, 600, nothing_spent)
    assert (await caller.miss(endless)).retry_after_seconds is None


async def test_budget_is_charged_what_was_used_also_beyond_the_limit(
    caller: Caller, limiter: Limiter, key: Key
) -> None:
    claim = BudgetClaim("budget", key("budget"), 100, 40, nothing_spent)
    first, second = await caller.take(claim), await caller.take(claim)
    await limiter.settle(first, {"budget": 25})
    free = BudgetClaim("budget", key("budget"), 100, 0, nothing_spent)
    assert (await caller.take(free)).states[0].remaining == 35
    await limiter.settle(second, {"budget": 90})
    assert (await caller.miss(claim)).states[0].remaining == 0


async def test_lapsed_money_is_released_and_charged_when_settled_late(
    caller: Caller, limiter: Limiter, key: Key, clock: ManualClock
) -> None:
    claim = BudgetClaim("budget", key("budget"), 100, 60, nothing_spent)
    late = await caller.take(claim, hold_seconds=30)
    clock.advance(seconds=30)
    await caller.take(claim)
    await limiter.settle(late, {"budget": 30})
    free = BudgetClaim("budget", key("budget"), 100, 0, nothing_spent)
    assert (await caller.take(free)).states[0].remaining == 10


async def test_failing_ledger_reaches_the_caller_and_takes_nothing(caller: Caller, key: Key) -> None:
    async def fail() -> int:
        raise LookupError("no ledger")

    requests = RateClaim("requests", key("rpm"), 10)
    with pytest.raises(LookupError, match="no ledger"):
        await caller.ask(requests, BudgetClaim("budget", key("budget"), 100, 1, fail))
    assert (await caller.take(requests)).states[0].remaining == 9


async def test_changed_limit_applies_at_once(caller: Caller, key: Key) -> None:
    await caller.take(RateClaim("requests", key("rpm"), limit=10, cost=5))
    grant = await caller.take(RateClaim("requests", key("rpm"), limit=100, cost=0))
    assert grant.states[0].remaining == 50, "a limit half full stays half full"


@pytest.mark.parametrize(
    ("claims", "complaint"),
    [
        ([], "at least one"),
        ([RateClaim("a", "x:{t}", 1), RateClaim("a", "y:{t}", 1)], "same name"),
        ([RateClaim("a", "x:{t}", 1), RateClaim("b", "x:{t}", 1)], "same name or key"),
        ([RateClaim("a", "x:{t}", 1), RateClaim("b", "x:{u}", 1)], "one hash tag"),
        ([RateClaim("a", "x:t", 1)], "no hash tag"),
        ([RateClaim("a", "x:{}", 1)], "no hash tag"),
    ],
)
async def test_impossible_reservation_is_an_error(limiter: Limiter, claims: list[Claim], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        await limiter.reserve(claims, reservation_id="r")


async def test_impossible_settlement_is_an_error(caller: Caller, limiter: Limiter, key: Key) -> None:
    grant = await caller.take(RateClaim("tokens", key("tpm"), 10), SlotClaim("streams", key("streams"), 1))
    for actual in ({"budget": 1}, {"streams": 1}, {"tokens": -1}):
        with pytest.raises(ValueError, match=r"no rate or budget|negative"):
            await limiter.settle(grant, actual)


def test_impossible_claim_is_an_error() -> None:
    for make in (
        lambda: RateClaim("a", "{t}", -1),
        lambda: RateClaim("a", "{t}", 1, cost=-1),
        lambda: RateClaim("a", "{t}", 1, period_seconds=0),
        lambda: SlotClaim("a", "{t}", -1),
        lambda: BudgetClaim("a", "{t}", 1, -1, nothing_spent),
    ):
        with pytest.raises(ValueError, match="must"):
            make()
