"""What breaks in a stack that is in use, for as long as a context is open."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import httpx

from rostra_stack.stack import Stack
from support.ledger import Ledger
from support.provider import ScriptedProvider
from support.provider_call import Call, Script
from support.provider_failure import overloaded
from support.provider_reply import numbered_text
from support.provider_script import refuse, say
from support.stack import Account, create_key, own_stack, register

MODEL = "used"
GOOD = say(numbered_text(10), gap_seconds=0.005)

_WORKERS = 4
_PAUSE_SECONDS = 0.1
_MORE_WORKERS = 50
# Not all alike, or the answers would come in bursts with nothing to read between them.
_LATE_SECONDS = range(9, 18)
_LOCKED_SECONDS, _UNLOCKED_SECONDS = 1.0, 0.15


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A stack, who uses it, and who answers."""

    stack: Stack
    provider: ScriptedProvider
    account: Account

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        """Return a client of the gateway."""
        headers = {"authorization": f"Bearer {key}"} if key else self.account.key
        return httpx.AsyncClient(base_url=self.stack.gateway_urls[0], headers=headers, timeout=30)


@asynccontextmanager
async def scene_in(
    data: Path, *, models: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> AsyncIterator[Scene]:
    """Run a stack with two chats whose limits nobody reaches.

    Args:
        data: Its folder.
        models: What its provider lists beside the model that is used.
        environment: Settings beside those of every test's stack.
    """
    async with (
        ScriptedProvider(models=[MODEL, *models]) as provider,
        own_stack(data, provider=provider, environment=environment, chats=2) as stack,
    ):
        provider.program(MODEL, GOOD)
        Ledger(stack.data).lift_limits()
        account = await asyncio.to_thread(register, stack.gateway_urls[0])
        yield Scene(stack=stack, provider=provider, account=account)


@asynccontextmanager
async def in_use(scene: Scene, *, workers: int = _WORKERS) -> AsyncIterator[None]:
    """Let some clients stream completions and begin conversations."""
    async with scene.client() as http, asyncio.TaskGroup() as group:
        using = [group.create_task(_use(http)) for _ in range(workers)]
        yield
        for each in using:
            each.cancel()


@asynccontextmanager
async def failing_provider(scene: Scene) -> AsyncIterator[None]:
    """Let the provider refuse every call."""
    async with _played(scene, refuse(overloaded())):
        yield


@asynccontextmanager
async def slow_provider(scene: Scene) -> AsyncIterator[None]:
    """Let the provider say nothing for seconds; more clients wait, as they do in life."""
    lateness = cycle(_LATE_SECONDS)

    async def late(call: Call) -> None:
        await asyncio.sleep(next(lateness))
        await GOOD(call)

    async with _played(scene, late), in_use(scene, workers=_MORE_WORKERS):
        yield


@asynccontextmanager
async def lost_redis(scene: Scene) -> AsyncIterator[None]:
    """Kill Redis."""
    async with _killed(scene, "redis"):
        yield


@asynccontextmanager
async def killed_chat(scene: Scene) -> AsyncIterator[None]:
    """Kill one of the chats."""
    async with _killed(scene, "chat-1"):
        yield


@asynccontextmanager
async def hot_key(scene: Scene) -> AsyncIterator[None]:
    """Let a client go on asking with a key that is over its limit."""
    key = await asyncio.to_thread(create_key, scene.stack.gateway_urls[0], scene.account, requests_per_minute=1)
    async with scene.client(key) as http, asyncio.TaskGroup() as group:
        asking = [group.create_task(_ask(http)) for _ in range(2 * _WORKERS)]
        yield
        for each in asking:
            each.cancel()


@asynccontextmanager
async def slow_database(scene: Scene) -> AsyncIterator[None]:
    """Hold the lock of history's database most of the time, as a long transaction does."""
    locking = asyncio.create_task(_lock_again_and_again(scene.stack.data / "history.sqlite3"))
    async with in_use(scene, workers=_MORE_WORKERS):
        yield
    locking.cancel()
    with suppress(asyncio.CancelledError):
        await locking


@asynccontextmanager
async def _played(scene: Scene, script: Script) -> AsyncIterator[None]:
    scene.provider.program(MODEL, script)
    yield
    scene.provider.program(MODEL, GOOD)


@asynccontextmanager
async def _killed(scene: Scene, name: str) -> AsyncIterator[None]:
    child = scene.stack.children[name]
    await child.kill()
    yield
    await child.start()
    await child.wait_ready(timeout_seconds=30)


async def _use(http: httpx.AsyncClient) -> None:
    completion = {"model": MODEL, "messages": [{"role": "user", "content": "Count."}], "stream": True}
    while True:
        with suppress(httpx.TransportError):
            await http.post("/v1/chat/completions", json=completion)
            await http.post("/v1/conversations", json={})
        await asyncio.sleep(_PAUSE_SECONDS)


async def _ask(http: httpx.AsyncClient) -> None:
    while True:
        await http.get("/v1/models")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _lock_again_and_again(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as database:
        while True:
            database.execute("BEGIN IMMEDIATE")
            try:
                await asyncio.sleep(_LOCKED_SECONDS)
            finally:
                database.execute("ROLLBACK")
            await asyncio.sleep(_UNLOCKED_SECONDS)
