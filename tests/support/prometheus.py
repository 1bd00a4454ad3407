"""A real Prometheus beside a stack: it reads the stack's metrics and evaluates the chart's rules."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from rostra_kit.ports import LOOPBACK, free_port
from rostra_observability.paths import CHART_RULES
from rostra_stack.targets import TARGETS_FILE
from support.promtool import monitoring_program
from support.server_process import running, temporary_folder, wait_until_ready

Sample = dict[str, Any]

_INTERVAL = "1s"


class Prometheus:
    """A running Prometheus.

    Args:
        url: Where it answers.
        http: A client of it.
    """

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self._http = http

    async def query(self, text: str) -> list[Sample]:
        """Return what a query finds now; an error of the query fails the test."""
        answer = await self._http.post(f"{self.url}/api/v1/query", data={"query": text})
        content = answer.json()
        assert content["status"] == "success", f"{text}: {content.get('error')}"
        result = content["data"]["result"]
        return result if content["data"]["resultType"] == "vector" else [{"metric": {}, "value": result}]

    async def query_range(self, text: str, *, start: float, end: float, step: float) -> list[Sample]:
        """Return what a query found over a time."""
        parameters: dict[str, str | float] = {"query": text, "start": start, "end": end, "step": step}
        content = (await self._http.post(f"{self.url}/api/v1/query_range", data=parameters)).json()
        assert content["status"] == "success", f"{text}: {content.get('error')}"
        found: list[Sample] = content["data"]["result"]
        return found

    async def exemplar_traces(self, text: str) -> set[str]:
        """Return the traces that the exemplars of a query's series name."""
        now = time.time()
        parameters: dict[str, str | float] = {"query": text, "start": now - 600, "end": now}
        answer = await self._http.get(f"{self.url}/api/v1/query_exemplars", params=parameters)
        return {each["labels"]["trace_id"] for series in answer.json()["data"] for each in series["exemplars"]}

    async def series_names(self) -> set[str]:
        """Return the names of all series."""
        answer = await self._http.get(f"{self.url}/api/v1/label/__name__/values")
        return set(answer.json()["data"])


@asynccontextmanager
async def prometheus(stack_data: Path) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that reads a stack every second, or skip the test where there is none."""
    program = monitoring_program("prometheus")
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    with temporary_folder() as folder:
        configuration, log = folder / "prometheus.json", folder / "log"
        configuration.write_text(json.dumps(_configuration(stack_data)))
        options = (
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--enable-feature=exemplar-storage",
        )
        with running([program, *options], log=log) as process:
            ready = lambda: httpx.get(f"{url}/-/ready").raise_for_status()  # noqa: E731
            await asyncio.to_thread(wait_until_ready, process, ready, unless=httpx.HTTPError, log=log)
            async with httpx.AsyncClient(timeout=30) as http:
                yield Prometheus(url, http)


def _configuration(stack_data: Path) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": _INTERVAL, "evaluation_interval": _INTERVAL},
        "rule_files": [str(CHART_RULES / "*.yaml")],
        "scrape_configs": [
            {"job_name": "rostra", "file_sd_configs": [{"files": [str(stack_data / TARGETS_FILE)]}]},
        ],
    }
