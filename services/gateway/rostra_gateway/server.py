"""The life of the gateway's process: start, become ready, serve, drain, end."""

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from rostra_gateway.app import build
from rostra_gateway.clients import Clients
from rostra_gateway.protocol import protocol_with
from rostra_gateway.response_headers import security_headers
from rostra_gateway.settings import Settings
from rostra_kit.memory import settle_memory
from rostra_kit.readiness import wait_until_ready
from rostra_kit.shutdown import Shutdown
from rostra_kit.telemetry.process import metrics_served

logger = logging.getLogger(__name__)


class Readiness:
    """Whether the gateway takes requests.

    Attributes:
        ready: Set once the services behind have answered, taken back when the process is told to end.
    """

    def __init__(self) -> None:
        self.ready = False


class Server(uvicorn.Server):
    """Uvicorn, ended by us: by itself it takes the signals over and ends the process with theirs."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals to `Shutdown`."""
        yield


async def serve(settings: Settings, registry: CollectorRegistry) -> None:
    """Serve until SIGTERM or SIGINT; then let open requests and streams finish. `registry` takes what is measured."""
    shutdown = Shutdown()
    shutdown.listen()
    async with metrics_served(settings, registry) as metrics_port, build(settings, registry) as app:
        readiness = app.state.readiness = Readiness()
        ports = {"port": settings.listen.port, "metrics_port": metrics_port}
        logger.info("listening", extra=ports)
        settle_memory()
        server = Server(_uvicorn_config(app, settings))
        serving = asyncio.create_task(server.serve())
        becoming_ready = asyncio.create_task(_become_ready(app.state.edge.clients, readiness))
        stop = asyncio.create_task(shutdown.wait())
        await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)

        logger.info("draining", extra={"drain_seconds": settings.shutdown.drain_seconds})
        becoming_ready.cancel()
        readiness.ready = False
        await asyncio.sleep(settings.shutdown.endpoint_removal_seconds)
        server.should_exit = True
        await serving
        stop.cancel()
    logger.info("stopped")


async def _become_ready(clients: Clients, readiness: Readiness) -> None:
    await wait_until_ready([clients.user.ping, clients.chat.ping, clients.history.ping])
    readiness.ready = True
    logger.info("ready")


def _uvicorn_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.listen.host,
        port=settings.listen.port,
        loop="none",
        http=protocol_with(max_head_seconds=settings.request.max_head_seconds, headers=security_headers(settings)),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        # The client's address is ours to find: see middleware.client_address.
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=round(settings.shutdown.drain_seconds),
    )
