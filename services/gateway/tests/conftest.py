"""The real gateway, served by uvicorn, before in-memory services behind real gRPC servers, and Redis."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import grpc
import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis

from rostra.chat.v1.chat_service_pb2_grpc import add_ChatServiceServicer_to_server
from rostra.common.v1.caller_pb2 import Limits
from rostra.history.v1.chat_completion_service_pb2_grpc import add_ChatCompletionServiceServicer_to_server
from rostra.history.v1.history_service_pb2_grpc import add_HistoryServiceServicer_to_server
from rostra.history.v1.share_service_pb2_grpc import add_ShareServiceServicer_to_server
from rostra.user.v1.admin_service_pb2_grpc import add_AdminServiceServicer_to_server
from rostra.user.v1.user_service_pb2_grpc import add_UserServiceServicer_to_server
from rostra_gateway.app import build
from rostra_gateway.server import Readiness, Server, _uvicorn_config
from rostra_gateway.settings import AddressLimits, Settings
from rostra_kit.redis import RedisSettings
from rostra_kit.server import new_server
from rostra_kit.settings import ServiceAddress
from rostra_kit.testing.redis_server import RedisServer, redis_client, running_redis
from services.gateway.tests.fake_admin import FakeAdminService
from services.gateway.tests.fake_chat import FakeChatService
from services.gateway.tests.fake_chat_completions import FakeChatCompletionService
from services.gateway.tests.fake_history import FakeHistoryService
from services.gateway.tests.fake_shares import FakeShareService
from services.gateway.tests.fake_user import FakeUserService

LIMITS = Limits(requests_per_minute=10_000, concurrent_streams=100)


@dataclass
class Services:
    """The services behind the gateway."""

    user: FakeUserService = field(default_factory=FakeUserService)
    chat: FakeChatService = field(default_factory=FakeChatService)
    history: FakeHistoryService = field(default_factory=FakeHistoryService)
    chat_completions: FakeChatCompletionService = field(default_factory=FakeChatCompletionService)
    shares: FakeShareService = field(init=False)
    admin: FakeAdminService = field(init=False)

    def __post_init__(self) -> None:
        self.shares = FakeShareService(self.history)
        self.admin = FakeAdminService(self.user)


@dataclass
class Gateway:
    """A gateway that runs."""

    url: str
    app: FastAPI
    registry: CollectorRegistry

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port or 0

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


class ServiceServer(NamedTuple):
    """All services on one port."""

    server: grpc.aio.Server
    address: ServiceAddress


StartGateway = Callable[..., Awaitable[Gateway]]


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with redis_client(redis_server.url) as client:
        await client.flushall()
        yield client


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
async def service_server(services: Services) -> AsyncIterator[ServiceServer]:
    async with serving(services) as server:
        yield server


@pytest.fixture
async def start_gateway(
    service_server: ServiceServer, redis: Redis, redis_server: RedisServer
) -> AsyncIterator[StartGateway]:
    """Start a gateway with settings of the test's own; it ends with the test."""
    async with AsyncExitStack() as stack:

        async def start(**changes: Any) -> Gateway:
            return await stack.enter_async_context(running_gateway(service_server, redis_server, **changes))

        yield start


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


@pytest.fixture
async def anyone(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials."""
    async with connect(gateway) as client:
        yield client


@pytest.fixture
def alice(services: Services) -> str:
    """An API key."""
    return add_alice(services)


@pytest.fixture
async def client(gateway: Gateway, alice: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with Alice's API key."""
    async with connect(gateway, alice) as client:
        yield client


def add_alice(services: Services) -> str:
    return services.user.add_key(services.user.add_user("alice@example.com", limits=LIMITS))


def bearer(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


def connect(gateway: Gateway, credential: str | None = None) -> httpx.AsyncClient:
    # Loading the certificates for `verify` takes longer than most tests.
    headers = bearer(credential) if credential else {}
    return httpx.AsyncClient(base_url=gateway.url, headers=headers, verify=False, timeout=30)


@asynccontextmanager
async def serving(services: Services) -> AsyncIterator[ServiceServer]:
    server = new_server(CollectorRegistry())
    add_UserServiceServicer_to_server(services.user, server)
    add_AdminServiceServicer_to_server(services.admin, server)
    add_ChatServiceServicer_to_server(services.chat, server)
    add_HistoryServiceServicer_to_server(services.history, server)
    add_ShareServiceServicer_to_server(services.shares, server)
    add_ChatCompletionServiceServicer_to_server(services.chat_completions, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield ServiceServer(server, ServiceAddress(target=f"127.0.0.1:{port}"))
    await server.stop(grace=None)


@asynccontextmanager
async def running_gateway(
    service_server: ServiceServer, redis_server: RedisServer, **changes: Any
) -> AsyncIterator[Gateway]:
    """Serve a gateway whose settings have `changes`."""
    settings = {
        **dict.fromkeys(("user", "chat", "history"), service_server.address),
        # Patient: on a busy machine a limit must not be counted by each gateway alone.
        "redis": RedisSettings(url=SecretStr(redis_server.url), limiter_timeout_seconds=5),
        "address_limits": AddressLimits(sign_ins_per_minute=10_000),
    }
    started: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    # In a task of its own: fixtures begin and end in different ones, which anyio's task groups do not survive.
    running = asyncio.create_task(_serve(Settings(**settings | changes), started, stop))
    await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    if "redis" not in changes:
        await until_revocations_arrive(started.result())
    yield started.result()
    stop.set()
    await running


async def _serve(settings: Settings, started: "asyncio.Future[Gateway]", stop: asyncio.Event) -> None:
    registry = CollectorRegistry()
    async with build(settings, registry) as app:
        app.state.readiness = Readiness()
        app.state.readiness.ready = True
        server = Server(_uvicorn_config(app, settings))
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(128)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            accepting = asyncio.create_task(server.serve(sockets=[listener]))
            started.set_result(Gateway(url, app, registry))
            await stop.wait()
            await _end(server, accepting)


async def _end(server: Server, accepting: "asyncio.Task[None]") -> None:
    """End at once; uvicorn's own way takes a fifth of a second."""
    accepting.cancel()
    await asyncio.wait({accepting})
    for listening in server.servers:
        listening.close()
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    tasks = list(server.server_state.tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until_revocations_arrive(gateway: Gateway) -> None:
    """Wait, since what is looked up before is not remembered."""
    revocations = gateway.app.state.edge.authenticator._revocations
    async with asyncio.timeout(5):
        while not revocations.listening:  # noqa: ASYNC110 - the product has no use for an event
            await asyncio.sleep(0.005)
