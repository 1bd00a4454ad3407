"""A stack of many processes, each of which, and each server they stand on, is reached by an address that can break."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rostra_stack.child import Child
from rostra_stack.config import StackConfig
from rostra_stack.plan import plan_stack
from rostra_stack.stack import Stack
from support.fault_proxy import FaultProxy
from support.found_servers import found_servers
from support.ledger import Ledger
from support.network import address_before, targets, urls
from support.provider import ScriptedProvider
from support.stack import stack_environment, started

_READY_SECONDS = 60.0
_ENVIRONMENT = {"ROSTRA_USER_DATABASE__MIGRATE_ON_START": "true"}


class DisturbedStack:
    """A running stack on the real databases that are here.

    Attributes:
        stack: The processes, a Redis among them, which keeps its data if it is a real one.
        addresses: The address of each process of a service, by its name, and of each server and the provider.
        ledger: The user service's database, reached directly.
    """

    def __init__(self, stack: Stack, *, addresses: dict[str, FaultProxy], ledger: Ledger) -> None:
        self.stack = stack
        self.addresses = addresses
        self.ledger = ledger

    @classmethod
    @asynccontextmanager
    async def open(
        cls, folder: Path, *, provider: ScriptedProvider, replicas: Mapping[str, int], environment: Mapping[str, str]
    ) -> AsyncIterator["DisturbedStack"]:
        """Run as many processes of each service as `replicas` has, two or more."""
        async with AsyncExitStack() as exits:
            servers = exits.enter_context(found_servers("MySQL", "DocumentDB"))
            redis = await exits.enter_async_context(_redis(folder))
            reached = servers | {"Redis": f"redis://{redis.plan.address}/0", "the provider": provider.base_url}
            addresses = {name: address_before(name, url) for name, url in reached.items()}
            planned: list[Stack] = []
            services = {
                service: {
                    f"{service}-{number}": FaultProxy(
                        lambda name=f"{service}-{number}": planned[0].children[name].plan.port
                    )
                    for number in range(1, replicas[service] + 1)
                }
                for service in ("user", "history", "chat")
            }
            places = urls(reached, addresses) | targets({name: each.values() for name, each in services.items()})
            for processes in services.values():
                addresses |= processes
            for address in addresses.values():
                await exits.enter_async_context(address.open())
            config = StackConfig(
                data=folder,
                port=0,
                gateways=replicas["gateway"],
                chats=replicas["chat"],
                histories=replicas["history"],
                users=replicas["user"],
                environment=stack_environment(provider) | places | _ENVIRONMENT | dict(environment),
            )
            planned.append(Stack(config))
            stack = await exits.enter_async_context(started(planned[0]))
            stack.children["redis"] = redis
            yield cls(stack, addresses=addresses, ledger=Ledger(folder, url=servers.get("MySQL")))


@asynccontextmanager
async def _redis(folder: Path) -> AsyncIterator[Child]:
    """Run the Redis that a stack in that folder would."""
    redis = Child(plan_stack(StackConfig(data=folder))[0], folder / "logs")
    await redis.start()
    try:
        await redis.wait_ready(timeout_seconds=_READY_SECONDS)
        yield redis
    finally:
        await redis.stop(timeout_seconds=_READY_SECONDS)
