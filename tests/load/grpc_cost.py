"""Print what a call between two services costs in CPU time, both sides together, with all around it: `make load`.

Client and server share this process, so its CPU time is that of both. `bare` is the same call without Rostra's client
and interceptor: no identity, deadline, trace, metrics.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import uvloop
from prometheus_client import CollectorRegistry

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.chat.v1.chat_service_pb2_grpc import (
    ChatServiceServicer,
    ChatServiceStub,
    add_ChatServiceServicer_to_server,
)
from rostra_kit.client import ServiceClient
from rostra_kit.server import new_server
from rostra_kit.settings import ServiceAddress

CALLS, MESSAGES = 2000, 100
ANSWER = pb.CreateChatCompletionResponse(body=b"x" * 400)
PIECE = pb.StreamChatCompletionResponse(frames=b"x" * 200)


class Servicer(ChatServiceServicer):
    """Answers at once."""

    async def CreateChatCompletion(self, request: Any, context: Any) -> Any:
        """Answer."""
        return ANSWER

    async def StreamChatCompletion(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """Answer in pieces."""
        for _ in range(MESSAGES):
            yield PIECE


async def microseconds(call: Callable[[], Awaitable[object]], *, callers: int, calls: int) -> float:
    """Return the CPU time of one call."""

    async def repeat() -> None:
        for _ in range(calls // callers):
            await call()

    await repeat() if callers == 1 else await asyncio.gather(*(call() for _ in range(callers)))
    began = time.process_time()
    await asyncio.gather(*(repeat() for _ in range(callers)))
    return (time.process_time() - began) / (calls // callers * callers) * 1e6


async def main() -> None:
    """Measure calls and streams, with and without what surrounds them."""
    servers = new_server(CollectorRegistry()), grpc.aio.server()
    ports = []
    for server in servers:
        add_ChatServiceServicer_to_server(Servicer(), server)
        ports.append(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
    descriptor = pb.DESCRIPTOR.services_by_name["ChatService"]
    ask, stream = pb.CreateChatCompletionRequest(body=b"x" * 200), pb.StreamChatCompletionRequest(body=b"x" * 200)
    async with (
        ServiceClient(ChatServiceStub, descriptor, ServiceAddress(target=f"127.0.0.1:{ports[0]}")) as client,
        grpc.aio.insecure_channel(f"127.0.0.1:{ports[1]}") as channel,
    ):
        bare: Any = ChatServiceStub(channel)

        async def read(messages: AsyncIterator[object]) -> None:
            async for _ in messages:
                pass

        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "call, bare": lambda: bare.CreateChatCompletion(ask),
            "call": lambda: client.call(client.stub.CreateChatCompletion, ask),
        }
        for name, call in calls.items():
            for callers in (1, 64):
                figure = await microseconds(call, callers=callers, calls=CALLS)
                sys.stdout.write(f"{name:12} {callers:3} callers  {figure:6.0f} us\n")
        streams: dict[str, Callable[[], Awaitable[object]]] = {
            "message, bare": lambda: read(bare.StreamChatCompletion(stream)),
            "message": lambda: read(client.stream(client.stub.StreamChatCompletion, stream)),
        }
        for name, call in streams.items():
            figure = await microseconds(call, callers=16, calls=96)
            sys.stdout.write(f"{name:14} of {MESSAGES} in a stream, 16 streams  {figure / MESSAGES:6.1f} us\n")
    for server in servers:
        await server.stop(None)


if __name__ == "__main__":
    uvloop.run(main())
