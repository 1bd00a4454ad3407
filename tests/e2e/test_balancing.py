"""Clients balance over all pods behind a name, find new ones by themselves, and lose no call when one leaves."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceServicer, ChatServiceStub, add_ChatServiceServicer_to_server
from rostra_kit.carrier.server import Carrier
from rostra_kit.client import ServiceClient
from rostra_kit.ports import free_port
from rostra_kit.server import new_carrying_server
from rostra_kit.settings import ServiceAddress
from support.name_server import NameServer, name_server

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127/8 as addresses, as Linux has"),
]

_NAME = "rostra-chat.rostra.svc.cluster.test"
_AGE_SECONDS = 2.0
_GRACE_SECONDS = 6.0
# The client resolves at most every 5 s, and looks for replicas every 2 s where it carries calls; ages vary by a tenth;
# the rest is for a busy machine.
_FOUND_WITHIN_SECONDS = 1.1 * _AGE_SECONDS + 5 + 2 + 3
_CALLS, _AT_ONCE, _ENDLESS = 1500, 20, sys.maxsize
_LEAVING = 8
Once = Callable[[], Awaitable[object]]
_SERVICE = pb.DESCRIPTOR.services_by_name["ChatService"]


class Backend(ChatServiceServicer):
    """A replica that counts its calls."""

    def __init__(self, name: str, tally: Counter[str]) -> None:
        self._name, self._tally = name, tally

    async def ListModels(
        self, request: pb.ListModelsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListModelsResponse:
        self._tally[self._name] += 1
        return pb.ListModelsResponse()

    async def GenerateTitle(
        self, request: pb.GenerateTitleRequest, context: grpc.aio.ServicerContext
    ) -> pb.GenerateTitleResponse:
        self._tally[self._name] += 1
        return pb.GenerateTitleResponse()


class Service:
    """A headless service: replicas on addresses of their own, all on one port, behind one name."""

    def __init__(self, names: NameServer) -> None:
        self.tally: Counter[str] = Counter()
        self.port = free_port()
        self._names = names
        self._servers: dict[str, grpc.aio.Server] = {}
        self._carriers: dict[str, Carrier] = {}
        self._health: dict[str, health.aio.HealthServicer] = {}

    async def start(self, *addresses: str) -> None:
        """Start replicas, and let the name have them."""
        for address in addresses:
            register = partial(add_ChatServiceServicer_to_server, Backend(address, self.tally))
            server, self._carriers[address] = new_carrying_server(
                CollectorRegistry(), register, max_connection_age_seconds=_AGE_SECONDS
            )
            self._health[address] = health.aio.HealthServicer()
            health_pb2_grpc.add_HealthServicer_to_server(self._health[address], server)
            assert server.add_insecure_port(f"{address}:{self.port}") == self.port
            await server.start()
            await self._health[address].set("", health_pb2.HealthCheckResponse.SERVING)
            self._servers[address] = server
        self._names.set(_NAME, self._servers)

    async def stop(self, address: str, *, after_seconds: float) -> None:
        """Take a replica's address away, and end it a little later, as a pod does that is told to leave."""
        server = self._servers.pop(address)
        self._names.set(_NAME, self._servers)
        await self._health[address].enter_graceful_shutdown()
        self._carriers[address].leave()
        await asyncio.sleep(after_seconds)
        started = time.monotonic()
        await server.stop(_GRACE_SECONDS)
        assert time.monotonic() - started < _GRACE_SECONDS - 1, "nobody holds a replica back that has no calls"

    async def close(self) -> None:
        """End all replicas."""
        await asyncio.gather(*(server.stop(0) for server in self._servers.values()))


@asynccontextmanager
async def service_and_client(*, is_carried: bool) -> AsyncIterator[tuple[Service, Once]]:
    """Yield a service without replicas, and what calls it by its name."""
    async with AsyncExitStack() as stack:
        names = await stack.enter_async_context(name_server())
        service = Service(names)
        stack.push_async_callback(service.close)
        address = ServiceAddress(target=f"dns://{names.authority}/{_NAME}:{service.port}")
        client = await stack.enter_async_context(
            ServiceClient(ChatServiceStub, _SERVICE, address, is_carried=is_carried)
        )
        if is_carried:
            yield service, lambda: client.call(client.stub.GenerateTitle, pb.GenerateTitleRequest())
        else:  # what may be repeated
            yield service, lambda: client.call(client.stub.ListModels, pb.ListModelsRequest())


async def call(once: Once, calls: int) -> None:
    """Make calls, some at once; each must succeed."""

    async def some() -> None:
        for _ in range(calls // _AT_ONCE):
            await once()

    await asyncio.gather(*(some() for _ in range(_AT_ONCE)))


async def spread(once: Once, service: Service) -> Counter[str]:
    """Return how many of many calls each replica had."""
    service.tally.clear()
    await call(once, _CALLS)
    return Counter(service.tally)


async def seconds_until_found(once: Once, service: Service, addresses: set[str]) -> float:
    """Return after how many seconds of calling each of these replicas had calls."""
    service.tally.clear()
    started = time.monotonic()
    async with asyncio.timeout(_FOUND_WITHIN_SECONDS):
        while not addresses <= service.tally.keys():
            await call(once, _AT_ONCE)
            await asyncio.sleep(0.05)
    return time.monotonic() - started


def assert_even(tally: Counter[str], addresses: set[str]) -> None:
    """Fail unless each replica had its share, give or take a fifth."""
    assert tally.keys() == addresses
    share = tally.total() / len(addresses)
    assert all(abs(calls - share) <= 0.2 * share for calls in tally.values()), tally


@pytest.mark.parametrize("is_carried", [False, True], ids=["by itself", "carried"])
async def test_load_spreads_over_one_then_three_then_two_replicas(is_carried: bool) -> None:
    one, two, three = "127.0.0.2", "127.0.0.3", "127.0.0.4"
    async with service_and_client(is_carried=is_carried) as (service, once):
        await service.start(one)
        assert_even(await spread(once, service), {one})
        await service.start(two, three)
        assert await seconds_until_found(once, service, {one, two, three}) <= _FOUND_WITHIN_SECONDS
        assert_even(await spread(once, service), {one, two, three})
        await service.stop(two, after_seconds=0.5)
        assert_even(await spread(once, service), {one, three})


@pytest.mark.parametrize("is_carried", [False, True], ids=["by itself", "carried"])
async def test_replicas_that_leave_one_after_another_lose_no_call_under_load(is_carried: bool) -> None:
    addresses = [f"127.0.0.{number}" for number in range(10, 10 + _LEAVING + 1)]
    async with service_and_client(is_carried=is_carried) as (service, once):
        await service.start(*addresses)
        await seconds_until_found(once, service, set(addresses))
        service.tally.clear()
        load = asyncio.create_task(call(once, _ENDLESS))
        for address in addresses[:-1]:
            await service.stop(address, after_seconds=0.2)
        if load.done():
            load.result()
        load.cancel()
        with suppress(asyncio.CancelledError):
            await load
        assert service.tally[addresses[-1]] > _CALLS / (_LEAVING + 1)
