"""Boards as the JSON that Grafana reads."""

import json
from collections.abc import Mapping
from typing import Any

from rostra_observability.panel import SELECTED, Board, Panel, Row

Json = dict[str, Any]

_COLUMNS = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def dashboard(board: Board, *, runbook_panels: Mapping[str, int]) -> str:
    """Return a board's file.

    Args:
        board: What it shows.
        runbook_panels: The panel of the board of runbooks by alert, for links.
    """
    content = {
        "uid": board.uid,
        "title": f"Rostra / {board.title}",
        "description": board.description,
        "tags": ["rostra"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "timezone": "browser",
        "links": [_link_to_others()],
        "templating": {"list": _variables()},
        "annotations": {"list": [_releases(), _firing()]},
        "panels": _panels(board, runbook_panels),
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def panel_ids(board: Board) -> dict[str, int]:
    """Return the id of each panel of a board by its title."""
    numbers: dict[str, int] = {}
    number = 0
    for row in board.rows:
        number += 1
        for panel in row.panels:
            number += 1
            numbers[panel.title] = number
    return numbers


def _panels(board: Board, runbook_panels: Mapping[str, int]) -> list[Json]:
    ids = panel_ids(board)
    found: list[Json] = []
    number, top = 1, 0
    for row in board.rows:
        inside, bottom = _laid_out(row, top + 1, ids, runbook_panels)
        heading = {"id": number, "type": "row", "title": row.title, "collapsed": row.collapsed, "panels": []}
        heading["gridPos"] = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        found.append(heading | ({"panels": inside} if row.collapsed else {}))
        found += [] if row.collapsed else inside
        top = top + 1 if row.collapsed else bottom
        number += 1 + len(row.panels)
    return found


def _laid_out(row: Row, top: int, ids: Mapping[str, int], runbook_panels: Mapping[str, int]) -> tuple[list[Json], int]:
    """Place panels from left to right, and go on below the highest of a line."""
    placed, left, bottom = [], 0, top
    for panel in row.panels:
        if left + panel.width > _COLUMNS:
            left, top = 0, bottom
        grid = {"x": left, "y": top, "w": panel.width, "h": panel.height}
        placed.append({"id": ids[panel.title], "gridPos": grid} | _panel(panel, runbook_panels))
        left, bottom = left + panel.width, max(bottom, top + panel.height)
    return placed, bottom


def _panel(panel: Panel, runbook_panels: Mapping[str, int]) -> Json:
    if panel.kind == "text":
        return {"type": "text", "title": panel.title, "options": {"mode": "markdown", "content": panel.text}}
    described = panel.description + (f" Empty without: {panel.needs}." if panel.needs else "")
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": described,
        "datasource": _SOURCE,
        "targets": [_target(panel, number) for number in range(len(panel.queries))],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _options(panel),
        "links": [_runbook_link(alert, runbook_panels[alert]) for alert in panel.alerts],
        **({"transformations": [_without_columns()]} if panel.kind == "table" else {}),
    }


def _target(panel: Panel, number: int) -> Json:
    query = panel.queries[number]
    table = panel.kind == "table"
    return {
        "refId": _LETTERS[number],
        "datasource": _SOURCE,
        "expr": query.text,
        "legendFormat": query.legend,
        "exemplar": panel.exemplars,
        "instant": table or panel.kind == "bargauge",
        "range": not table and panel.kind != "bargauge",
        "format": "table" if table else "time_series",
    }


def _field(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.red_above is not None:
        steps.append({"color": "red", "value": panel.red_above})
    if panel.red_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.red_below}]
    field: Json = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        line = "line" if panel.red_above is not None or panel.red_below is not None else "off"
        field["custom"] = {
            "fillOpacity": 20 if panel.stacked else 5,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": line},
        }
        if panel.red_below is None:
            field["min"] = 0
    return field


def _options(panel: Panel) -> Json:
    if panel.kind == "timeseries":
        legend = {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.kind == "table":
        return {"showHeader": True}
    reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "bargauge":
        return {"reduceOptions": reduced, "orientation": "horizontal", "displayMode": "basic"}
    return {"reduceOptions": reduced, "colorMode": "value", "graphMode": "area", "textMode": "auto"}


def _without_columns() -> Json:
    return {"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True, "__name__": True}}}


def _runbook_link(alert: str, panel: int) -> Json:
    url = f"/d/rostra-runbooks?viewPanel={panel}"
    return _link("link", f"Runbook: {alert}", url=url, targetBlank=True)


def _link_to_others() -> Json:
    return _link("dashboards", "Rostra", tags=["rostra"], asDropdown=True, includeVars=True, keepTime=True)


def _link(kind: str, title: str, **more: Any) -> Json:
    flags = dict.fromkeys(("asDropdown", "includeVars", "keepTime", "targetBlank"), False)
    return {"type": kind, "title": title, "tags": [], "icon": "external link", "tooltip": "", **flags, **more}


def _variables() -> list[Json]:
    namespaces = "label_values(rostra_build_info, namespace)"
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        {
            "name": "namespace",
            "label": "Namespace",
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": namespaces, "refId": "namespaces"},
            "definition": namespaces,
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "current": {"text": ["All"], "value": ["$__all"]},
            "sort": 1,
        },
    ]


def release_query() -> str:
    """Return the query whose series are there for a few minutes after a version appears."""
    running = f"count by (namespace, job, version) (rostra_build_info{{{SELECTED}}})"
    before = f"count by (namespace, job, version) (rostra_build_info{{{SELECTED}}} offset 5m)"
    return f"{running} unless {before}"


def firing_query() -> str:
    """Return the query for what pages somebody."""
    return f'ALERTS{{alertname=~"Rostra.+", alertstate="firing", severity="page", {SELECTED}}}'


def _releases() -> Json:
    return _annotation("Releases", release_query(), color="blue", title="{{job}} {{version}}")


def _firing() -> Json:
    return _annotation("Pages", firing_query(), color="red", title="{{alertname}}")


def _annotation(name: str, query: str, *, color: str, title: str) -> Json:
    return {
        "name": name,
        "datasource": _SOURCE,
        "enable": True,
        "expr": query,
        "iconColor": color,
        "titleFormat": title,
        "step": "60s",
        "useValueForTime": False,
    }
