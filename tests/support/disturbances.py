"""What breaks in a stack in use, one thing after another, as chance has it."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from rostra_stack.child import Child
from support.disturbed_stack import DisturbedStack
from support.fault_proxy import FaultProxy
from support.mixed_load import Overload
from support.mongodb_proxy import MongodbProxy

PERIOD_SECONDS = 10.0
BROKEN_SECONDS = 3.0
"""How long a fault lasts."""

_SLOW_SECONDS = 0.3
_READY_SECONDS = 60.0
_LATE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """What was broken, how, and when, by the event loop's clock."""

    target: str
    fault: str
    began_at: float
    ended_at: float


class Disturber:
    """Breaks one thing every few seconds.

    Args:
        disturbed: Where.
        overload: What makes the provider refuse.
        chance: Chooses what and when.
    """

    def __init__(self, disturbed: DisturbedStack, overload: Overload, chance: Random) -> None:
        self._addresses = disturbed.addresses
        self._children = disturbed.stack.children
        self._overload = overload
        self._chance = chance

    async def run(self, *, seconds: float) -> list[Disturbance]:
        """Go on for so long and return what was done, with the last fault over well before the end."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + seconds - PERIOD_SECONDS / 2
        done = []
        while loop.time() < ends_at:
            next_at = loop.time() + PERIOD_SECONDS
            await asyncio.sleep(self._chance.uniform(0, _LATE_SECONDS))
            target, fault = self._choose()
            began_at = loop.time()
            await self._faults(target)[fault]()
            done.append(Disturbance(target=target, fault=fault, began_at=began_at, ended_at=loop.time()))
            await asyncio.sleep(next_at - loop.time())
        return done

    def _choose(self) -> tuple[str, str]:
        target = self._chance.choice(sorted({*self._children, *self._addresses} - {"redis"}))
        return target, self._chance.choice(sorted(self._faults(target)))

    def _faults(self, target: str) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return all that can befall a process, a server or the provider."""
        faults: dict[str, Callable[[], Awaitable[None]]] = {}
        child = self._children.get(target.lower())
        if child is not None and not _forgets(child):
            faults |= {"killed": lambda: _kill(child), "stopped": lambda: _stop(child)}
        if (address := self._addresses.get(target)) is not None:
            faults |= {
                "cut": lambda: _for_a_while(address.cut, address),
                "silent": lambda: _for_a_while(address.fall_silent, address),
                "slow": lambda: _for_a_while(lambda: address.slow_down(_SLOW_SECONDS), address),
                "answers lost": lambda: _for_a_while(address.lose_answers, address),
                "connections refused": lambda: _refuse(address),
            }
        if isinstance(address, MongodbProxy):
            faults |= {
                "commands refused": lambda: _for_a_while(address.refuse_commands, address),
                "commands held": lambda: _for_a_while(address.hold_commands, address),
            }
        if target == "the provider":
            faults["overloaded"] = self._refuse_calls
        return faults

    async def _refuse_calls(self) -> None:
        self._overload.is_on = True
        await asyncio.sleep(BROKEN_SECONDS)
        self._overload.is_on = False


def _forgets(child: Child) -> bool:
    """Tell whether it is the Redis that is built in, which keeps nothing of what it knew."""
    return "embedded" in " ".join(child.plan.command)


async def _kill(child: Child) -> None:
    assert await child.kill() == -signal.SIGKILL, f"{child.plan.name} had ended by itself"
    await child.start()
    await child.wait_ready(timeout_seconds=_READY_SECONDS)


async def _stop(child: Child) -> None:
    child.signal(signal.SIGSTOP)
    await asyncio.sleep(BROKEN_SECONDS)
    child.signal(signal.SIGCONT)


async def _for_a_while(break_it: Callable[[], None], address: FaultProxy) -> None:
    break_it()
    await asyncio.sleep(BROKEN_SECONDS)
    await address.heal()


async def _refuse(address: FaultProxy) -> None:
    await address.refuse()
    await asyncio.sleep(BROKEN_SECONDS)
    await address.heal()
