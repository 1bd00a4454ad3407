"""The whole product in one event loop of this process, with counters at all that it does; its provider is a process."""

import asyncio
import http.client
import json
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from rostra_chat.app import build as build_chat
from rostra_chat.settings import Settings as ChatSettings
from rostra_gateway.app import build as build_gateway
from rostra_gateway.server import Readiness, Server, _uvicorn_config
from rostra_gateway.settings import Settings as GatewaySettings
from rostra_history.app import build as build_history
from rostra_history.settings import Settings as HistorySettings
from rostra_kit.server import new_server
from rostra_kit.testing.redis_server import installed_redis, running_redis
from rostra_user.app import build as build_user
from rostra_user.settings import Settings as UserSettings
from support.counters import (
    CountingRedisProxy,
    CountingServer,
    counted_client_writes,
    counted_function_calls,
    counted_sql,
)
from support.stack import register

_PROVIDER = Path(__file__).parent.parent / "load" / "bench_provider.py"
_UNLIMITED = 1_000_000_000
_QUIET_SECONDS = 0.08


@dataclass(frozen=True, slots=True)
class CountedProduct:
    """The running product.

    Attributes:
        counts: What was counted so far.
    """

    counts: Counter[str]
    gateway_url: str
    api_key: str

    async def cost_of(self, path: str, body: dict[str, Any]) -> Counter[str]:
        """Return what one request costs, what it leaves to do included."""
        await self._until_quiet()
        before = self.counts.copy()
        with counted_function_calls(self.counts):
            await asyncio.to_thread(self._post, path, body)
        await self._until_quiet()
        return self.counts - before

    def _post(self, path: str, body: dict[str, Any]) -> None:
        with closing(http.client.HTTPConnection(urlsplit(self.gateway_url).netloc, timeout=60)) as connection:
            headers = {"authorization": f"Bearer {self.api_key}", "content-type": "application/json"}
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text

    async def _until_quiet(self) -> None:
        """Wait until what is done after an answer has been done."""
        seen = None
        while (now := self.counts.copy()) != seen:
            seen = now
            await asyncio.sleep(_QUIET_SECONDS)


@asynccontextmanager
async def counted_product(data: Path) -> AsyncIterator[CountedProduct]:
    """Run the product, with a real Redis where there is one, and SQLite."""
    counts: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        stack.enter_context(counted_sql(counts))
        redis = urlsplit(stack.enter_context(running_redis(installed_redis())).url)
        assert redis.hostname
        assert redis.port
        proxy = stack.enter_context(CountingRedisProxy(redis.hostname, redis.port, counts))
        stack.enter_context(counted_client_writes(counts))
        common = {"redis": {"url": proxy.url, "limiter_timeout_seconds": 10}}

        async def serve(build: Callable[..., Any], settings: Any) -> dict[str, str]:
            app = await stack.enter_async_context(build(settings, CollectorRegistry()))
            server = new_server(CollectorRegistry())
            app.register(CountingServer(server, counts))
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            stack.push_async_callback(server.stop, None)
            return {"target": f"127.0.0.1:{port}"}

        history_settings = HistorySettings.model_validate({"database": {"url": f"sqlite:///{data}/history.sqlite3"}})
        history = await serve(build_history, history_settings)
        user_settings = {
            "database": {"url": f"sqlite+aiosqlite:///{data}/user.sqlite3"},
            "signing_keys_directory": data / "signing-keys",
            "registration": "open",
            "history": history,
            **common,
        }
        user = await serve(build_user, UserSettings.model_validate(user_settings))
        provider = stack.enter_context(_provider())
        # Its looks at the queue by the clock would be in some counts and not in others.
        patient = {"background": {"poll_seconds": 600}, "discovery": {"refresh_seconds": 600}}
        chat_settings = {"history": history, "user": user, "openai_base_url": provider, **patient, **common}
        chat = await serve(build_chat, ChatSettings.model_validate(chat_settings))
        gateway_settings = {"user": user, "chat": chat, "history": history, **common}
        url = await stack.enter_async_context(_gateway(GatewaySettings.model_validate(gateway_settings)))
        account = await asyncio.to_thread(register, url)
        with closing(sqlite3.connect(data / "user.sqlite3", timeout=10)) as database, database:
            names = ("requests_per_minute", "tokens_per_minute", "concurrent_streams")
            database.execute(f"UPDATE plans SET {', '.join(f'{name} = {_UNLIMITED}' for name in names)}")
        yield CountedProduct(counts, url, account.api_key)


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


@contextmanager
def _provider() -> Any:
    with subprocess.Popen([sys.executable, _PROVIDER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
