"""A gateway or a chat that is told to end lets its streams finish, while the others serve."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import orjson
import pytest
import pytest_asyncio

from rostra_stack.child import Child
from rostra_stack.stack import Stack
from support.provider import ScriptedProvider
from support.stack import own_stack, register

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

_PATHS = ("/v1/chat/completions", "/v1/responses")
_DRAIN_SECONDS = 4.0
_REMOVAL_SECONDS = 0.5
# A gateway that has tried in vain for a while tries every two seconds.
_RECONNECT_SECONDS = 5.0
_ENVIRONMENT = {
    "ROSTRA_GATEWAY_SHUTDOWN__DRAIN_SECONDS": str(_DRAIN_SECONDS),
    "ROSTRA_GATEWAY_SHUTDOWN__ENDPOINT_REMOVAL_SECONDS": str(_REMOVAL_SECONDS),
    "ROSTRA_CHAT_SHUTDOWN__DRAIN_SECONDS": str(_DRAIN_SECONDS),
    # Its log tells which requests it served.
    "ROSTRA_CHAT_LOG_LEVEL": "debug",
}
# Words for one and a half seconds, which is well within the drain time, for four seconds, and for ten.
_SHORT, _MEDIUM, _LONG = "ok-75-20", "ok-200-20", "long-500-20"
_ASKED = {"model": "ok", "input": "Hi", "messages": [{"role": "user", "content": "Hi"}]}


class Stream:
    """A stream that is read in the background."""

    def __init__(self, client: httpx.AsyncClient, path: str, model: str) -> None:
        self.text = ""
        self.broke = False
        self._path = path
        self._begun = asyncio.Event()
        self._reading = asyncio.create_task(self._read(client, model))

    async def begin(self) -> None:
        """Return when the first word is there."""
        async with asyncio.timeout(10):
            await self._begun.wait()

    async def end(self, *, timeout_seconds: float = 10) -> float:
        """Return at what time of the monotonic clock the stream ended, well or not."""
        async with asyncio.timeout(timeout_seconds):
            return await self._reading

    @property
    def has_ended(self) -> bool:
        """Tell whether there is nothing more to read."""
        return self._reading.done()

    @property
    def is_whole(self) -> bool:
        """Tell whether the stream came to its proper end."""
        last = "data: [DONE]\n\n" if self._path == _PATHS[0] else "event: response.completed\n"
        return not self.broke and last in self.text

    @property
    def error(self) -> str | None:
        """Return the code of the error that ended the stream."""
        last = orjson.loads(self.text.rstrip().rpartition("data: ")[2])
        told = last.get("error") if self._path == _PATHS[0] else last
        return told.get("code") if told else None

    async def _read(self, client: httpx.AsyncClient, model: str) -> float:
        body = {"model": model, "stream": True, "input": "Hi", "messages": [{"role": "user", "content": "Hi"}]}
        try:
            async with client.stream("POST", self._path, json=body) as answer:
                assert answer.status_code == 200, await answer.aread()
                async for text in answer.aiter_text():
                    self.text += text
                    if "word-1 " in self.text:
                        self._begun.set()
        except httpx.TransportError:
            self.broke = True
        return time.monotonic()


class Clients:
    """Somebody's clients of both gateways."""

    def __init__(self, stack: Stack) -> None:
        headers = register(stack.gateway_urls[0]).key
        self.gateways = [httpx.AsyncClient(base_url=url, headers=headers, timeout=20) for url in stack.gateway_urls]

    async def open(self, model: str, *, gateways: tuple[int, ...] = (0, 1), each: int = 1) -> list[Stream]:
        """Open streams of both APIs and return when all have begun."""
        streams = [
            Stream(self.gateways[gateway], path, model) for gateway in gateways for path in _PATHS for _ in range(each)
        ]
        await asyncio.gather(*(stream.begin() for stream in streams))
        return streams

    async def not_ready(self, gateway: int) -> int:
        """Return what a gateway that is told to end says of its readiness, once it no longer says that it is ready."""
        for _ in range(100):
            answer = await self.gateways[gateway].get("/readyz")
            if answer.status_code != 200:
                break
        return answer.status_code

    async def wait_refused(self, gateway: int) -> None:
        """Return when a gateway takes no connection any more."""
        async with asyncio.timeout(_REMOVAL_SECONDS + 2):
            while True:
                try:
                    await self.ask(gateway)
                except httpx.ConnectError:
                    return
                except httpx.TransportError:
                    continue
                await asyncio.sleep(0.05)

    async def ask(self, gateway: int, path: str = _PATHS[0]) -> httpx.Response:
        """Return an answer that is not streamed."""
        return await self.gateways[gateway].post(path, json=_ASKED)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Yield a stack with two gateways and two chats."""
    async with AsyncExitStack() as exit_stack:
        provider = await exit_stack.enter_async_context(ScriptedProvider(models=("ok", _SHORT, _MEDIUM, _LONG)))
        yield await exit_stack.enter_async_context(
            own_stack(
                tmp_path_factory.mktemp("shutdown"), provider=provider, environment=_ENVIRONMENT, gateways=2, chats=2
            )
        )


@pytest_asyncio.fixture(loop_scope="module")
async def clients(stack: Stack) -> AsyncIterator[Clients]:
    clients = Clients(stack)
    yield clients
    for client in clients.gateways:
        await client.aclose()


async def restart(stack: Stack, clients: Clients, *names: str) -> None:
    """Start processes again that have ended, and return when every gateway reaches every chat."""
    for name in names:
        await stack.children[name].start()
    for name in names:
        await stack.children[name].wait_ready(timeout_seconds=30)
    for gateway in clients.gateways:
        for chat in ("chat-1", "chat-2"):
            await _wait_reached(stack.children[chat], gateway)


async def _wait_reached(chat: Child, gateway: httpx.AsyncClient) -> None:
    """Return when a chat's log has a request of this gateway."""
    async with asyncio.timeout(_RECONNECT_SECONDS):
        while True:
            answer = await gateway.post(_PATHS[0], json=_ASKED)  # a call that is carried
            if answer.headers["x-request-id"] in await asyncio.to_thread(chat.log.read_text):
                return
            await asyncio.sleep(0.05)


async def test_gateway_told_to_end_finishes_its_streams_and_takes_no_new_ones(stack: Stack, clients: Clients) -> None:
    leaving = stack.children["gateway-1"]
    streams = await clients.open(_SHORT)
    leaving.signal(signal.SIGTERM)
    assert await clients.not_ready(0) == 503
    # Load balancers have not heard yet: who still comes is served.
    assert (await clients.ask(0)).status_code == 200
    await clients.wait_refused(0)
    assert (await clients.ask(1)).status_code == 200
    await asyncio.gather(*(stream.end() for stream in streams))
    assert [stream.text[-200:] for stream in streams if not stream.is_whole] == []
    async with asyncio.timeout(_DRAIN_SECONDS):
        assert await leaving.wait_ended() == 0
    await restart(stack, clients, "gateway-1")
    assert (await clients.ask(0)).status_code == 200


async def test_gateway_does_not_wait_for_streams_beyond_the_drain_time(stack: Stack, clients: Clients) -> None:
    leaving = stack.children["gateway-2"]
    streams = await clients.open(_LONG, gateways=(1,))
    started = time.monotonic()
    leaving.signal(signal.SIGTERM)
    async with asyncio.timeout(_REMOVAL_SECONDS + _DRAIN_SECONDS + 3):
        assert await leaving.wait_ended() == 0
    assert time.monotonic() - started > _DRAIN_SECONDS - 1
    await asyncio.gather(*(stream.end() for stream in streams))
    assert [stream.error for stream in streams] == ["service_unavailable"] * len(streams)
    await restart(stack, clients, "gateway-2")


async def test_chat_told_to_end_finishes_its_streams_while_the_other_serves(stack: Stack, clients: Clients) -> None:
    leaving = stack.children["chat-1"]
    streams = await clients.open(_SHORT, each=2)
    leaving.signal(signal.SIGTERM)
    answers = [await clients.ask(number % 2, _PATHS[number // 2 % 2]) for number in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 12
    await asyncio.gather(*(stream.end() for stream in streams))
    assert [stream.text[-200:] for stream in streams if not stream.is_whole] == []
    async with asyncio.timeout(_DRAIN_SECONDS):
        assert await leaving.wait_ended() == 0
    await restart(stack, clients, "chat-1")


async def test_killed_chat_breaks_its_own_streams_alone_and_at_once(stack: Stack, clients: Clients) -> None:
    dying = stack.children["chat-2"]
    streams = await clients.open(_MEDIUM, each=2)
    killed = time.monotonic()
    await dying.kill()
    await asyncio.sleep(2)
    broken = [stream for stream in streams if stream.has_ended]
    assert 0 < len(broken) < len(streams)
    for stream in broken:
        assert await stream.end() - killed < 2
        assert stream.error == "service_unavailable"
        assert not stream.is_whole
    answers = [await clients.ask(number % 2, _PATHS[number // 2 % 2]) for number in range(8)]
    assert [answer.status_code for answer in answers] == [200] * 8
    whole = [stream for stream in streams if stream not in broken]
    await asyncio.gather(*(stream.end(timeout_seconds=15) for stream in whole))
    assert all(stream.is_whole for stream in whole)
    await restart(stack, clients, "chat-2")


async def test_stack_recovers_when_every_chat_is_back(stack: Stack, clients: Clients) -> None:
    chats = [stack.children["chat-1"], stack.children["chat-2"]]
    streams = await clients.open(_LONG)
    killed = time.monotonic()
    await asyncio.gather(*(chat.kill() for chat in chats))
    for stream in streams:
        assert await stream.end() - killed < 2
        assert stream.error == "service_unavailable"
    for path in _PATHS:
        asked = time.monotonic()
        answer = await clients.ask(0, path)
        assert time.monotonic() - asked < 2
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
        assert answer.headers["retry-after"] == "1"
    await restart(stack, clients, "chat-1", "chat-2")
    answers = [await clients.ask(gateway, path) for gateway in (0, 1) for path in _PATHS]
    assert [answer.status_code for answer in answers] == [200] * 4
