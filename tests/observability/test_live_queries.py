"""A real Prometheus reads a stack that is in use: every query runs, and none finds nothing without saying why."""

import asyncio
import os
from pathlib import Path

import pytest

from rostra_observability.dashboards import boards
from rostra_observability.slo import read_promises
from support.every_use import LOG_INS_UNLIMITED, MODELS, use_everything
from support.prometheus import Prometheus, prometheus
from support.provider import ScriptedProvider
from support.queries import (
    NamedQuery,
    alert_and_record_queries,
    dashboard_queries,
    filled,
    own_series,
    runbook_queries,
    series_of_others,
)
from support.stack import own_stack
from support.trace_receiver import TraceReceiver, trace_receiver

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_SECONDS = 60.0 if os.environ.get("ROSTRA_TEST_MINUTES") else 6.0
_LOOKS = 30
# What the use provokes: panels that need no more than that must show it.
_PROVOKED = {
    *("5xx answers", "requests over a limit", "streams that break", "calls that fail", "requests with such a key"),
    *("background responses", "streams or background responses", "opinions that are given"),
    *("sessions that are refreshed", "keys or sessions that are ended", "a collector of traces"),
}
# What an embedded stack does not have: mutual TLS, a database server, a replica of it.
_NOT_EMBEDDED = {
    "rostra_certificate_expiry_timestamp_seconds",
    "rostra_history_database_connections",
    "rostra_history_database_connections_limit",
    "rostra_history_database_wait_seconds_bucket",
    "rostra_user_replica_reads_total",
}


async def test_every_query_runs_and_finds_something(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(models=MODELS) as provider,
        trace_receiver(tmp_path / "traces") as collector,
        own_stack(tmp_path, provider=provider, environment=LOG_INS_UNLIMITED | traced(collector), chats=2) as stack,
        prometheus(tmp_path) as server,
    ):
        await use_everything(stack.gateway_urls[0], seconds=_SECONDS)
        await check_queries(server)
        await check_names(server)
        await check_exemplars(server, collector)


def traced(collector: TraceReceiver) -> dict[str, str]:
    """Return the settings by which every request is traced."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_TRACES_SAMPLER": "parentbased_always_on"}


async def check_queries(server: Prometheus) -> None:
    """Run each query, and again those that found nothing yet: rules made of rules take a few evaluations."""
    left = [*dashboard_queries(interval="2m"), *alert_and_record_queries(), *runbook_queries()]
    for _ in range(_LOOKS):
        found = await asyncio.gather(*(server.query(query.text) for query in left))
        left = [query for query, series in zip(left, found, strict=True) if not series and must_find(query)]
        if not left:
            return
        await asyncio.sleep(1)
    pytest.fail(f"nothing is found by: {[query.place for query in left]}")


def must_find(query: NamedQuery) -> bool:
    """Tell whether a query that finds nothing is broken: alerts find nothing while all is well."""
    if query.place.startswith("rule: Rostra") or query.series & (series_of_others() - {"up"}):
        return False
    return not query.needs or query.needs in _PROVOKED


async def check_names(server: Prometheus) -> None:
    read = {
        name
        for query in [*dashboard_queries(), *alert_and_record_queries(), *runbook_queries()]
        for name in query.series
    }
    missing = (read & own_series()) - await server.series_names()
    assert missing <= _NOT_EMBEDDED


async def check_exemplars(server: Prometheus, collector: TraceReceiver) -> None:
    """Look whether the dots on latency panels lead to traces that the collector has."""
    traces = {span.trace_id for span in collector.spans()}
    for panel in (panel for board in boards(read_promises()) for panel in board.panels if panel.exemplars):
        for query in panel.queries:
            found = await server.exemplar_traces(filled(query.text, "2m"))
            assert found & traces, panel.title
