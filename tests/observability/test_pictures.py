"""Every panel of every dashboard is drawn, whatever Prometheus found for it, and each stays in its place."""

import json
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from rostra_observability.paths import CHART_DASHBOARDS
from rostra_observability.picture import picture
from rostra_observability.plot import Span
from rostra_observability.svg import Box
from rostra_observability.units import marks, readable

Json = dict[str, Any]
SVG = "{http://www.w3.org/2000/svg}"
PATHS = sorted(CHART_DASHBOARDS.glob("*.json"))
SPAN = Span(1_700_000_000.0, 1_700_000_030.0, 1.0)
HOSTILE = '<svg onload="x">&amp; ' + "long " * 40
# Values as Prometheus has them: some of them are no numbers, one is missing, one is alone.
COURSES = (
    ["0"] * 31,
    ["NaN", "1.5", "NaN", "2e3", *["1234567.8"] * 20],
    ["+Inf", "-0.25", "0.000012", "-Inf"],
    ["NaN"] * 31,
)


def read(path: Path) -> Json:
    content: Json = json.loads(path.read_text())
    return content


def panels_of(dashboard: Json) -> list[Json]:
    return [panel for row in dashboard["panels"] for panel in (row, *row.get("panels", [])) if panel["type"] != "row"]


def answers(panel: Json, courses: tuple[list[str], ...]) -> list[list[Json]]:
    """Return what Prometheus might say to a panel's queries; every label has a hostile value."""
    labels = dict.fromkeys(("pod", "job", "model", "status", "namespace", "alertname"), HOSTILE)
    found: list[list[Json]] = []
    for target in panel.get("targets", ()):
        series = [[[SPAN.start + n, value] for n, value in enumerate(course)] for course in courses]
        inside = [{"value": values[-1]} if target["instant"] else {"values": values} for values in series]
        found.append([{"metric": labels} | each for each in inside])
    return found


def drawn(path: Path, courses: tuple[list[str], ...]) -> ET.Element:
    dashboard = read(path)
    found = {panel["id"]: answers(panel, courses) for panel in panels_of(dashboard)}
    text = picture(dashboard, found, span=SPAN, caption="Of a test.")
    return ET.fromstring(text)


def box_of(element: ET.Element) -> Box:
    return Box(*(float(element.get(key, "0")) for key in Box._fields))


def overlap(one: Box, other: Box) -> bool:
    across = one.x < other.x + other.width and other.x < one.x + one.width
    return across and one.y < other.y + other.height and other.y < one.y + one.height


def text_box(element: ET.Element) -> Box:
    """Return the room that a text takes, rather less than more."""
    style, name = element.get("style") or "", element.get("class") or ""
    size = float(style.partition("font-size:")[2].partition("px")[0] or 11)
    width = len(element.text or "") * size * 0.45
    shift = width if "end" in name else width / 2 if "mid" in name else 0
    return Box(float(element.get("x", "0")) - shift, float(element.get("y", "0")) - size * 0.7, width, size * 0.7)


@pytest.mark.parametrize(
    "courses", [COURSES, COURSES[:1], COURSES[3:], ()], ids=["many", "zeros", "no numbers", "none"]
)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_panel_is_drawn_in_its_place(path: Path, courses: tuple[list[str], ...]) -> None:
    root = drawn(path, courses)
    whole = Box(0, 0, float(root.get("width", "0")), float(root.get("height", "0")))
    panels = root.findall(f"{SVG}svg")
    expected = panels_of(read(path))
    assert len(panels) == len(expected)
    for panel, content in zip(panels, expected, strict=True):
        assert panel.findtext(f"{SVG}text") == content["title"]
        assert len(list(panel)) > 2
    boxes = [box_of(panel) for panel in panels]
    assert all(box.x + box.width <= whole.width and box.y + box.height <= whole.height for box in boxes)
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_texts_are_readable(path: Path) -> None:
    for panel in drawn(path, COURSES).findall(f"{SVG}svg"):
        texts = list(panel.iter(f"{SVG}text"))
        boxes = [text_box(text) for text in texts]
        inside = box_of(panel)
        assert all(box.x >= 0 and box.x + box.width <= inside.width for box in boxes), texts[0].text
        assert all(box.y >= 0 and box.y + box.height <= inside.height for box in boxes), texts[0].text
        assert not [(one, other) for one, other in combinations(boxes, 2) if overlap(one, other)], texts[0].text
        assert not {"nan", "inf"} & {word.lower() for text in texts for word in (text.text or "").split()}


def test_values_that_are_no_numbers_are_not_drawn() -> None:
    texts = [text.text for text in drawn(CHART_DASHBOARDS / "gateway.json", COURSES[3:]).iter(f"{SVG}text")]
    assert texts.count("No data") == sum(
        "targets" in panel for panel in panels_of(read(CHART_DASHBOARDS / "gateway.json"))
    )


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0 s"),
        (0.0123, "s", "12.3 ms"),
        (90, "s", "1.5 min"),
        (1500, "ms", "1.5 s"),
        (0.999, "percentunit", "99.9 %"),
        (12.5, "percent", "12.5 %"),
        (3 * 2**20, "bytes", "3 MiB"),
        (1234, "short", "1.23 k"),
        (-4, "short", "-4"),
        (0.00614, "short", "0.0061"),
        (0.5, "reqps", "0.5 req/s"),
        (2_000_000, "cps", "2 M/s"),
        (7, "ops", "7 ops/s"),
        (1.5, "currencyUSD", "1.5 USD"),
        (float("-inf"), "s", "-∞"),
    ],
)
def test_numbers_are_written_in_their_unit(value: float, unit: str, text: str) -> None:
    assert readable(value, unit) == text


@pytest.mark.parametrize(
    ("low", "high", "unit"), [(0, 0.0123, "s"), (0, 5e9, "bytes"), (-3, 17, "short"), (0.2, 0.9, "s")]
)
def test_an_axis_has_round_values_around_all_others(low: float, high: float, unit: str) -> None:
    values = marks(low, high, unit)
    assert values[0] <= low
    assert values[-1] >= high
    assert 3 <= len(values) <= 7
    apart = [after - before for before, after in pairwise(values)]
    assert apart == pytest.approx([apart[0]] * len(apart))
    assert all(len(readable(value, unit)) <= 9 for value in values)
