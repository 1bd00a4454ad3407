"""The dashboards are whole: Grafana can show them, and a reader finds their way."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from rostra_observability.alerts import written_alerts
from rostra_observability.dashboards import boards
from rostra_observability.paths import CHART_DASHBOARDS
from rostra_observability.slo import read_promises
from support.queries import dashboard_queries

Json = dict[str, Any]
PATHS = sorted(CHART_DASHBOARDS.glob("*.json"))
# Of Grafana's units, those that are used here.
UNITS = {"short", "s", "bytes", "percentunit", "reqps", "cps", "ops"}


def read(path: Path) -> Json:
    content: Json = json.loads(path.read_text())
    return content


def panels_of(dashboard: Json) -> Iterator[Json]:
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def drawn(dashboard: Json) -> list[Json]:
    return [panel for panel in panels_of(dashboard) if panel["type"] not in ("row", "text")]


def overlap(one: Json, other: Json) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


def test_uids_are_unique_and_fit_their_files() -> None:
    uids = [read(path)["uid"] for path in PATHS]
    assert uids == [f"rostra-{path.stem}" for path in PATHS]
    assert len(PATHS) == len(boards(read_promises()))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_panels_have_ids_and_places_of_their_own(path: Path) -> None:
    dashboard = read(path)
    ids = [panel["id"] for panel in panels_of(dashboard)]
    assert len(ids) == len(set(ids))
    groups = [dashboard["panels"], *(panel["panels"] for panel in dashboard["panels"] if panel.get("panels"))]
    for group in groups:
        places = [panel["gridPos"] for panel in group]
        assert all(place["x"] + place["w"] <= 24 for place in places)
        assert not [pair for pair in combinations(places, 2) if overlap(*pair)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_panels_say_what_they_show(path: Path) -> None:
    for panel in drawn(read(path)):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["targets"]
        assert all(target["legendFormat"] or panel["type"] == "table" for target in panel["targets"])
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["showLegend"]


def test_legends_name_labels_that_their_queries_keep() -> None:
    for query in dashboard_queries():
        kept = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", query.text))))
        if kept:
            assert query.legend_labels <= kept, query.place


def test_every_link_leads_somewhere() -> None:
    by_uid = {read(path)["uid"]: read(path) for path in PATHS}
    titles = {panel["id"]: panel["title"] for panel in panels_of(by_uid["rostra-runbooks"]) if panel["type"] == "text"}
    for dashboard in by_uid.values():
        for panel in drawn(dashboard):
            for link in panel["links"]:
                board, _, number = link["url"].removeprefix("/d/").partition("?viewPanel=")
                assert board == "rostra-runbooks"
                assert link["title"] == f"Runbook: {titles[int(number)]}"
    assert all(alert.dashboard.removeprefix("/d/") in by_uid for alert in written_alerts())


def test_every_alert_has_a_panel_that_shows_why() -> None:
    shown = {alert for board in boards(read_promises()) for panel in board.panels for alert in panel.alerts}
    assert shown == {alert.name for alert in written_alerts()}


def test_latencies_lead_to_traces() -> None:
    exemplified = [panel for path in PATHS for panel in drawn(read(path)) if panel["targets"][0]["exemplar"]]
    assert {panel["title"] for panel in exemplified} >= {"Time to the first event of streams", "Time of requests, 95 %"}
    assert all("_bucket" in target["expr"] for panel in exemplified for target in panel["targets"])
