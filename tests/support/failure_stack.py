"""A stack on real servers where there are any, each dependency behind an address, or in a process, that can fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rostra_kit.testing.redis_server import running_redis
from rostra_stack.config import StackConfig
from rostra_stack.stack import Stack
from support.failure_calls import HELD_MODEL, MODEL, FailureCalls
from support.fault_proxy import FaultProxy
from support.found_servers import found_servers
from support.network import LINKS, address_before, targets, urls
from support.provider import ScriptedProvider
from support.provider_call import Call, Script
from support.provider_reply import Reply, numbered_text, spoken
from support.provider_wire import Answer
from support.stack import administrator, stack_environment, started

_HELD_WORDS, _WORDS_AT_ONCE, _WORD_SECONDS = 1000, 10, 0.2
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
    **{f"ROSTRA_{caller}_{service.upper()}__TIMEOUT_SECONDS": "40" for caller, service in LINKS},
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
            servers = exits.enter_context(found_servers("MySQL", "DocumentDB", "Redis", "Valkey"))
            if valkey := servers.pop("Valkey", None):
                servers["Redis"] = valkey
            provider = await exits.enter_async_context(ScriptedProvider(models=[MODEL, HELD_MODEL]))
            redis = servers.get("Redis") or exits.enter_context(running_redis()).url
            reached = servers | {"Redis": redis, "the provider": provider.base_url}
            addresses = {name: address_before(name, url) for name, url in reached.items()}
            planned: list[Stack] = []
            for service in ("user", "history", "chat"):
                addresses[service] = FaultProxy(lambda name=service: planned[0].children[name].plan.port)
            for address in addresses.values():
                await exits.enter_async_context(address.open())
            catalogue = folder / "models.yaml"
            catalogue.write_text(
                "models:\n" + "".join(_CATALOGUE_ENTRY.format(model=each) for each in (MODEL, HELD_MODEL))
            )
            places = targets({service: [addresses[service]] for _, service in LINKS}) | urls(reached, addresses)
            environment = stack_environment(provider) | _ENVIRONMENT | places
            environment["ROSTRA_CHAT_CATALOGUE_FILE"] = str(catalogue)
            planned.append(Stack(StackConfig(data=folder / "data", port=0, environment=environment)))
            stack = await exits.enter_async_context(started(planned[0]))
            operator = await asyncio.to_thread(administrator, stack)
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
