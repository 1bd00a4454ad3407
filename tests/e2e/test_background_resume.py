"""A response of five hundred events is gone on with after any of them, through either gateway, byte for byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from support.background import Clients
from support.follower import Follower
from support.provider import ScriptedProvider
from support.provider_call import Call
from support.provider_wire import DONE, frame
from support.stack import own_stack

pytestmark = pytest.mark.e2e

# Calls of functions: each makes four events however they arrive, where words that arrive together make one. Four events
# tell of the whole.
_EVENTS = 500
_CALLS = (_EVENTS - 4) // 4
_CALLING, _PACED = "calling", "ok-491-10"
_AT_ONCE = 8


@pytest.fixture
async def clients(tmp_path: Path) -> AsyncIterator[Clients]:
    """Yield clients of two gateways and two chats."""
    async with AsyncExitStack() as exits:
        provider = await exits.enter_async_context(ScriptedProvider(models=[_PACED, _CALLING]))
        provider.program(_CALLING, call_functions)
        stack = await exits.enter_async_context(own_stack(tmp_path, provider=provider, gateways=2, chats=2))
        yield await exits.enter_async_context(Clients.open(stack))


async def call_functions(call: Call) -> None:
    """Answer with many calls of a function."""
    chunk = {"id": "chatcmpl_1", "object": "chat.completion.chunk", "created": 1, "model": _CALLING}
    await call.start()
    for index in range(_CALLS):
        function = {"name": "look", "arguments": f'{{"at":{index}}}'}
        asked = {"index": index, "id": f"call_{index}", "type": "function", "function": function}
        choice = {"index": 0, "delta": {"tool_calls": [asked]}, "finish_reason": None}
        await call.send(frame(chunk | {"choices": [choice]}))
    await call.finish(frame(chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}) + DONE)


async def body(gateway: httpx.AsyncClient, response_id: str, *, after: int) -> bytes:
    """Return all that a stream says, without what keeps it alive."""
    params = {"stream": "true", "starting_after": after}
    answer = await gateway.get(f"/v1/responses/{response_id}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.content.replace(b": heartbeat\n\n", b"")


async def test_tails_after_every_event_are_the_same_bytes(clients: Clients) -> None:
    response_id = await clients.create(_CALLING)
    frames = await whole(clients, response_id)
    assert len(frames) == _EVENTS
    gate = asyncio.Semaphore(_AT_ONCE)

    async def check(gateway: httpx.AsyncClient, after: int) -> None:
        async with gate:
            assert await body(gateway, response_id, after=after) == b"".join(frames[after + 1 :])

    await asyncio.gather(*(check(gateway, after) for after in range(_EVENTS) for gateway in clients.gateways))


async def test_tails_are_the_same_bytes_while_it_runs(clients: Clients) -> None:
    response_id = await clients.create(_PACED)
    first = Follower(response_id, next_client=clients.any)
    following = asyncio.create_task(first.run())
    tails: dict[tuple[int, int], asyncio.Task[bytes]] = {}
    after = 0
    while not following.done():
        if len(first.frames) > after:
            # As soon as the event is there, and one that is far from being there.
            for number, gateway in enumerate(clients.gateways):
                for point in (after, after + 30):
                    tails[number, point] = asyncio.create_task(body(gateway, response_id, after=point))
            after += 1 if after < 6 else 30
        await asyncio.sleep(0.005)
    assert after >= 6
    await following
    frames = await whole(clients, response_id)
    assert [frame + b"\n\n" for frame in first.frames] == frames
    for (_, after), tail in tails.items():
        assert await tail == b"".join(frames[after + 1 :])


async def whole(clients: Clients, response_id: str) -> list[bytes]:
    """Return the frames of all events."""
    follower = await Follower(response_id, next_client=clients.any).run()
    assert follower.refusal is None
    return [frame + b"\n\n" for frame in follower.frames]
