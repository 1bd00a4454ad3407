"""What a dashboard's panels are drawn from: their queries, answered by a Prometheus."""

import asyncio
from typing import Any

from rostra_observability.plot import Span
from support.prometheus import Prometheus, Sample
from support.queries import filled

Json = dict[str, Any]

_RATE_INTERVAL = "15s"


async def panel_data(server: Prometheus, dashboard: Json, span: Span) -> dict[int, list[list[Sample]]]:
    """Return what each query of each panel found, by the panel's id."""
    panels = [panel for row in dashboard["panels"] for panel in (row, *row.get("panels", [])) if panel.get("targets")]
    found = await asyncio.gather(*(_answers(server, panel["targets"], span) for panel in panels))
    return {panel["id"]: answers for panel, answers in zip(panels, found, strict=True)}


async def _answers(server: Prometheus, targets: list[Json], span: Span) -> list[list[Sample]]:
    return [await _answer(server, target, span) for target in targets]


async def _answer(server: Prometheus, target: Json, span: Span) -> list[Sample]:
    query = filled(target["expr"], _RATE_INTERVAL)
    if target["instant"]:
        return await server.query(query)
    return await server.query_range(query, start=span.start, end=span.end, step=span.step)
