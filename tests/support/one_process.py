"""The whole product in one event loop of this process: four services and the gateway, however they reach each other."""

import asyncio
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from rostra_chat.app import build as build_chat
from rostra_chat.settings import Settings as ChatSettings
from rostra_gateway.app import build as build_gateway
from rostra_gateway.server import Readiness, Server, _uvicorn_config
from rostra_gateway.settings import Settings as GatewaySettings
from rostra_history.app import build as build_history
from rostra_history.settings import Settings as HistorySettings
from rostra_user.app import build as build_user
from rostra_user.settings import Settings as UserSettings
from support.stack import register

# Takes what adds a service to a server; returns the address of that server.
Register = Callable[[Any], None]
Serve = Callable[[Register], Awaitable[str]]

_UNLIMITED = 1_000_000_000


@asynccontextmanager
async def one_process(data: Path, *, redis_url: str, provider_url: str, serve: Serve) -> AsyncIterator[tuple[str, str]]:
    """Run the product on SQLite, and yield the gateway's URL and the API key of an account without limits.

    Args:
        data: Where the databases are.
        redis_url: Where Redis is.
        provider_url: Where the models are.
        serve: Serves one service.
    """
    common = {"redis": {"url": redis_url, "limiter_timeout_seconds": 10}}
    async with AsyncExitStack() as stack:

        async def started(build: Callable[..., Any], settings: Any) -> dict[str, str]:
            app = await stack.enter_async_context(build(settings, CollectorRegistry()))
            return {"target": await serve(app.register)}

        history_settings = HistorySettings.model_validate({"database": {"url": f"sqlite:///{data}/history.sqlite3"}})
        history = await started(build_history, history_settings)
        user_settings = {
            "database": {"url": f"sqlite+aiosqlite:///{data}/user.sqlite3"},
            "signing_keys_directory": data / "signing-keys",
            "registration": "open",
            "history": history,
            **common,
        }
        user = await started(build_user, UserSettings.model_validate(user_settings))
        # Its looks at the queue by the clock would be in some counts and not in others.
        patient = {"background": {"poll_seconds": 600}, "discovery": {"refresh_seconds": 600}}
        chat_settings = {"history": history, "user": user, "openai_base_url": provider_url, **patient, **common}
        chat = await started(build_chat, ChatSettings.model_validate(chat_settings))
        unlimited = {"requests_per_minute": _UNLIMITED, "concurrent_streams": _UNLIMITED}
        gateway_settings = {"user": user, "chat": chat, "history": history, "address_limits": unlimited, **common}
        url = await stack.enter_async_context(_gateway(GatewaySettings.model_validate(gateway_settings)))
        account = await asyncio.to_thread(register, url)
        with closing(sqlite3.connect(data / "user.sqlite3", timeout=10)) as database, database:
            names = ("requests_per_minute", "tokens_per_minute", "concurrent_streams")
            database.execute(f"UPDATE plans SET {', '.join(f'{name} = {_UNLIMITED}' for name in names)}")
        yield url, account.api_key


@asynccontextmanager
async def _gateway(settings: GatewaySettings) -> AsyncIterator[str]:
    async with build_gateway(settings, CollectorRegistry()) as app:
        app.state.readiness = Readiness()
        app.state.readiness.ready = True
        server = Server(_uvicorn_config(app, settings))
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(128)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True
            await serving
