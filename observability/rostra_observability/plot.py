"""What is inside a panel: lines over time with their legend, single values, bars, tables."""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from rostra_observability.series import Series
from rostra_observability.svg import Box, Point, area, element, line, text
from rostra_observability.units import marks, readable

Json = dict[str, Any]

_COLOURS = ("#3d9f4b", "#d9a514", "#4a80c4", "#e0752d", "#c4463d", "#8a5fb5", "#2aa198", "#b5528b")
_STEPS = {"green": "#2f8f3f", "red": "#c4162a"}
_AXIS, _CLOCK = 68, 18
_LEGEND_LINE, _LEGEND_SHARE = 15, 0.45
_NUMBER = 64
_TABLE_LINE = 22
_LABELS_OF_NO_USE = ("__name__", "instance")
# Values further apart than this many steps are not joined.
_HOLE_STEPS = 1.5


class Span(NamedTuple):
    """From when to when, in seconds since 1970, and how far apart values are."""

    start: float
    end: float
    step: float


class _Scale(NamedTuple):
    """Where a moment and a value are drawn, and down to where areas reach."""

    x: Callable[[float], float]
    y: Callable[[float], float]
    floor: float


def plot(panel: Json, series: Sequence[Series], box: Box, span: Span) -> list[str]:
    """Return lines over time, with axes and a legend."""
    legend_lines = min(len(series), int(box.height * _LEGEND_SHARE / _LEGEND_LINE) - 1)
    under = (legend_lines + 1) * _LEGEND_LINE
    inner = Box(box.x + _AXIS, box.y + 6, box.width - _AXIS, box.height - 6 - _CLOCK - under)
    field = panel["fieldConfig"]["defaults"]
    stacked = field["custom"]["stacking"]["mode"] == "normal"
    layers = _stacked(series) if stacked else [each.points for each in series]
    values = marks(*_extent(layers, field), field["unit"])
    scale = _scale(inner, span, values[0], values[-1])
    drawn = _axes(values, field["unit"], inner, span, scale)
    drawn += _thresholds(field, values, inner, scale)
    for number, layer in enumerate(layers):
        drawn += _layer(layer, _colour(number), scale, span, field["custom"]["fillOpacity"] / 100)
    below = Box(box.x, inner.y + inner.height + _CLOCK, box.width, under)
    return drawn + _legend(series, legend_lines, field["unit"], below)


def stat(panel: Json, series: Sequence[Series], box: Box, span: Span) -> list[str]:
    """Return the newest values, large, each with its course behind it."""
    field = panel["fieldConfig"]["defaults"]
    width, drawn = box.width / len(series), []
    for number, each in enumerate(series):
        part = Box(box.x + number * width, box.y, width - 4, box.height)
        colour = _threshold_colour(field["thresholds"]["steps"], each.last)
        low, high = min(value for _, value in each.points), each.most
        course = Box(part.x, part.y + part.height * 0.65, part.width, part.height * 0.35)
        scale = _scale(course, span, low, high if high > low else low + 1)
        middle = part.x + part.width / 2
        drawn += _layer(each.points, colour, scale, span, 0.15)
        drawn.append(
            text(
                readable(each.last, field["unit"]), middle, part.y + part.height * 0.45, width=part.width, size=30,
                fill=colour, class_="mid bold",
            )
        )  # fmt: skip
        drawn.append(text(each.name, middle, part.y + part.height * 0.6, width=part.width, class_="dim mid"))
    return drawn


def bars(panel: Json, series: Sequence[Series], box: Box) -> list[str]:
    """Return a bar for each newest value."""
    field = panel["fieldConfig"]["defaults"]
    most = max(each.last for each in series) or 1.0
    height = min(28.0, box.height / len(series))
    drawn, middle = [], box.x + box.width * 0.35
    for number, each in enumerate(series):
        y = box.y + number * height
        long = max(1.0, box.width * 0.45 * each.last / most)
        colour = _threshold_colour(field["thresholds"]["steps"], each.last)
        drawn.append(text(each.name, box.x, y + height * 0.65, width=box.width * 0.33))
        drawn.append(element("rect", x=middle, y=y + 3, width=long, height=height - 6, fill=colour, opacity=0.7))
        value = readable(each.last, field["unit"])
        drawn.append(text(value, box.x + box.width, y + height * 0.65, width=box.width * 0.18, class_="end"))
    return drawn


def table(series: Sequence[Series], box: Box) -> list[str]:
    """Return the labels of each series, a line for each, as many as there is room for."""
    labels = sorted({label for each in series for label in each.labels} - set(_LABELS_OF_NO_USE))
    width = box.width / max(1, len(labels))
    rows = [{label: label for label in labels}, *(each.labels for each in series)][: int(box.height / _TABLE_LINE)]
    return [
        text(
            row.get(label, ""), box.x + column * width, box.y + number * _TABLE_LINE + 14, width=width - 8,
            class_="" if number else "bold",
        )
        for number, row in enumerate(rows)
        for column, label in enumerate(labels)
    ]  # fmt: skip


def _stacked(series: Sequence[Series]) -> list[Sequence[Point]]:
    """Put each series upon those before it."""
    height: dict[float, float] = {}
    layers: list[Sequence[Point]] = []
    for each in series:
        height |= {moment: height.get(moment, 0.0) + value for moment, value in each.points}
        layers.append([(moment, height[moment]) for moment, _ in each.points])
    return layers


def _extent(layers: Sequence[Sequence[Point]], field: Json) -> tuple[float, float]:
    values = [value for layer in layers for _, value in layer]
    low = min([*values, 0.0]) if field.get("min") == 0 else min(values)
    high = max(values)
    return (low, high) if high > low else (low, low + (abs(low) or 1.0))


def _scale(box: Box, span: Span, low: float, high: float) -> _Scale:
    return _Scale(
        lambda moment: box.x + box.width * (moment - span.start) / (span.end - span.start),
        lambda value: box.y + box.height * (1 - (value - low) / (high - low)),
        box.y + box.height,
    )


def _axes(values: Sequence[float], unit: str, box: Box, span: Span, scale: _Scale) -> list[str]:
    drawn, right = [], box.x + box.width
    for value in values:
        y = scale.y(value)
        drawn.append(line([(box.x, y), (right, y)], stroke="#e5e7eb"))
        drawn.append(text(readable(value, unit), box.x - 6, y + 4, width=_AXIS - 6, class_="dim end"))
    for share in (0.15, 0.5, 0.85):
        moment = round(span.start + share * (span.end - span.start))
        clock = time.strftime("%H:%M:%S", time.gmtime(moment))
        drawn.append(text(clock, scale.x(moment), box.y + box.height + 14, width=80, class_="dim mid"))
    return drawn


def _thresholds(field: Json, values: Sequence[float], box: Box, scale: _Scale) -> list[str]:
    if field["custom"]["thresholdsStyle"]["mode"] == "off":
        return []
    borders = [step["value"] for step in field["thresholds"]["steps"] if step["value"] is not None]
    return [
        line([(box.x, y), (box.x + box.width, y)], stroke=_STEPS["red"], stroke_dasharray="4 3")
        for y in (scale.y(border) for border in borders if values[0] <= border <= values[-1])
    ]


def _layer(points: Sequence[Point], colour: str, scale: _Scale, span: Span, opacity: float) -> list[str]:
    drawn = []
    for piece in _pieces(points, span):
        corners = [(scale.x(moment), scale.y(value)) for moment, value in piece]
        if len(corners) == 1:
            drawn.append(element("circle", cx=corners[0][0], cy=corners[0][1], r=1.5, fill=colour))
            continue
        ends = [(corners[-1][0], scale.floor), (corners[0][0], scale.floor)]
        drawn.append(area([*corners, *ends], fill=colour, opacity=opacity))
        drawn.append(line(corners, stroke=colour, stroke_width=1.5))
    return drawn


def _pieces(points: Sequence[Point], span: Span) -> list[list[Point]]:
    """Cut a line where values are missing."""
    pieces = [[points[0]]]
    for before, point in pairwise(points):
        if point[0] - before[0] > _HOLE_STEPS * span.step:
            pieces.append([])
        pieces[-1].append(point)
    return pieces


def _legend(series: Sequence[Series], room: int, unit: str, box: Box) -> list[str]:
    """Name the series; of too many the largest."""
    right = box.x + box.width
    heads = (("Last", right - _NUMBER - 8), ("Max", right))
    drawn = [text(head, x, box.y + 11, width=_NUMBER, class_="dim end") for head, x in heads]
    more = len(series) - room
    if more > 0:
        drawn.append(text(f"and {more} more", box.x, box.y + 11, width=120, class_="dim"))
    largest = sorted(range(len(series)), key=lambda number: -series[number].most)[:room]
    for place, number in enumerate(sorted(largest), 1):
        each, y = series[number], box.y + place * _LEGEND_LINE + 11
        drawn.append(element("rect", x=box.x, y=y - 5, width=12, height=3, fill=_colour(number)))
        drawn.append(text(each.name, box.x + 18, y, width=box.width - 2 * _NUMBER - 34))
        for value, (_, x) in zip((each.last, each.most), heads, strict=True):
            drawn.append(text(readable(value, unit), x, y, width=_NUMBER, class_="end"))
    return drawn


def _threshold_colour(steps: Sequence[Json], value: float) -> str:
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return _STEPS[reached[-1]]


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]
