"""How each fault of `failure_table` is brought about, and undone."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import grpc
from redis.asyncio import Redis
from sqlalchemy import NullPool, create_engine, make_url, text

from rostra_kit.ports import LOOPBACK
from rostra_stack.child import Child
from support.failure_calls import MODEL
from support.failure_stack import FailureStack
from support.mongodb_proxy import MongodbProxy
from support.provider_failure import overloaded
from support.provider_script import refuse

_SLOW_SECONDS = 0.3
_RESTART_SECONDS = 30.0
_READY_SECONDS = 60.0
_SERVICES = ("history", "user", "chat")

Lever = Callable[[FailureStack], AbstractAsyncContextManager[None]]


def lever(dependency: str, fault: str) -> Lever:
    """Return what brings the fault about for as long as its context is open."""
    if (dependency, fault) in _SPECIAL:
        return _SPECIAL[dependency, fault]
    if dependency in _SERVICES and fault in _OF_SERVICES:
        return _OF_SERVICES[fault](dependency)
    return _address_lever(dependency, fault)


def _address_lever(dependency: str, fault: str) -> Lever:
    @asynccontextmanager
    async def broken(bench: FailureStack) -> AsyncIterator[None]:
        address = bench.addresses[dependency]
        match fault:
            case "down":
                await address.refuse()
            case "silent":
                address.fall_silent()
            case "slow":
                address.slow_down(_SLOW_SECONDS)
            case "restarts":
                address.cut()
            case "read-only" if isinstance(address, MongodbProxy):
                address.refuse_commands()
            case "pool full" if isinstance(address, MongodbProxy):
                address.hold_commands()
            case _:
                raise NotImplementedError(f"{dependency} {fault}")
        try:
            yield
        finally:
            await address.heal()

    return broken


def _signalled(number: signal.Signals, service: str) -> Lever:
    @asynccontextmanager
    async def broken(bench: FailureStack) -> AsyncIterator[None]:
        child = bench.stack.children[service]
        child.signal(number)
        if number == signal.SIGKILL:
            await child.wait_ended()
        try:
            yield
        finally:
            child.signal(signal.SIGCONT)
            if not child.is_running:
                await child.start()
            await child.wait_ready(timeout_seconds=_READY_SECONDS)

    return broken


def _restarting(service: str) -> Lever:
    async def restart(child: Child) -> None:
        assert await child.stop(timeout_seconds=_RESTART_SECONDS) == 0
        await child.start()
        await child.wait_ready(timeout_seconds=_READY_SECONDS)

    @asynccontextmanager
    async def broken(bench: FailureStack) -> AsyncIterator[None]:
        # It ends when its streams have, and they go on until the calls have begun.
        restarting = asyncio.create_task(restart(bench.stack.children[service]))
        try:
            yield
        finally:
            await restarting

    return broken


def _erring(service: str) -> Lever:
    @asynccontextmanager
    async def broken(bench: FailureStack) -> AsyncIterator[None]:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((_Refusing(),))
        port = server.add_insecure_port(f"{LOOPBACK}:0")
        await server.start()
        bench.addresses[service].lead_to(port)
        try:
            yield
        finally:
            await bench.addresses[service].heal()
            await server.stop(None)

    return broken


class _Refusing(grpc.GenericRpcHandler):
    """Serves every method there is, and refuses every call."""

    def service(self, _details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        async def refuse(_requests: object, context: grpc.aio.ServicerContext) -> None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Nothing can be done right now.")

        return grpc.stream_stream_rpc_method_handler(refuse)


@asynccontextmanager
async def _read_only(bench: FailureStack) -> AsyncIterator[None]:
    await asyncio.to_thread(_run_on_mysql, bench, "SET GLOBAL super_read_only = ON")
    try:
        yield
    finally:
        await asyncio.to_thread(_run_on_mysql, bench, "SET GLOBAL super_read_only = OFF, GLOBAL read_only = OFF")


def _run_on_mysql(bench: FailureStack, statement: str) -> None:
    engine = create_engine(make_url(bench.servers["MySQL"]).set(drivername="mysql+pymysql"), poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(statement))


@asynccontextmanager
async def _locked(bench: FailureStack) -> AsyncIterator[None]:
    engine = create_engine(make_url(bench.servers["MySQL"]).set(drivername="mysql+pymysql"), poolclass=NullPool)
    with engine.connect() as connection:
        tables = connection.execute(text("SHOW TABLES")).scalars().all()
        connection.execute(text("LOCK TABLES " + ", ".join(f"{table} WRITE" for table in tables)))
        yield
        # Closing the connection unlocks them.


@asynccontextmanager
async def _redis_full(bench: FailureStack) -> AsyncIterator[None]:
    async with Redis.from_url(bench.servers["Redis"]) as redis:
        await redis.config_set("maxmemory", 1)
        try:
            yield
        finally:
            await redis.config_set("maxmemory", 0)


@asynccontextmanager
async def _overloaded(bench: FailureStack) -> AsyncIterator[None]:
    bench.provider.program(MODEL, refuse(overloaded()))
    try:
        yield
    finally:
        bench.provider.program(MODEL, MODEL)


@asynccontextmanager
async def _runs_taken(bench: FailureStack) -> AsyncIterator[None]:
    await bench.calls.hold_runs(int(bench.stack.children["chat"].plan.environment["ROSTRA_CHAT_BACKGROUND__MAX_RUNS"]))
    yield


@asynccontextmanager
async def _gateway_taken(bench: FailureStack) -> AsyncIterator[None]:
    most = int(bench.stack.children["gateway"].plan.environment["ROSTRA_GATEWAY_REQUEST__MAX_UNDER_WAY"])
    # Two are there already.
    streams = await asyncio.gather(*(bench.calls.hold("/v1/chat/completions") for _ in range(most - 2)))
    yield
    bench.gate.set()
    await asyncio.gather(*streams)


_OF_SERVICES: dict[str, Callable[[str], Lever]] = {
    "down": partial(_signalled, signal.SIGKILL),
    "silent": partial(_signalled, signal.SIGSTOP),
    "restarts": _restarting,
    "errors": _erring,
}
_SPECIAL: dict[tuple[str, str], Lever] = {
    ("MySQL", "read-only"): _read_only,
    ("MySQL", "pool full"): _locked,
    ("Redis", "full"): _redis_full,
    ("the provider", "overloaded"): _overloaded,
    ("chat", "full"): _runs_taken,
    ("the gateway", "full"): _gateway_taken,
}
