"""A real gRPC server in the test's own process: aborts, metadata and streams behave as they do in production."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from prometheus_client import CollectorRegistry

from rostra.common.v1.caller_pb2 import Caller, Limits, Role
from rostra_kit.client import ServiceClient
from rostra_kit.context import RequestContext, set_current_request
from rostra_kit.server import new_carrying_server
from rostra_kit.settings import ServiceAddress

StubT = TypeVar("StubT")


@asynccontextmanager
async def grpc_client(
    stub: Callable[[grpc.aio.Channel], StubT],
    descriptor: ServiceDescriptor,
    register: Callable[[grpc.aio.Server], None],
    *,
    registry: CollectorRegistry | None = None,
    is_carried: bool = False,
) -> AsyncIterator[ServiceClient[StubT]]:
    """Serve what `register` adds, with all that surrounds an RPC, and yield a client connected to it."""
    server, _ = new_carrying_server(registry or CollectorRegistry(), register)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        address = ServiceAddress(target=f"127.0.0.1:{port}")
        async with ServiceClient(stub, descriptor, address, is_carried=is_carried) as client:
            yield client
    finally:
        await server.stop(grace=None)


def call_as(
    user_id: str,
    *,
    api_key_id: str = "",
    session_id: str = "",
    limits: Limits | None = None,
    role: Role = Role.ROLE_USER,
) -> None:
    """Make the calls of this test come from `user_id` from now on."""
    caller = Caller(user_id=user_id, api_key_id=api_key_id, session_id=session_id, user_limits=limits, role=role)
    set_current_request(RequestContext(request_id="req_test", caller=caller.SerializeToString()))


def call_as_nobody() -> None:
    """Make the calls of this test come without a caller from now on."""
    set_current_request(RequestContext(request_id="req_test"))
