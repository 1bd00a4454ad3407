"""A stack on real servers where there are any, each dependency behind an address, or in a process, that can fail."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from rostra_kit.testing.redis_server import running_redis
from rostra_stack.config import StackConfig
from rostra_stack.stack import Stack
from support.failure_calls import HELD_MODEL, MODEL, FailureCalls
from support.fault_proxy import FaultProxy
from support.mongodb_proxy import MongodbProxy
from support.mongodb_server import mongodb_server
from support.provider import ScriptedProvider
from support.provider_call import Call, Script
from support.provider_reply import Reply, numbered_text, spoken
from support.provider_wire import Answer
from support.redis_server import redis_server, valkey_server
from support.server_database import fresh_database
from support.server_process import ServerNotFoundError
from support.sql_server import mysql_server
from support.stack import administrator, stack_environment, started

_HELD_WORDS, _WORDS_AT_ONCE, _WORD_SECONDS = 1000, 10, 0.2
_LINKS = (
    *(("GATEWAY", "user"), ("GATEWAY", "chat"), ("GATEWAY", "history")),
    *(("CHAT", "user"), ("CHAT", "history"), ("USER", "history")),
)
_KINDS = {"DocumentDB": MongodbProxy}
_CATALOGUE_ENTRY = (
    "  - {{id: {model}, provider: openai, context_window: 8192, max_output_tokens: 400, input_price: 1000,"
    " output_price: 1000, capabilities: [streaming], create_time: 2026-11-01}}\n"
)
_ENVIRONMENT = {
    # Remembered callers stay remembered, so that each case is what it says.
    "ROSTRA_GATEWAY_CACHE__CALLER_SECONDS": "3600",
    "ROSTRA_GATEWAY_ADDRESS_LIMITS__LOG_INS_PER_ACCOUNT": "10000",
    "ROSTRA_GATEWAY_ADDRESS_LIMITS__SIGN_INS_PER_MINUTE": "10000",
    # What ends a call is what this is about, and not that it takes long on a busy machine.
    **{f"ROSTRA_{caller}_{service.upper()}__TIMEOUT_SECONDS": "40" for caller, service in _LINKS},
    # Enough for all calls at once, and few enough to be taken.
    "ROSTRA_GATEWAY_REQUEST__MAX_UNDER_WAY": "40",
    "ROSTRA_CHAT_BACKGROUND__MAX_RUNS": "8",
    # So few that a server's silence takes all.
    "ROSTRA_HISTORY_DATABASE__MAX_CONNECTIONS": "8",
    **{f"ROSTRA_{service}_REDIS__MAX_CONNECTIONS": "4" for service in ("GATEWAY", "CHAT", "USER")},
    "ROSTRA_USER_DATABASE__MIGRATE_ON_START": "true",
    # By default a provider may take a minute.
    "ROSTRA_CHAT_PROVIDER__FIRST_BYTE_TIMEOUT_SECONDS": "5",
    "ROSTRA_CHAT_PROVIDER__IDLE_TIMEOUT_SECONDS": "5",
    "ROSTRA_CHAT_PROVIDER__ANSWER_TIMEOUT_SECONDS": "5",
}


class FailureStack:
    """The stack, what it stands on, and somebody's calls.

    Attributes:
        stack: The processes.
        servers: The URL of each real server found here, by the name that `failure_table` gives it.
        addresses: The address by which each dependency is reached.
        calls: The calls.
        gate: Ends the answers of the held model.
    """

    def __init__(
        self,
        stack: Stack,
        *,
        servers: dict[str, str],
        addresses: dict[str, FaultProxy],
        provider: ScriptedProvider,
        calls: FailureCalls,
    ) -> None:
        self.stack = stack
        self.servers = servers
        self.addresses = addresses
        self.provider = provider
        self.calls = calls
        self.gate = asyncio.Event()
        self._silences = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncIterator["FailureStack"]:
        """Run everything."""
        async with AsyncExitStack() as exits:
            servers, redis = exits.enter_context(_servers())
            provider = await exits.enter_async_context(ScriptedProvider(models=[MODEL, HELD_MODEL]))
            ports = {name: urlsplit(url).port or 0 for name, url in servers.items()}
            ports |= {"Redis": urlsplit(redis).port or 0, "the provider": urlsplit(provider.base_url).port or 0}
            addresses = {name: _KINDS.get(name, FaultProxy)(lambda port=port: port) for name, port in ports.items()}
            planned: list[Stack] = []
            for service in ("user", "history", "chat"):
                addresses[service] = FaultProxy(lambda name=service: planned[0].children[name].plan.port)
            for address in addresses.values():
                await exits.enter_async_context(address.open())
            catalogue = folder / "models.yaml"
            catalogue.write_text(
                "models:\n" + "".join(_CATALOGUE_ENTRY.format(model=each) for each in (MODEL, HELD_MODEL))
            )
            environment = stack_environment(provider) | _ENVIRONMENT | _places(servers, redis, addresses)
            environment["ROSTRA_CHAT_CATALOGUE_FILE"] = str(catalogue)
            planned.append(Stack(StackConfig(data=folder / "data", port=0, environment=environment)))
            stack = await exits.enter_async_context(started(planned[0]))
            operator = await asyncio.to_thread(administrator, stack, database_url=servers.get("MySQL"))
            calls = await exits.enter_async_context(FailureCalls.open(stack.gateway_urls[0], operator))
            yield cls(stack, servers=servers, addresses=addresses, provider=provider, calls=calls)

    def has_forgotten_callers(self) -> bool:
        """Tell whether the gateway took Redis for silent since this was asked before, as it may on a busy machine."""
        text = self.stack.children["gateway"].log.read_text(errors="replace")
        silences, self._silences = self._silences, text.count("revocations do not arrive")
        return self._silences > silences

    def close_gate(self) -> None:
        """Let the held model's next answers go on until the gate is open again."""
        self.gate = asyncio.Event()
        self.provider.program(HELD_MODEL, _talking_until(self.gate))


def _talking_until(gate: asyncio.Event) -> Script:
    """Return the script of a model that says some words at once, then one now and then: it is never silent for long."""

    async def play(call: Call) -> None:
        left = Reply(content=spoken(numbered_text(_HELD_WORDS))).after(call.request.broken_off)
        first, *pieces, last = Answer(request=call.request, reply=left).pieces()
        await call.start()
        await call.send(first)
        for number, piece in enumerate(pieces):
            await call.send(piece)
            if gate.is_set():
                break
            if number >= _WORDS_AT_ONCE:
                await asyncio.sleep(_WORD_SECONDS)
        await call.finish(last)

    return play


def _places(servers: dict[str, str], redis: str, addresses: dict[str, FaultProxy]) -> dict[str, str]:
    """Return the settings that say where everything is: behind its address."""
    places = {
        f"ROSTRA_{caller}_{service.upper()}__TARGET": f"ipv4:127.0.0.1:{addresses[service].port}"
        for caller, service in _LINKS
    }
    places["OPENAI_BASE_URL"] = f"http://127.0.0.1:{addresses['the provider'].port}/v1"
    places["ROSTRA_USER_REDIS__URL"] = _moved(redis, addresses["Redis"])
    for name, variable in (("MySQL", "ROSTRA_USER_DATABASE__URL"), ("DocumentDB", "ROSTRA_HISTORY_DATABASE__URL")):
        if name in servers:
            places[variable] = _moved(servers[name], addresses[name])
    return places


def _moved(url: str, address: FaultProxy) -> str:
    parts = urlsplit(url)
    credentials, _, _ = parts.netloc.rpartition("@")
    return parts._replace(
        netloc=f"{credentials}@127.0.0.1:{address.port}" if credentials else f"127.0.0.1:{address.port}"
    ).geturl()


@contextmanager
def _servers() -> Iterator[tuple[dict[str, str], str]]:
    """Yield the URLs of the real servers that are here, started side by side, and that of a Redis, real or not."""
    kinds = {"MySQL": mysql_server, "DocumentDB": mongodb_server, "Redis": redis_server, "Valkey": valkey_server}
    # The threads outlive the servers, which the kernel ends with the thread that started them.
    with ThreadPoolExecutor(len(kinds)) as threads, ExitStack() as exits:
        starts = {name: threads.submit(_start, start) for name, start in kinds.items()}
        urls = {}
        for name, starting in starts.items():
            if (server := starting.result()) is not None:
                running, url = server
                exits.push(running)
                urls[name] = url
        redis = urls.pop("Valkey", None)
        if redis is not None:
            urls["Redis"] = redis
        servers = {
            name: url if name == "Redis" else exits.enter_context(fresh_database(url)) for name, url in urls.items()
        }
        yield servers, servers.get("Redis") or exits.enter_context(running_redis()).url


def _start(start: "partial[AbstractContextManager[str]]") -> tuple[ExitStack, str] | None:
    with ExitStack() as exits:
        try:
            url = exits.enter_context(start())
        except ServerNotFoundError:
            return None
        return exits.pop_all(), url
    return None
