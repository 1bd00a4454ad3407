"""Under mixed load, with a fault every few seconds, clients, history, limits and ledger agree to the last call.

What happens when, and to whom, follows from a seed, which is printed; `ROSTRA_CHAOS_SEED` repeats it where the
same servers are found. `ROSTRA_TEST_MINUTES=10` runs for ten minutes.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random, SystemRandom

import pytest

from rostra_kit.usage_queue import OPEN_CALL_EVENTS, USAGE_STREAM
from rostra_stack.stack import Stack
from support.aftermath import assert_calm_logs, immortal_keys, redis_of
from support.background import Clients
from support.disturbances import Disturbance, Disturber
from support.disturbed_stack import DisturbedStack
from support.follower import text_of
from support.ledger import Ledger
from support.mixed_load import Overload, Plan, Record, call, plans, program
from support.provider import ScriptedProvider
from support.stack import eventually

_SECONDS = float(os.environ.get("ROSTRA_TEST_MINUTES", "1.5")) * 60
_CALLS_PER_SECOND = 4.0
# Longer than anything is broken, so that only the calls of killed chats are billed by others.
_CALL_HOLD_SECONDS = 12.0
# After so long without a sign of life, or without the whole answer, a chat gives up a call of the provider.
_PROVIDER_SECONDS = 8.0
_BUDGET_MICROS = 10**15
_REPLICAS = {"gateway": 3, "chat": 3, "history": 2, "user": 2}
_ENVIRONMENT = {
    "ROSTRA_CHAT_CALL_HOLD_SECONDS": str(_CALL_HOLD_SECONDS),
    **{
        f"ROSTRA_CHAT_PROVIDER__{what}_TIMEOUT_SECONDS": str(_PROVIDER_SECONDS)
        for what in ("FIRST_BYTE", "IDLE", "ANSWER")
    },
    "ROSTRA_GATEWAY_STREAM_HOLD_SECONDS": "5",
    "ROSTRA_USER_USAGE_QUEUE__CLAIM_AFTER_SECONDS": "5",
}

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(_SECONDS + 300)]


@dataclass
class Outcome:
    """What came of one call: at its client, at the provider, in the ledger.

    Attributes:
        asked: How often the provider was asked, and did not refuse because everybody was refused.
        is_cut_off: Whether the way to the provider was broken meanwhile.
    """

    plan: Plan
    record: Record
    asked: int
    is_cut_off: bool
    events: Counter[str]


async def test_clients_history_limits_and_ledger_agree_after_faults(tmp_path: Path) -> None:
    seed = int(os.environ.get("ROSTRA_CHAOS_SEED") or SystemRandom().getrandbits(32))
    print(f"ROSTRA_CHAOS_SEED={seed}")  # noqa: T201 - it is how to repeat a failure
    chance = Random(seed)
    planned = plans(chance, seconds=_SECONDS, per_second=_CALLS_PER_SECOND)
    async with AsyncExitStack() as exits:
        provider, overload = await exits.enter_async_context(ScriptedProvider()), Overload()
        catalogue = tmp_path / "models.yaml"
        catalogue.write_text(program(provider, planned, overload))
        environment = _ENVIRONMENT | {"ROSTRA_CHAT_CATALOGUE_FILE": str(catalogue)}
        disturbed = await exits.enter_async_context(
            DisturbedStack.open(tmp_path / "data", provider=provider, replicas=_REPLICAS, environment=environment)
        )
        stack, ledger = disturbed.stack, disturbed.ledger
        ledger.set_budget(_BUDGET_MICROS)
        clients = await exits.enter_async_context(
            Clients.open(stack, chance=Random(chance.getrandbits(64)), ledger=ledger)
        )
        disturber = Disturber(disturbed, overload, Random(chance.getrandbits(64)))
        async with asyncio.TaskGroup() as tasks:
            disturbing = tasks.create_task(disturber.run(seconds=_SECONDS))
            calling = [tasks.create_task(call_in_time(clients, plan)) for plan in planned]
        records = [each.result() for each in calling]
        await everything_billed(stack)
        asked = Counter(chat.body["model"] for chat in provider.chats) - overload.refused
        outcomes = gather(planned, records, asked, ledger, disturbing.result())
        report(outcomes, disturbing.result())
        for outcome in outcomes:
            check_client(outcome)
            check_ledger(outcome)
        await check_history(clients, outcomes)
        await check_limits(stack, ledger, clients.account.user_id)
        assert_calm_logs(stack)


async def call_in_time(clients: Clients, plan: Plan) -> Record:
    await asyncio.sleep(plan.at_seconds)
    return await call(clients, plan)


async def everything_billed(stack: Stack) -> None:
    """Wait until the calls of dead chats are billed too, and the ledger has everything."""
    async with redis_of(stack) as redis:

        async def is_quiet() -> bool:
            return await redis.hlen(OPEN_CALL_EVENTS) == 0 and await redis.xlen(USAGE_STREAM) == 0

        await eventually(is_quiet, within_seconds=5 * _CALL_HOLD_SECONDS)


def gather(
    planned: list[Plan], records: list[Record], asked: Counter[str], ledger: Ledger, disturbances: list[Disturbance]
) -> list[Outcome]:
    """Put together what is known of each call."""
    events: dict[str, Counter[str]] = {plan.model: Counter() for plan in planned}
    for (model, outcome), count in ledger.billed().items():
        events[model][outcome] += count
    cuts = [(each.began_at, each.ended_at) for each in disturbances if each.target == "the provider"]
    return [
        Outcome(plan, record, asked[plan.model], was_cut_off(record, cuts), events[plan.model])
        for plan, record in zip(planned, records, strict=True)
    ]


def was_cut_off(record: Record, cuts: list[tuple[float, float]]) -> bool:
    """Tell whether a call was under way while the way to the provider was broken, or a chat had not noticed yet."""
    return any(
        record.began_at < ended_at + _PROVIDER_SECONDS and began_at < record.ended_at for began_at, ended_at in cuts
    )


def report(outcomes: Sequence[Outcome], disturbances: Sequence[Disturbance]) -> None:
    faults = Counter(f"{each.target} {each.fault}" for each in disturbances)
    statuses = Counter((each.record.status, each.record.error_code) for each in outcomes)
    told = Counter("complete" if each.record.text is not None else "not complete" for each in outcomes)
    ledger = sum((each.events for each in outcomes), Counter[str]())
    print(f"faults {dict(faults)}\nanswers {dict(statuses)}, {dict(told)}\nledger {dict(ledger)}")  # noqa: T201


def check_client(outcome: Outcome) -> None:
    """Check that everybody was told something, and whoever was told of an end was told all of it."""
    plan, record = outcome.plan, outcome.record
    assert record.error_code != "ReadTimeout", outcome
    assert record.text in (None, plan.text), outcome
    assert plan.behaviour == "good" or record.text is None, outcome


def check_ledger(outcome: Outcome) -> None:
    """Check that a call is billed once: as finished if its client has it, and in any case if the provider answered.

    What nobody can know is billed for its input: a chat may be killed after it has written a call down and before it
    has asked, or after the provider has refused and before it has said so. What the provider was asked in vain, because
    nothing of its answer came through, is not billed.
    """
    plan, record, asked, events = outcome.plan, outcome.record, outcome.asked, outcome.events
    billed_times = events.total()
    if plan.kind == "background":
        # Each runner that asks is billed for itself; one may die before it has asked.
        assert events["finished"] <= asked, outcome
        assert plan.behaviour != "good" or outcome.is_cut_off or asked <= billed_times, outcome
        assert record.text is None or events["finished"] >= 1, outcome
        return
    assert asked <= 1, outcome
    assert billed_times <= 1, outcome
    if record.text is not None:
        assert events == {"finished": 1}, outcome
    elif record.status == 200 or (plan.behaviour == "good" and asked and not outcome.is_cut_off):
        assert billed_times == 1, outcome
    elif record.error_code == "provider_unavailable" and (plan.behaviour == "refuses" or not asked):
        assert billed_times == 0, outcome


async def check_history(clients: Clients, outcomes: Sequence[Outcome]) -> None:
    """Check that each response and conversation whose client was told of it is there, whole."""
    for outcome in outcomes:
        record = outcome.record
        if record.response_id and record.text is not None:
            response = await clients.get(record.response_id)
            assert (response["status"], text_of(response)) == ("completed", outcome.plan.text), outcome
        if record.conversation_id:
            path = f"/v1/conversations/{record.conversation_id}/items"
            items = (await clients.any().get(path)).json()["data"]
            roles = Counter(item["role"] for item in items)
            assert record.text is None or roles == {"user": 1, "assistant": 1}, outcome


async def check_limits(stack: Stack, ledger: Ledger, user_id: str) -> None:
    """Check that Redis has spent what the ledger has, and keeps nothing for ever."""
    key = f"limit:{{{user_id}}}:budget:{datetime.now(UTC):%Y-%m}"
    async with redis_of(stack) as redis:

        async def agrees() -> bool:
            return await redis.get(key) == str(ledger.spent_micros(user_id)).encode()

        await eventually(agrees, within_seconds=5)
        slots = [key async for key in redis.scan_iter("limit:*:streams", count=1000)]

        async def is_free() -> bool:
            seconds, _ = await redis.time()
            return sum([await redis.zcount(key, seconds * 1000, "+inf") for key in slots]) == 0

        await eventually(is_free, within_seconds=15)
        assert await immortal_keys(redis) == []
