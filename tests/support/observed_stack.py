"""What a running stack tells of itself: its metrics, spans and log lines, ready to be compared."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from rostra_stack.child import Child
from rostra_stack.stack import Stack

SERVICES = ("gateway", "chat", "history", "user")
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def log_lines(child: Child) -> list[dict[str, Any]]:
    """Return the lines that a process has logged."""
    return [json.loads(line) for line in child.log.read_text().splitlines() if line.startswith("{")]


def metrics_url(child: Child) -> str:
    """Return where a process, as it was last started, tells its metrics."""
    port = next(line["metrics_port"] for line in reversed(log_lines(child)) if line["message"] == "listening")
    return f"http://127.0.0.1:{port}/metrics"


async def scrape(child: Child, *, as_openmetrics: bool = False) -> dict[str, Metric]:
    """Return the families that a process tells, by their names."""
    headers = {"accept": _OPENMETRICS} if as_openmetrics else {}
    async with httpx.AsyncClient() as http:
        answer = await http.get(metrics_url(child), headers=headers)
    parse = parse_openmetrics if as_openmetrics else text_string_to_metric_families
    return {family.name: family for family in parse(answer.text)}


async def scrape_all(stack: Stack) -> dict[str, dict[str, Metric]]:
    """Return the families of each service, the first replica's."""
    return {service: await scrape(stack.children[service]) for service in SERVICES}


def number_of_series(families: Mapping[str, Metric]) -> int:
    """Return how many series there are."""
    return sum(len(family.samples) for family in families.values())
