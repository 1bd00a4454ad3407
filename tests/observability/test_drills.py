"""Something breaks in a stack that is in use: the alert that fits fires, and no other page does.

The first look of its runbook must show the cause.

Time is compressed (support.recording). Drills wait most of the time, so two stacks are drilled at once.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rostra_observability.paths import RUNBOOKS
from support.faults import (
    MODEL,
    Scene,
    failing_provider,
    hot_key,
    in_use,
    killed_chat,
    lost_redis,
    scene_in,
    slow_database,
    slow_provider,
)
from support.promtool import promtool
from support.recording import Recording, assert_finds

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_BEFORE_READINGS = 8


@dataclass(frozen=True, kw_only=True)
class Drill:
    """What breaks, and what must come of it.

    Attributes:
        fault: Breaks it while it is open.
        readings: For how many readings; two are a minute.
        alert: The alert that fits.
        shows: Labels of what stands first in the first look of its runbook; none where that is a command.
        pages: Pages that are right, because users are hurt.
    """

    fault: Callable[[Scene], AbstractAsyncContextManager[None]]
    readings: int
    alert: str
    shows: Mapping[str, str] = field(default_factory=dict)
    pages: tuple[str, ...] = ()


BRIEF = [
    Drill(
        fault=failing_provider,
        readings=16,
        alert="RostraProviderFails",
        shows={"provider": "openai", "kind": "provider_unavailable"},
        pages=("RostraAvailabilityBudgetBurns",),
    ),
    Drill(
        fault=lost_redis,
        readings=12,
        alert="RostraRedisUnavailable",
        shows={"job": "chat"},
        pages=("RostraRedisUnavailable", "RostraAvailabilityBudgetBurns"),
    ),
    Drill(fault=killed_chat, readings=16, alert="RostraPodUnreachable"),
    Drill(fault=slow_database, readings=30, alert="RostraDatabaseSlow", shows={"job": "history"}),
]
LONG = [
    Drill(
        fault=slow_provider,
        readings=60,
        alert="RostraProviderSlow",
        shows={"provider": "openai", "model": MODEL},
        pages=("RostraFirstTokenBudgetBurns",),
    ),
    Drill(fault=hot_key, readings=34, alert="RostraLimitRefusals", shows={"limit": "key_requests"}),
]


async def test_the_alert_that_fits_fires_and_no_other_page_does(tmp_path: Path) -> None:
    promtool()
    async with asyncio.TaskGroup() as group:
        for name, drills in (("brief", BRIEF), ("long", LONG)):
            group.create_task(play(drills, tmp_path / name))


async def play(drills: Sequence[Drill], data: Path) -> None:
    """Play drills one after the other on a stack of their own."""
    async with scene_in(data) as scene:
        for drill in drills:
            recording = Recording(scene.stack)
            async with in_use(scene):
                await recording.read(times=_BEFORE_READINGS)
                async with drill.fault(scene):
                    await recording.read(times=drill.readings)
            await asyncio.to_thread(assert_finds, recording, data, expectations(drill))


def expectations(drill: Drill) -> dict[str, list[Mapping[str, str]]]:
    """Return what queries must find at the end of a drill."""
    fires = f'group by (alertname) (ALERTS{{alertname="{drill.alert}", alertstate="firing"}})'
    pages = "|".join(drill.pages) or "none"
    others = f'ALERTS{{alertstate="firing", severity="page", alertname!~"{pages}"}}'
    expected: dict[str, list[Mapping[str, str]]] = {fires: [{"alertname": drill.alert}]}
    expected[f"group by (alertname) (last_over_time({others}[1d]))"] = []
    if drill.shows:
        first = f"group by ({', '.join(drill.shows)}) (topk(1, {first_look(drill.alert)}))"
        expected[first] = [drill.shows]
    return expected


def first_look(alert: str) -> str:
    """Return the first query of a runbook."""
    [query] = re.findall(r"```promql\n(.*?)\n```", (RUNBOOKS / f"{alert}.md").read_text())
    assert isinstance(query, str)
    return query
