"""A rolling upgrade under load loses no request and cuts no stream, by the chart's own probes, preStop and grace."""

import asyncio
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from rostra_stack.child import Child
from rostra_stack.config import StackConfig
from rostra_stack.plan import plan_stack
from rostra_user.signing_keys import create_first_key
from support.chart import CHART, least_values, of_kind, read_values, render
from support.ledger import Ledger
from support.name_server import name_server
from support.simulated_cluster import Cluster, Timing
from support.stack import register

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127/8 as addresses, as Linux has"),
]

# A quarter of the chart's times: gRPC's own pause of 5 s between two resolutions does not shrink with them.
_SCALE = 0.25
# How long an ALB goes on sending requests to a target that it is told to drop; well within the gateway's preStop.
_LOAD_BALANCER_SECONDS = 5
_CALLERS, _LEAST_CALLS = 12, 1000
_UNLIMITED = 1_000_000_000
# Short answers end before a pod is told to end; every sixth caller's last until it drains.
_WORDS, _LONG = (" ".join(f"word-{number}" for number in range(words)) for words in (20, 400))


class Load:
    """Callers who call again and again, each through the gateway that the load balancer chooses; nobody repeats."""

    def __init__(self, cluster: Cluster, key: dict[str, str]) -> None:
        self.calls: Counter[str] = Counter()
        self.failures: list[str] = []
        self._cluster, self._key = cluster, key
        self._turn = itertools.count()
        self._clients: dict[str, httpx.AsyncClient] = {}
        self.ending = False

    async def run(self) -> None:
        """Call until told to end."""
        try:
            await asyncio.gather(*(self._call_on(number) for number in range(_CALLERS)))
        finally:
            await asyncio.gather(*(client.aclose() for client in self._clients.values()))

    async def enough(self) -> None:
        """Return when there were enough calls for a statement."""
        while self.calls.total() < _LEAST_CALLS:  # noqa: ASYNC110 - the callers need not know of it
            await asyncio.sleep(0.1)

    async def _call_on(self, number: int) -> None:
        kinds = [self._completion, self._completion_stream, self._response, self._response_stream]
        words = _LONG if number % 6 == 0 else _WORDS
        for turn in itertools.count(number):
            if self.ending:
                return
            call = kinds[turn % len(kinds)]
            name = call.__name__.strip("_")
            http, started = self._client(), time.monotonic()
            try:
                wrong = await call(http, words)
            except httpx.TransportError as error:
                wrong = repr(error)
            self.calls[name] += 1
            if wrong:
                took = time.monotonic() - started
                self.failures.append(
                    f"{name} through {http.base_url}: {wrong} after {took:.1f} s; {self._cluster.told}"
                )

    def _client(self) -> httpx.AsyncClient:
        urls = self._cluster.gateway_urls()
        url = urls[next(self._turn) % len(urls)]
        if url not in self._clients:
            self._clients[url] = httpx.AsyncClient(base_url=url, headers=self._key, timeout=30)
        return self._clients[url]

    async def _completion(self, http: httpx.AsyncClient, _words: str) -> str:
        return await self._whole(http, "/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]})

    async def _response(self, http: httpx.AsyncClient, _words: str) -> str:
        return await self._whole(http, "/v1/responses", {"input": "Hi"})

    async def _completion_stream(self, http: httpx.AsyncClient, words: str) -> str:
        body: dict[str, object] = {"messages": [{"role": "user", "content": words}]}
        return await self._stream(http, "/v1/chat/completions", body, words=words, last="data: [DONE]")

    async def _response_stream(self, http: httpx.AsyncClient, words: str) -> str:
        return await self._stream(
            http, "/v1/responses", {"input": words}, words=words, last="event: response.completed"
        )

    async def _whole(self, http: httpx.AsyncClient, path: str, body: dict[str, object]) -> str:
        answer = await http.post(path, json={"model": "echo", **body})
        return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text}"

    async def _stream(
        self, http: httpx.AsyncClient, path: str, body: dict[str, object], *, words: str, last: str
    ) -> str:
        async with http.stream("POST", path, json={"model": "echo", "stream": True, **body}) as answer:
            text = (await answer.aread()).decode()
        is_whole = answer.status_code == 200 and last in text and words.rpartition(" ")[2] in text
        return "" if is_whole else f"{answer.status_code} …{text[-300:]}"


@asynccontextmanager
async def running_cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Install the chart's defaults as processes, with Redis and the embedded stores in the place of the databases."""
    async with AsyncExitStack() as stack:
        redis = Child(plan_stack(StackConfig(data=folder))[0], folder)
        stack.push_async_callback(redis.stop, timeout_seconds=10)
        await redis.start()
        await redis.wait_ready(timeout_seconds=30)
        create_first_key(folder / "keys", datetime.now(UTC))
        secrets = {
            "ROSTRA_USER_DATABASE__URL": f"sqlite+aiosqlite:///{folder}/user.sqlite3",
            "ROSTRA_HISTORY_DATABASE__URL": f"sqlite:///{folder}/history.sqlite3",
            **{f"ROSTRA_{name}_REDIS__URL": f"redis://{redis.plan.address}/0" for name in ("GATEWAY", "CHAT", "USER")},
        }
        manifests = render(least_values(user={"settings": {"registration": "open"}}))
        await migrate(manifests, secrets)
        Ledger(folder).lift_limits()
        overrides = {
            # SQLite is not for production, and two processes on one machine may share it all the same.
            "history": {"ROSTRA_HISTORY_ENVIRONMENT": "development"},
            "user": {"ROSTRA_USER_SIGNING_KEYS_DIRECTORY": str(folder / "keys")},
            "gateway": {f"ROSTRA_GATEWAY_ADDRESS_LIMITS__{name}": str(_UNLIMITED) for name in ("REQUESTS_PER_MINUTE",)},
            "chat": {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": ""},
        }
        cache = read_values(CHART / "values.yaml")["dns"]["cacheSeconds"]
        timing = Timing(scale=_SCALE, dns_cache_seconds=cache, load_balancer_seconds=_LOAD_BALANCER_SECONDS)
        names = await stack.enter_async_context(name_server())
        cluster = Cluster(manifests, names, timing, folder, secrets, overrides)
        stack.push_async_callback(cluster.close)
        await cluster.install(replicas=2)
        yield cluster


async def migrate(manifests: list[dict[str, object]], secrets: dict[str, str]) -> None:
    """Run the chart's migration Job."""
    (job,) = of_kind(manifests, "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each.get("value") or secrets[each["name"]] for each in container["env"]}
    process = await asyncio.create_subprocess_exec(sys.executable, *container["args"], env={**os.environ, **variables})
    assert await process.wait() == 0


async def test_rolling_upgrade_loses_nothing_of_a_thousand_calls(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as cluster:
        account = await asyncio.to_thread(register, cluster.gateway_urls()[0])
        load = Load(cluster, account.key)
        running = asyncio.create_task(load.run())
        await asyncio.gather(cluster.upgrade(), load.enough())
        load.ending = True
        await running
        assert load.failures == []
        assert load.calls.total() >= _LEAST_CALLS
        # Nobody was killed: each old pod ended in order within its grace period.
        assert [(pod.component, pod.exit_code) for pod in cluster.gone if pod.exit_code != 0] == []
        assert len(cluster.gone) == 8
