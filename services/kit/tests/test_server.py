"""The life of a service's process, watched from outside."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceStub
from rostra_kit.client import ServiceClient
from rostra_kit.ports import free_port
from rostra_kit.server import add_port, new_server
from rostra_kit.settings import ListenSettings, ServiceAddress

SERVICE = """
import asyncio, sys
from contextlib import asynccontextmanager
from functools import partial
from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceServicer, add_ChatServiceServicer_to_server
from rostra_kit.server import GrpcApp, run_service
from rostra_kit.settings import ListenSettings, ServiceSettings, ShutdownSettings

class Servicer(ChatServiceServicer):
    async def StreamChatCompletion(self, request, context):
        for number in range(10):
            yield pb.StreamChatCompletionResponse(frames=str(number).encode())
            await asyncio.sleep(0.1)

async def away():
    raise ConnectionError("the database is away")

@asynccontextmanager
async def build(settings, registry):
    readiness = [away] if "waiting" in sys.argv else []
    yield GrpcApp(partial(add_ChatServiceServicer_to_server, Servicer()), readiness=readiness)
    open(sys.argv[2], "w").write("closed")

settings = ServiceSettings(listen=ListenSettings(port=int(sys.argv[1])), shutdown=ShutdownSettings(drain_seconds=5))
run_service("test", settings, build)
"""


@contextmanager
def running_service(port: int, closed: Path, *, waiting: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(port), str(closed), *(["waiting"] if waiting else [])],
        stderr=subprocess.PIPE,
        env={**os.environ, "GRPC_VERBOSITY": "ERROR"},
    )
    try:
        wait_serving(port, "live" if waiting else "")
        yield process
    finally:
        process.kill()
        process.communicate()


def health_of(port: int, service: str = "") -> int:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return (
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status
        )


def wait_serving(port: int, service: str = "") -> None:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        try:
            if health_of(port, service) == health_pb2.HealthCheckResponse.SERVING:
                return
        except grpc.RpcError:
            pass
        time.sleep(0.05)
    pytest.fail("the service did not become ready")


def test_service_that_waits_for_its_dependencies_is_alive_but_not_ready(tmp_path: Path) -> None:
    port = free_port()
    with running_service(port, tmp_path / "closed", waiting=True):
        assert health_of(port, "live") == health_pb2.HealthCheckResponse.SERVING
        assert health_of(port) == health_pb2.HealthCheckResponse.NOT_SERVING


def test_sigterm_lets_streams_finish_and_closes_what_was_opened(tmp_path: Path) -> None:

    port, closed = free_port(), tmp_path / "closed"
    with running_service(port, closed) as process, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stream = ChatServiceStub(channel).StreamChatCompletion(pb.StreamChatCompletionRequest())
        frames = [next(stream).frames]
        process.send_signal(signal.SIGTERM)
        frames += [message.frames for message in stream]
        assert frames == [str(number).encode() for number in range(10)]
        assert process.wait(timeout=10) == 0
    assert closed.read_text() == "closed"


async def test_ping_succeeds_once_the_service_is_ready(tmp_path: Path) -> None:
    port = free_port()
    descriptor = pb.DESCRIPTOR.services_by_name["ChatService"]
    with running_service(port, tmp_path / "closed"):
        address = ServiceAddress(target=f"127.0.0.1:{port}")
        async with ServiceClient(ChatServiceStub, descriptor, address) as client:
            await client.ping()


def test_taken_port_ends_the_process_with_an_error(tmp_path: Path) -> None:
    port = free_port()
    with running_service(port, tmp_path / "closed"):
        second = subprocess.run(
            [sys.executable, "-c", SERVICE, str(port), str(tmp_path / "other")],
            capture_output=True,
            timeout=30,
            check=False,
        )
    assert second.returncode != 0
    assert str(port) in second.stderr.decode()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::"])
async def test_service_listens_on_addresses_of_both_families(host: str) -> None:
    try:
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError:
        pytest.skip(f"this machine has no {host}")
    server = new_server(CollectorRegistry())
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = add_port(server, ListenSettings(host=host))
    await server.start()
    target = "127.0.0.1" if host == "127.0.0.1" else "[::1]"
    async with grpc.aio.insecure_channel(f"{target}:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    await server.stop(None)
