"""Under mixed load, with a fault every few seconds, clients, history, limits and ledger agree to the last call.

What happens when, and to whom, follows from a seed, which is printed; `ROSTRA_CHAOS_SEED` repeats it.
`ROSTRA_TEST_MINUTES=10` runs for ten minutes.
"""

import asyncio
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom

import pytest

from rostra_kit.usage_queue import OPEN_CALL_EVENTS, USAGE_STREAM
from rostra_stack.stack import Stack
from support.aftermath import assert_calm_logs, billed, immortal_keys, redis_of, stored_responses
from support.background import Clients
from support.follower import text_of
from support.mixed_load import Plan, Record, call, plans, program
from support.provider import ScriptedProvider
from support.stack import eventually, own_stack

_SECONDS = float(os.environ.get("ROSTRA_TEST_MINUTES", "1.5")) * 60
_CALLS_PER_SECOND = 4.0
_FAULT_SECONDS = 10.0
_STOP_SECONDS = 3.0
# Longer than a process is stopped, so that only the calls of killed chats are billed by others.
_CALL_HOLD_SECONDS = 8.0
_BUDGET_MICROS = 10**15
_GATEWAYS, _CHATS, _HISTORIES, _USERS = 3, 3, 2, 2
_SERVICES = {"gateway": _GATEWAYS, "chat": _CHATS, "history": _HISTORIES, "user": _USERS}
_ENVIRONMENT = {
    "ROSTRA_CHAT_CALL_HOLD_SECONDS": str(_CALL_HOLD_SECONDS),
    "ROSTRA_GATEWAY_STREAM_HOLD_SECONDS": "5",
    "ROSTRA_USER_USAGE_QUEUE__CLAIM_AFTER_SECONDS": "5",
}

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(_SECONDS + 240)]


@dataclass
class Outcome:
    """What came of one call: at its client, at the provider, in the ledger."""

    plan: Plan
    record: Record
    asked: int
    events: Counter[str]


async def disturb(stack: Stack, chance: Random) -> Counter[str]:
    """Break something every few seconds, until no call is made any more."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + _SECONDS - _FAULT_SECONDS / 2
    done: Counter[str] = Counter()
    while loop.time() < ends_at:
        next_at = loop.time() + _FAULT_SECONDS
        await asyncio.sleep(chance.uniform(0, 2))
        service = chance.choice(list(_SERVICES))
        fault = chance.choices(("kill", "stop", "redis"), weights=(5, 3, 2))[0]
        name = f"{service}-{chance.randint(1, _SERVICES[service])}" if fault != "redis" else "redis"
        if fault == "redis" and "embedded" in " ".join(stack.children["redis"].plan.command):
            continue  # it forgets everything at its end
        await break_process(stack, name, stops=fault == "stop")
        done[f"{fault} {name}"] += 1
        await asyncio.sleep(max(0.0, next_at - loop.time()))
    return done


async def break_process(stack: Stack, name: str, *, stops: bool) -> None:
    """Stop a process for a while, or kill it and start it again."""
    child = stack.children[name]
    if stops:
        child.signal(signal.SIGSTOP)
        await asyncio.sleep(_STOP_SECONDS)
        child.signal(signal.SIGCONT)
        return
    assert await child.kill() == -signal.SIGKILL, f"{name} had ended by itself"
    await child.start()
    await child.wait_ready(timeout_seconds=60)


async def test_clients_history_limits_and_ledger_agree_after_faults(tmp_path: Path) -> None:
    seed = int(os.environ.get("ROSTRA_CHAOS_SEED") or SystemRandom().getrandbits(32))
    print(f"ROSTRA_CHAOS_SEED={seed}")  # noqa: T201 - it is how to repeat a failure
    chance = Random(seed)
    planned = plans(chance, seconds=_SECONDS, per_second=_CALLS_PER_SECOND)
    async with AsyncExitStack() as exits:
        provider = await exits.enter_async_context(ScriptedProvider())
        catalogue = tmp_path / "models.yaml"
        catalogue.write_text(program(provider, planned))
        stack = await exits.enter_async_context(
            own_stack(
                tmp_path / "data",
                provider=provider,
                environment=_ENVIRONMENT | {"ROSTRA_CHAT_CATALOGUE_FILE": str(catalogue)},
                gateways=_GATEWAYS,
                chats=_CHATS,
                histories=_HISTORIES,
                users=_USERS,
            )
        )
        set_budget(stack.data)
        clients = await exits.enter_async_context(Clients.open(stack, chance=Random(chance.getrandbits(64))))
        async with asyncio.TaskGroup() as tasks:
            disturbing = tasks.create_task(disturb(stack, Random(chance.getrandbits(64))))
            calling = [tasks.create_task(call_in_time(clients, plan)) for plan in planned]
        records = [each.result() for each in calling]
        await everything_billed(stack)
        outcomes = gather(stack.data, provider, planned, records)
        report(outcomes, disturbing.result())
        for outcome in outcomes:
            check_client(outcome)
            check_ledger(outcome)
        await check_history(stack, clients, outcomes)
        await check_limits(stack, clients)
        assert_calm_logs(stack)


async def call_in_time(clients: Clients, plan: Plan) -> Record:
    await asyncio.sleep(plan.at_seconds)
    return await call(clients, plan)


def set_budget(data: Path) -> None:
    """Give the plan a budget that nobody spends: it is counted all the same."""
    with closing(sqlite3.connect(data / "user.sqlite3")) as database, database:
        database.execute("UPDATE plans SET budget_micros_per_month = ?", (_BUDGET_MICROS,))


async def everything_billed(stack: Stack) -> None:
    """Wait until the calls of dead chats are billed too, and the ledger has everything."""
    async with redis_of(stack) as redis:

        async def is_quiet() -> bool:
            return await redis.hlen(OPEN_CALL_EVENTS) == 0 and await redis.xlen(USAGE_STREAM) == 0

        await eventually(is_quiet, within_seconds=5 * _CALL_HOLD_SECONDS)


def gather(data: Path, provider: ScriptedProvider, planned: list[Plan], records: list[Record]) -> list[Outcome]:
    """Put together what is known of each call."""
    asked = Counter(chat.body["model"] for chat in provider.chats)
    events: dict[str, Counter[str]] = {plan.model: Counter() for plan in planned}
    for (model, outcome), count in billed(data).items():
        events[model][outcome] += count
    return [
        Outcome(plan, record, asked[plan.model], events[plan.model])
        for plan, record in zip(planned, records, strict=True)
    ]


def report(outcomes: Sequence[Outcome], faults: Counter[str]) -> None:
    statuses = Counter((each.record.status, each.record.error_code) for each in outcomes)
    told = Counter("complete" if each.record.text is not None else "not complete" for each in outcomes)
    ledger = sum((each.events for each in outcomes), Counter[str]())
    print(f"faults {dict(faults)}\nanswers {dict(statuses)}, {dict(told)}\nledger {dict(ledger)}")  # noqa: T201


def check_client(outcome: Outcome) -> None:
    """Check that whoever was told of an end was told all of it."""
    plan, record = outcome.plan, outcome.record
    assert record.text in (None, plan.text), outcome
    assert plan.behaviour == "good" or record.text is None, outcome


def check_ledger(outcome: Outcome) -> None:
    """Check that a call is billed once: as finished if its client has it, and in any case if the provider answered.

    What nobody can know is billed for its input: a chat may be killed after it has written a call down and before it
    has asked, or after the provider has refused and before it has said so.
    """
    plan, record, asked, events = outcome.plan, outcome.record, outcome.asked, outcome.events
    billed_times = events.total()
    if plan.kind == "background":
        # Each runner that asks is billed for itself; one may die before it has asked.
        assert events["finished"] <= asked, outcome
        assert plan.behaviour != "good" or asked <= billed_times, outcome
        assert record.text is None or events["finished"] >= 1, outcome
        return
    assert asked <= 1, outcome
    assert billed_times <= 1, outcome
    if record.text is not None:
        assert events == {"finished": 1}, outcome
    elif plan.behaviour == "good" and asked:
        assert billed_times == 1, outcome
    elif plan.behaviour == "refuses" and record.error_code == "provider_unavailable":
        assert billed_times == 0, outcome


async def check_history(stack: Stack, clients: Clients, outcomes: Sequence[Outcome]) -> None:
    """Check that each response and conversation whose client was told of it is there, whole."""
    stored = stored_responses(stack.data)
    for outcome in outcomes:
        record = outcome.record
        if record.response_id and record.text is not None:
            assert stored[record.response_id] == "completed", outcome
            assert text_of(await clients.get(record.response_id)) == outcome.plan.text, outcome
        if record.conversation_id:
            path = f"/v1/conversations/{record.conversation_id}/items"
            items = (await clients.any().get(path)).json()["data"]
            roles = Counter(item["role"] for item in items)
            assert record.text is None or roles == {"user": 1, "assistant": 1}, outcome


async def check_limits(stack: Stack, clients: Clients) -> None:
    """Check that Redis has spent what the ledger has, and keeps nothing for ever."""
    query = "SELECT SUM(cost_micros), strftime('%Y-%m', 'now') FROM usage_events WHERE user_id = ?"
    with closing(sqlite3.connect(f"file:{stack.data / 'user.sqlite3'}?mode=ro", uri=True)) as database:
        [(spent, month)] = database.execute(query, (clients.account.user_id,)).fetchall()
    async with redis_of(stack) as redis:

        async def agrees() -> bool:
            return await redis.get(f"limit:{{{clients.account.user_id}}}:budget:{month}") == str(spent).encode()

        await eventually(agrees, within_seconds=5)
        slots = [key async for key in redis.scan_iter("limit:*:streams", count=1000)]

        async def is_free() -> bool:
            seconds, _ = await redis.time()
            return sum([await redis.zcount(key, seconds * 1000, "+inf") for key in slots]) == 0

        await eventually(is_free, within_seconds=15)
        assert await immortal_keys(redis) == []
