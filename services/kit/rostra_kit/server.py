"""The life of a gRPC service: start, become ready, serve, drain, end."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from rostra.carrier.v1.carrier_service_pb2_grpc import add_CarrierServiceServicer_to_server
from rostra_kit.carrier.server import Carrier
from rostra_kit.client import KEEPALIVE_MS, MAX_MESSAGE_BYTES
from rostra_kit.logging import configure_logging
from rostra_kit.memory import settle_memory
from rostra_kit.readiness import Check, wait_until_ready
from rostra_kit.rpc_metrics import RpcMetrics
from rostra_kit.server_interceptor import ServerInterceptor
from rostra_kit.settings import ListenSettings, ServiceSettings
from rostra_kit.shutdown import Shutdown
from rostra_kit.telemetry.process import metrics_served, new_registry
from rostra_kit.telemetry.tracing import tracing
from rostra_kit.tls import server_credentials

logger = logging.getLogger(__name__)

# The health service that says only that the process turns, whatever its dependencies do: for probes that restart it.
LIVE = "live"

_AGE_SECONDS = 300.0

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


Register = Callable[[Any], None]  # a gRPC server, or a carrier


@dataclass(frozen=True, slots=True)
class GrpcApp:
    """What a service's composition root builds.

    Attributes:
        register: Adds the servicer to a server: `partial(add_XServicer_to_server, servicer)`, or `all_of` several.
        readiness: Checks of the hard dependencies; the service takes calls once each has succeeded.
        on_draining: Called when the service is told to end, before calls under way get their time to finish.
    """

    register: Register
    readiness: Sequence[Check] = ()
    on_draining: Callable[[], None] = lambda: None


Build = Callable[[SettingsT, CollectorRegistry], AbstractAsyncContextManager[GrpcApp]]


def run_service(name: str, settings: SettingsT, build: Build[SettingsT]) -> None:
    """Run the service `name` until SIGTERM or SIGINT, then let it end in order."""
    configure_logging(name, level=settings.log_level)
    registry = new_registry()
    with tracing(name, registry):
        uvloop.run(_serve(settings, build, registry))


def all_of(*registers: Register) -> Register:
    """Return what adds several servicers to a server."""

    def register(server: grpc.aio.Server) -> None:
        for each in registers:
            each(server)

    return register


async def _serve(settings: SettingsT, build: Build[SettingsT], registry: CollectorRegistry) -> None:
    shutdown = Shutdown()
    shutdown.listen()
    async with metrics_served(settings, registry) as metrics_port, build(settings, registry) as app:
        server, carrier = new_carrying_server(registry, app.register)
        health_servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
        await health_servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        await health_servicer.set(LIVE, health_pb2.HealthCheckResponse.SERVING)
        port = add_port(server, settings.listen)
        health_server = await _start_health_server(settings.listen, health_servicer)
        await server.start()
        logger.info("listening", extra={"port": port, "metrics_port": metrics_port})
        settle_memory()

        ready = asyncio.create_task(wait_until_ready(app.readiness))
        stop = asyncio.create_task(shutdown.wait())
        await asyncio.wait({ready, stop}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            await health_servicer.set("", health_pb2.HealthCheckResponse.SERVING)
            logger.info("ready")
        await stop
        ready.cancel()

        logger.info("draining", extra={"drain_seconds": settings.shutdown.drain_seconds})
        await health_servicer.enter_graceful_shutdown()
        carrier.leave()
        app.on_draining()
        await asyncio.sleep(settings.shutdown.endpoint_removal_seconds)
        await server.stop(settings.shutdown.drain_seconds)
        if health_server:
            await health_server.stop(None)
    logger.info("stopped")


def add_port(server: grpc.aio.Server, listen: ListenSettings) -> int:
    """Let `server` listen, by mutual TLS where the settings have certificates, and return its port."""
    address = listen.address(listen.port)
    if listen.tls:
        return server.add_secure_port(address, server_credentials(listen.tls))
    return server.add_insecure_port(address)


async def _start_health_server(listen: ListenSettings, servicer: health.aio.HealthServicer) -> grpc.aio.Server | None:
    """Serve health checks in the clear where all else is TLS: kubelet has no certificate to show."""
    if not listen.tls:
        return None
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port(listen.address(listen.health_port))
    await server.start()
    logger.info("listening for health checks", extra={"health_port": port})
    return server


def new_server(registry: CollectorRegistry, *, max_connection_age_seconds: float = _AGE_SECONDS) -> grpc.aio.Server:
    """Return a server with the interceptor and the options that all services share; it listens nowhere yet.

    Args:
        registry: Takes the metrics of its RPCs.
        max_connection_age_seconds: Age at which a client has to connect, and so to resolve, anew; give or take a tenth.
    """
    return _server(ServerInterceptor(RpcMetrics(registry)), max_connection_age_seconds)


def new_carrying_server(
    registry: CollectorRegistry, register: Register, *, max_connection_age_seconds: float = _AGE_SECONDS
) -> tuple[grpc.aio.Server, Carrier]:
    """Return such a server with a service, and what serves the service's calls that are carried."""
    interceptor = ServerInterceptor(RpcMetrics(registry))
    server, carrier = _server(interceptor, max_connection_age_seconds), Carrier(interceptor)
    register(server)
    register(carrier)
    add_CarrierServiceServicer_to_server(carrier, server)
    return server, carrier


def _server(interceptor: ServerInterceptor, max_connection_age_seconds: float) -> grpc.aio.Server:
    return grpc.aio.server(
        interceptors=[interceptor],
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # The clients' keepalive stays below what counts as abuse.
            ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
            # Connections are renewed so that replicas added later get their share; the grace outlasts any stream.
            ("grpc.max_connection_age_ms", round(max_connection_age_seconds * 1000)),
            ("grpc.max_connection_age_grace_ms", 3_600_000),
        ],
    )
