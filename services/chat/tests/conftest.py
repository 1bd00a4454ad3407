"""What the tests of chat share: Redis, a scripted provider, and chat itself behind a real gRPC server."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from rostra.chat.v1 import chat_service_pb2
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceStub
from rostra.user.v1.usage_pb2 import UsageEvent
from rostra_chat.app import build
from rostra_chat.metrics import ChatMetrics
from rostra_chat.open_calls import OpenCalls
from rostra_chat.settings import Settings
from rostra_kit.client import ServiceClient
from rostra_kit.limits import RedisLimiter
from rostra_kit.testing.grpc import grpc_client
from rostra_kit.testing.redis_server import redis_client, running_redis
from rostra_kit.usage_queue import EVENT_FIELD, USAGE_STREAM
from support.provider import ScriptedProvider

if TYPE_CHECKING:
    from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceAsyncStub

NOWHERE = {"target": "127.0.0.1:1"}


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with running_redis() as server:
        yield server.url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with redis_client(redis_url) as client:
        await client.flushdb()
        yield client


def open_calls(redis: Redis, metrics: ChatMetrics, *, hold_seconds: float = 30.0) -> OpenCalls:
    """Return the calls under way of one chat."""
    return OpenCalls(redis, limiter=RedisLimiter(redis), metrics=metrics, hold_seconds=hold_seconds)


@pytest.fixture
def read_usage_events(redis: Redis) -> Callable[[], Awaitable[list[UsageEvent]]]:
    """Return what reads the usage events that chat has queued, oldest first."""

    async def read() -> list[UsageEvent]:
        entries = await redis.xrange(USAGE_STREAM)
        return [UsageEvent.FromString(fields[EVENT_FIELD.encode()]) for _, fields in entries]

    return read


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def open_chat(
    redis_url: str, redis: Redis, registry: CollectorRegistry
) -> AsyncIterator[Callable[..., Awaitable["ServiceClient[ChatServiceAsyncStub]"]]]:
    """Return what starts chat with some settings, and answers a client of it; it ends with the test."""
    async with AsyncExitStack() as stack:

        async def start(**values: Any) -> "ServiceClient[ChatServiceAsyncStub]":
            fast = {"echo": {"word_delay_seconds": 0}, "redis": {"url": redis_url}}
            settings = Settings(**{"history": NOWHERE, "user": NOWHERE, **fast, **values})
            app = await stack.enter_async_context(build(settings, registry))
            descriptor = chat_service_pb2.DESCRIPTOR.services_by_name["ChatService"]
            return await stack.enter_async_context(grpc_client(ChatServiceStub, descriptor, partial(app.register)))

        yield start
