"""Two hundred background responses in a minute, followed by many, while chats are killed and a gateway is too.

What happens when, and to whom, follows from a seed, which is printed; `ROSTRA_CHAOS_SEED` repeats it.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest

from rostra_stack.stack import Stack
from support.aftermath import (
    assert_calm_logs,
    attempts,
    held_claims,
    immortal_keys,
    redis_of,
    stored_outputs,
    stored_responses,
    waiting_responses,
)
from support.background import Clients
from support.follower import ENDED, Follower, assert_told, text_of
from support.ledger import Ledger
from support.provider import ScriptedProvider
from support.provider_reply import numbered_text
from support.stack import eventually, own_stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_SECONDS = float(os.environ.get("ROSTRA_CHAOS_SECONDS", "60"))
_RESPONSES = round(_SECONDS / 60 * 200)
_FOLLOWERS = 3
# After the last response began: three takeovers, each when a lease of six seconds has ended, and as many beginnings.
_END_SECONDS = 120.0
_HOLD_SECONDS = 5.0
_ENVIRONMENT = {"ROSTRA_GATEWAY_STREAM_HOLD_SECONDS": str(_HOLD_SECONDS)}
_GATEWAYS, _CHATS = 2, 3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one response's clients do.

    Attributes:
        model: Its model, which no other response has: so the provider and the ledger tell whose a call was.
        at_seconds: When it is created.
        chance: Decides all else.
    """

    model: str
    words: int
    at_seconds: float
    chance: Random


async def follow(clients: Clients, plan: Plan, response_id: str, seed: int) -> Follower:
    """Join at a random moment and point, leave some times, and follow to the end."""
    chance = Random(seed)
    follower = Follower(
        response_id,
        next_client=lambda: clients.any(chance),
        starting_after=chance.choice([-1, -1, chance.randrange(20)]),
        next_stay=lambda: chance.choice([None, None, chance.randrange(1, plan.words)]),
    )
    await asyncio.sleep(chance.uniform(0, 6))
    return await follower.run()


def plans(chance: Random) -> list[Plan]:
    """Return what happens to each response."""
    kinds = [(words, gap) for words in range(50, 150) for gap in (20, 30)]
    return [
        Plan(
            model=f"ok-{words}-{gap}",
            words=words,
            at_seconds=chance.uniform(0, _SECONDS),
            chance=Random(chance.getrandbits(64)),
        )
        for words, gap in chance.sample(kinds, _RESPONSES)
    ]


async def disturb(stack: Stack, chance: Random) -> Counter[str]:
    """Kill chats, one after the other, and one gateway, until no response is created any more."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + _SECONDS
    gateway_at = loop.time() + chance.uniform(0.2, 0.8) * _SECONDS
    killed: Counter[str] = Counter()
    while loop.time() < ends_at:
        await asyncio.sleep(chance.uniform(2, 5))
        name = f"chat-{chance.randint(1, _CHATS)}"
        if loop.time() > gateway_at:
            name, gateway_at = f"gateway-{chance.randint(1, _GATEWAYS)}", ends_at
        child = stack.children[name]
        assert await child.kill() == -9, f"{name} had ended by itself"
        killed[name] += 1
        await child.start()
        await child.wait_ready(timeout_seconds=60)
    return killed


async def test_every_response_ends_once_and_is_followed_without_a_gap_while_processes_are_killed(
    tmp_path: Path,
) -> None:
    seed = int(os.environ.get("ROSTRA_CHAOS_SEED") or SystemRandom().getrandbits(32))
    print(f"ROSTRA_CHAOS_SEED={seed}")  # noqa: T201 - it is how to repeat a failure
    chance = Random(seed)
    planned = plans(chance)
    async with AsyncExitStack() as exits:
        provider = await exits.enter_async_context(ScriptedProvider(models=[plan.model for plan in planned]))
        stack = await exits.enter_async_context(
            own_stack(tmp_path, provider=provider, environment=_ENVIRONMENT, gateways=_GATEWAYS, chats=_CHATS)
        )
        clients = await exits.enter_async_context(Clients.open(stack, chance=Random(chance.getrandbits(64))))
        async with asyncio.timeout(_SECONDS + _END_SECONDS), asyncio.TaskGroup() as tasks:
            disturbing = tasks.create_task(disturb(stack, Random(chance.getrandbits(64))))
            living = [tasks.create_task(live(clients, plan)) for plan in planned]
        lives, killed = [each.result() for each in living], disturbing.result()
        breaks = sum((follower.breaks for _, followers in lives for follower in followers), Counter())
        print(f"killed {dict(killed)}, streams broke {dict(breaks)}, provider asked {len(provider.chats)} times")  # noqa: T201

        calls = Counter(chat.body["model"] for chat in provider.chats)
        statuses = Counter(
            [check(plan, response, followers) for plan, (response, followers) in zip(planned, lives, strict=True)]
        )
        print(f"ended {dict(statuses)}")  # noqa: T201
        await check_stores(tmp_path, clients, [response for response, _ in lives])
        await check_ledger(stack, planned, [response for response, _ in lives], calls)
        await check_redis(stack)
        assert_calm_logs(stack)


async def live(clients: Clients, plan: Plan) -> tuple[dict[str, Any], list[Follower]]:
    """Create a response, follow it to its end, and return it as it is stored with those who followed."""
    await asyncio.sleep(plan.at_seconds)
    response_id = await clients.create(plan.model, chance=plan.chance)
    seeds = [plan.chance.getrandbits(64) for _ in range(_FOLLOWERS)]
    followers = await asyncio.gather(*(follow(clients, plan, response_id, seed) for seed in seeds))
    witness = await Follower(response_id, next_client=lambda: clients.any(plan.chance)).run()
    return await clients.get(response_id, chance=plan.chance), [witness, *followers]


def check(plan: Plan, response: dict[str, Any], followers: Sequence[Follower]) -> str:
    """Check one response and what its followers saw, and return how it ended."""
    witness = followers[0]
    assert_told(witness.frames, response)
    for follower in followers:
        assert follower.refusal is None
        assert follower.frames == witness.frames[follower.starting_after + 1 :]
    if response["status"] == "completed":
        assert text_of(response) == numbered_text(plan.words)
        assert len(response["output"]) == 1
    else:
        # Its runners were killed three times; nothing else may end it so.
        assert response["status"] == "failed"
        assert "tried 3 times" in response["error"]["message"]
        assert numbered_text(plan.words).startswith(text_of(response))
    return str(response["status"])


async def check_stores(data: Path, clients: Clients, responses: Sequence[dict[str, Any]]) -> None:
    """Check that each response is stored once and that nothing is left that has not ended."""

    async def is_quiet() -> bool:
        return waiting_responses(data) == 0

    # Those too of whose creation no reply told.
    await eventually(is_quiet, within_seconds=30)
    stored, outputs = stored_responses(data), stored_outputs(data)
    assert set(stored.values()) <= set(ENDED)
    assert len(responses) <= len(stored) <= len(responses) + clients.refused_creations
    for response in responses:
        assert stored[response["id"]] == response["status"]
        assert outputs[response["id"]] == len(response["output"])
    print(f"stored {len(stored)}, creations refused {clients.refused_creations}")  # noqa: T201


async def check_ledger(
    stack: Stack, planned: Sequence[Plan], responses: Sequence[dict[str, Any]], calls: Counter[str]
) -> None:
    """Check that every completed response was billed, and that no attempt was billed twice.

    A chat may be killed after it has written a call down and before the provider has heard of it. Nobody can know that
    afterwards, so it is billed for its input: there may be more bills than calls, but not more than attempts.
    """
    completed = [plan.model for plan, each in zip(planned, responses, strict=True) if each["status"] == "completed"]

    async def is_billed() -> bool:
        ledger = Ledger(stack.data).billed()
        return all(ledger[model, "finished"] for model in completed)

    await eventually(is_billed, within_seconds=10)
    ledger = Ledger(stack.data).billed()
    tried = attempts(stack)
    for plan in planned:
        bills = {outcome: count for (model, outcome), count in ledger.items() if model == plan.model}
        assert bills.get("finished", 0) <= calls[plan.model], (plan.model, bills)
        assert sum(bills.values()) <= tried[plan.model], (plan.model, bills)


async def check_redis(stack: Stack) -> None:
    """Check that nothing is held any more, and nothing kept for ever."""
    async with redis_of(stack) as redis:

        async def is_free() -> bool:
            return await held_claims(redis) == 0

        await eventually(is_free, within_seconds=2 * _HOLD_SECONDS)
        assert await immortal_keys(redis) == []
