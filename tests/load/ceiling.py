"""Print what the product costs in one process, with gRPC between its services and without: `make load`.

Without is the ceiling: the same code, whose services call each other as functions. What is between the two is the most
that another way between the services could save. The shipped form has processes of their own besides.
"""

import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import uvloop
from prometheus_client import CollectorRegistry

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from bench import ask  # noqa: E402
from bench_loads import BURST, MANY, ONE, PACED  # noqa: E402
from bench_systems import cpu_seconds, pin  # noqa: E402

import rostra_kit.client  # noqa: E402
from rostra_kit.rpc_metrics import RpcMetrics  # noqa: E402
from rostra_kit.server import new_carrying_server  # noqa: E402
from rostra_kit.server_interceptor import ServerInterceptor  # noqa: E402
from rostra_kit.testing.redis_server import installed_redis, running_redis  # noqa: E402
from support.one_process import Register, one_process  # noqa: E402

ROUNDS, SECONDS = 3, 4.0


class DirectServer:
    """Takes a service's handlers as a gRPC server does, within Rostra's interceptor."""

    by_address: dict[str, "DirectServer"] = {}  # noqa: RUF012 - the network
    _addresses = itertools.count()

    def __init__(self) -> None:
        self.address = f"direct-{next(self._addresses)}"
        self.by_address[self.address] = self
        self._interceptor = ServerInterceptor(RpcMetrics(CollectorRegistry()))
        self._handlers: dict[str, Any] = {}

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Add a service."""
        self._handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Leave out what generated code adds besides."""

    async def handler(self, method: str) -> Any:
        """Return what serves a method."""

        async def found(_details: Any) -> Any:
            return self._handlers[method]

        details: Any = SimpleNamespace(method=method)
        return await self._interceptor.intercept_service(found, details)


class DirectChannel:
    """Stands in for `rostra_kit.channel.Channel`, and for gRPC's own."""

    def __init__(self, address: Any, *_: object) -> None:
        self.current = self
        self._server = DirectServer.by_address[address.target]

    def unary_unary(self, method: str, **_codecs: object) -> Callable[..., "DirectCall"]:
        """Return a method that answers once."""
        call = lambda request, *, timeout, metadata: DirectCall(self._server, method, request, timeout, metadata)  # noqa: E731
        call._method = method.encode()  # type: ignore[attr-defined]
        return call

    def unary_stream(self, method: str, **_codecs: object) -> Callable[..., "DirectStream"]:
        """Return a method that streams."""
        call = lambda request, *, timeout, metadata: DirectStream(self._server, method, request, timeout, metadata)  # noqa: E731
        call._method = method.encode()  # type: ignore[attr-defined]
        return call

    def renew(self) -> bool:
        """Stay."""
        return False

    def note(self, _error: object) -> None:
        """Say nothing."""

    async def close(self) -> None:
        """Close nothing."""


class DirectContext:
    """What a servicer knows of a call."""

    def __init__(self, timeout: float | None, metadata: Any) -> None:
        self._ends = None if timeout is None else time.monotonic() + timeout
        self._metadata = metadata
        self.trailing: Any = ()

    def invocation_metadata(self) -> Any:
        """Return what the caller sent along."""
        return self._metadata

    def time_remaining(self) -> float | None:
        """Return the seconds that are left."""
        return None if self._ends is None else self._ends - time.monotonic()

    def set_trailing_metadata(self, metadata: Any) -> None:
        """Send something along with the end."""
        self.trailing = metadata

    async def abort(self, code: grpc.StatusCode, details: str, trailing: Any) -> None:
        """End the call."""
        metadata = grpc.aio.Metadata
        raise grpc.aio.AioRpcError(code, metadata(), metadata.from_tuple(trailing), details)


class DirectCall:
    """A call of a method that answers once."""

    def __init__(self, server: DirectServer, method: str, request: Any, timeout: float | None, metadata: Any) -> None:
        self._context = DirectContext(timeout, metadata)
        self._task = asyncio.create_task(self._run(server, method, request))  # in a context of its own

    async def _run(self, server: DirectServer, method: str, request: Any) -> Any:
        return await (await server.handler(method)).unary_unary(request, self._context)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._task.__await__()

    async def trailing_metadata(self) -> Any:
        """Return what came with the end."""
        return self._context.trailing


class DirectStream:
    """A call of a method that streams."""

    def __init__(self, server: DirectServer, method: str, request: Any, timeout: float | None, metadata: Any) -> None:
        self._context = DirectContext(timeout, metadata)
        self._messages: asyncio.Queue[Any] = asyncio.Queue(8)
        self._task = asyncio.create_task(self._run(server, method, request))

    async def _run(self, server: DirectServer, method: str, request: Any) -> None:
        try:
            async for message in (await server.handler(method)).unary_stream(request, self._context):
                await self._messages.put(message)
        except grpc.aio.AioRpcError as error:
            await self._messages.put(error)
        await self._messages.put(None)

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (message := await self._messages.get()) is not None:
            if isinstance(message, grpc.aio.AioRpcError):
                raise message
            yield message

    async def trailing_metadata(self) -> Any:
        """Return what came with the end."""
        return self._context.trailing

    def cancel(self) -> None:
        """End the call."""
        self._task.cancel()


async def serve(way: str, provider: str, redis: str) -> None:
    """Run the product until standard input ends."""
    async with AsyncExitStack() as stack:

        async def by_grpc(register: Register) -> str:
            server, _ = new_carrying_server(CollectorRegistry(), register)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            stack.push_async_callback(server.stop, None)
            return f"127.0.0.1:{port}"

        async def directly(register: Register) -> str:
            server = DirectServer()
            register(server)
            return server.address

        ways: dict[str, Callable[[Register], Awaitable[str]]] = {"grpc": by_grpc, "direct": directly}
        if way == "direct":
            rostra_kit.client.Channel = DirectChannel  # type: ignore[assignment,misc]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        product = one_process(folder, redis_url=redis, provider_url=provider, serve=ways[way])
        url, key = await stack.enter_async_context(product)
        sys.stdout.write(json.dumps({"url": url, "key": key}) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Measure both by turns, and print their CPU time with that of Redis, and its ratio."""
    provider = subprocess.Popen(
        ["taskset", "-c", "1", sys.executable, HERE / "bench_provider.py"], stdout=-1, text=True
    )
    try:
        assert provider.stdout
        with running_redis(installed_redis()) as redis:
            address = provider.stdout.readline().strip()
            figures = {way: _measured(way, address, redis.url) for way in ("grpc", "direct")}
    finally:
        provider.terminate()
    for name, with_grpc in figures["grpc"].items():
        without = figures["direct"][name]
        ratio = with_grpc / without
        sys.stdout.write(
            f"{name:28} {with_grpc:7.3f} ms with gRPC, {without:7.3f} without: {ratio:.2f} times as much\n"
        )


def _measured(way: str, provider: str, redis_url: str) -> dict[str, float]:
    command = [sys.executable, __file__, way, provider, redis_url]
    process = subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-3, text=True)
    assert process.stdout
    assert process.stdin
    try:
        told = json.loads(process.stdout.readline())
        pin(process.pid, 0)
        figures = {}
        for load in (ONE, MANY, BURST, PACED):
            costs = []
            for _ in range(ROUNDS + 1):  # the first one warms up
                before = cpu_seconds(process.pid)
                url, headers = f"{told['url']}/v1/chat/completions", {"authorization": f"Bearer {told['key']}"}
                seen = ask(url, headers, load, SECONDS)
                costs.append((cpu_seconds(process.pid) - before) / (seen["tokens"] or seen["calls"] * 100) * 1e5)
            figures[load.name] = sorted(costs[1:])[ROUNDS // 2]
    finally:
        process.stdin.close()
        process.wait(20)
    return figures


if __name__ == "__main__":
    if len(sys.argv) > 1:
        uvloop.run(serve(*sys.argv[1:]))
    else:
        main()
