"""A dashboard as one SVG, drawn from what a Prometheus answered: for pages where no Grafana can be shown.

Panels stand where Grafana puts them. Annotations are not drawn; rows that are folded are unfolded.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rostra_observability.plot import Span, bars, plot, stat, table
from rostra_observability.series import series_of
from rostra_observability.svg import LETTER, Box, element, text

Json = dict[str, Any]
# By a panel's id: what each of its queries found.
Found = Mapping[int, Sequence[Sequence[Json]]]

_COLUMN, _ROW, _GAP = 50, 38, 8
_WIDTH = 24 * _COLUMN + _GAP
_HEAD, _FOOT = 58, 30
_TITLE = 26
# How much wider bold letters are.
_BOLD = 1.1
_TEXT_LINE = 16
_STYLE = (
    "text{font:11px Helvetica,Arial,sans-serif;fill:#24292e}.dim{fill:#6b7280}.end{text-anchor:end}"
    ".mid{text-anchor:middle}.bold{font-weight:600}"
)


def picture(dashboard: Json, found: Found, *, span: Span, caption: str) -> str:
    """Return a dashboard's picture.

    Args:
        dashboard: As Grafana gets it.
        found: What Prometheus answered to the queries of each panel that has some.
        span: From when to when, in seconds since 1970.
        caption: What the picture is of; it stands below.
    """
    placed = list(_unfolded(dashboard["panels"]))
    bottom = max(top + panel["gridPos"]["h"] for panel, top in placed)
    height = _HEAD + bottom * _ROW + _FOOT
    drawn = [
        _heading(panel, top) if panel["type"] == "row" else _panel(panel, top, found, span) for panel, top in placed
    ]
    content = [
        element("style", _STYLE),
        element("rect", width=_WIDTH, height=height, fill="#f4f5f5"),
        text(dashboard["title"], _GAP, 26, width=_WIDTH, size=18, class_="bold"),
        text(dashboard["description"], _GAP, 46, width=_WIDTH, class_="dim"),
        *drawn,
        text(caption, _GAP, height - 12, width=_WIDTH, class_="dim"),
    ]
    root = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {_WIDTH} {height}", "width": _WIDTH}
    return (
        element(
            "svg", *(f"{each}\n" for each in content), **root, height=height, role="img", aria_label=dashboard["title"]
        )
        + "\n"
    )


def _unfolded(panels: Sequence[Json]) -> Iterator[tuple[Json, int]]:
    """Yield every panel and row with its top; what was folded moves the rest down."""
    moved = 0
    for panel in panels:
        yield panel, panel["gridPos"]["y"] + moved
        inside = panel.get("panels", [])
        for each in inside:
            yield each, each["gridPos"]["y"] + moved
        top = panel["gridPos"]["y"] + 1
        moved += max((each["gridPos"]["y"] + each["gridPos"]["h"] for each in inside), default=top) - top


def _heading(row: Json, top: int) -> str:
    return text(row["title"], _GAP, _HEAD + top * _ROW + 26, width=_WIDTH, size=13, class_="bold row")


def _panel(panel: Json, top: int, found: Found, span: Span) -> str:
    place = panel["gridPos"]
    x, y = _GAP + place["x"] * _COLUMN, _HEAD + top * _ROW
    width, height = place["w"] * _COLUMN - _GAP, place["h"] * _ROW - _GAP
    frame = element("rect", width=width, height=height, rx=3, fill="#ffffff", stroke="#d8dade")
    size = min(12, int((width - 20) / (len(panel["title"]) * LETTER * _BOLD)))
    title = text(panel["title"], 10, 18, width=width, size=size, class_="bold")
    inside = _content(panel, Box(10, _TITLE, width - 20, height - _TITLE - 8), found.get(panel["id"], ()), span)
    return element("svg", frame, title, *inside, class_="panel", x=x, y=y, width=width, height=height)


def _content(panel: Json, box: Box, results: Sequence[Sequence[Json]], span: Span) -> list[str]:
    if panel["type"] == "text":
        return _written(panel["options"]["content"], box)
    series = series_of(panel, results)
    if not series:
        return _nothing(panel["description"], box)
    if panel["type"] == "table":
        return table(series, box)
    if panel["type"] == "bargauge":
        return bars(panel, series, box)
    return stat(panel, series, box, span) if panel["type"] == "stat" else plot(panel, series, box, span)


def _nothing(description: str, box: Box) -> list[str]:
    """Say that there is nothing, and what the panel needs, which its description ends with."""
    middle, height = box.x + box.width / 2, box.y + box.height / 2
    _, empty, needs = description.partition("Empty without: ")
    return [
        text("No data", middle, height, width=box.width, size=13, class_="dim mid"),
        text(empty + needs, middle, height + 18, width=box.width, class_="dim mid"),
    ]


def _written(markdown: str, box: Box) -> list[str]:
    """Return as much of a text as there is room for."""
    wide = int(box.width / 6.5)
    lines = [line for each in markdown.splitlines() for line in (textwrap.wrap(each, wide) or [""])]
    room = int(box.height / _TEXT_LINE)
    return [
        text(line, box.x, box.y + (number + 1) * _TEXT_LINE - 4, width=box.width)
        for number, line in enumerate(lines[:room])
    ]
