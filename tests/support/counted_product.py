"""The whole product in one event loop of this process, with counters at all that it does; its provider is a process."""

import asyncio
import http.client
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from rostra_kit.server import new_carrying_server
from rostra_kit.testing.redis_server import installed_redis, running_redis
from support.counters import (
    CountingRedisProxy,
    CountingServer,
    counted_client_writes,
    counted_function_calls,
    counted_sql,
)
from support.one_process import Register, one_process

_PROVIDER = Path(__file__).parent.parent / "load" / "bench_provider.py"
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

        async def serve(register: Register) -> str:
            server, _ = new_carrying_server(CollectorRegistry(), lambda each: register(CountingServer(each, counts)))
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            stack.push_async_callback(server.stop, None)
            return f"127.0.0.1:{port}"

        provider = stack.enter_context(_provider())
        product = one_process(data, redis_url=proxy.url, provider_url=provider, serve=serve)
        url, api_key = await stack.enter_async_context(product)
        yield CountedProduct(counts, url, api_key)


@contextmanager
def _provider() -> Any:
    with subprocess.Popen([sys.executable, _PROVIDER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
