"""The pictures in what `make bench` writes: bars by system, with the range of the rounds, for light and dark pages."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_figures import TOO_NOISY, Figures
from bench_loads import BURST, MANY, PACED, PACED_MANY, STORED
from bench_report import OURS, Run, without_direct

sys.path.insert(0, str(Path(__file__).parents[2] / "observability"))
from rostra_observability.svg import Box, element, line, text

_COLUMNS, _PANEL_WIDTH, _MARGIN = 2, 440, 16
_TITLE, _BAR, _HEAD, _FOOT = 26, 22, 40, 24
_NAME, _VALUE = 120, 64
_LIGHT = (
    "text{font:11px Helvetica,Arial,sans-serif;fill:#1f2328}.dim{fill:#59636e}.end{text-anchor:end}"
    ".bold{font-weight:600}.page{fill:#fff}.bar{fill:#afb8c1}.ours{fill:#4a80c4}.range{stroke:#1f2328}"
)
_DARK = (
    "text{fill:#f0f6fc}.dim{fill:#9198a1}.page{fill:#0d1117}.bar{fill:#656c76}.ours{fill:#4a80c4}.range{stroke:#f0f6fc}"
)
_STYLE = f"{_LIGHT}@media(prefers-color-scheme:dark){{{_DARK}}}"


@dataclass(frozen=True)
class Panel:
    """Bars of one figure, of which less is better.

    Attributes:
        systems: What was measured of each, by name.
        figure: Which of it is drawn.
        timed: Whether it is a time, which is not drawn when others used too much of the machine.
    """

    title: str
    systems: Mapping[str, Figures]
    figure: str
    digits: int
    timed: bool = False

    @property
    def height(self) -> int:
        """Return the room that it needs."""
        return _TITLE + len(self.systems) * _BAR + _MARGIN


def pictures(run: Run) -> dict[str, str]:
    """Return the pictures as SVG, by their files' names."""
    results = run.results
    cpu = [
        Panel("CPU-seconds per 1,000 completions, 64 callers", without_direct(results[MANY]), "cpu_per_1000", 2),
        Panel("… per 1,000 stored responses, 16 callers", without_direct(results[STORED]), "cpu_per_1000", 2),
        Panel("… per 100,000 tokens of bursting streams", without_direct(results[BURST]), "cpu_per_100k_tokens", 1),
        Panel("… per 100,000 tokens of 100 paced streams", without_direct(results[PACED]), "cpu_per_100k_tokens", 1),
    ]
    paced = [
        Panel(f"{what} of {load.callers} streams, ms", results[load], figure, 1, timed=True)
        for what, figure in (("First byte, p99,", "first_p99"), ("Gap between tokens, p99,", "gap_p99"))
        for load in (PACED, PACED_MANY)
    ]
    return {
        "bench-cpu.svg": picture("What a request costs, in CPU time; less is better", cpu),
        "bench-paced.svg": picture("Streams with a token every 20 ms; less is better", paced),
    }


def picture(title: str, panels: Sequence[Panel]) -> str:
    """Return panels under a title, from left to right and from top to bottom."""
    drawn: list[str] = []
    top = _HEAD
    for row in (panels[first : first + _COLUMNS] for first in range(0, len(panels), _COLUMNS)):
        for column, panel in enumerate(row):
            x = _MARGIN + column * (_PANEL_WIDTH + _MARGIN)
            drawn += _panel(panel, Box(x, top, _PANEL_WIDTH, panel.height))
        top += max(panel.height for panel in row)
    width, height = _MARGIN + _COLUMNS * (_PANEL_WIDTH + _MARGIN), top + _FOOT
    content = [
        element("style", _STYLE),
        element("rect", class_="page", width=width, height=height),
        text(title, _MARGIN, 26, width=width, size=15, class_="bold"),
        *drawn,
        text("Bars are medians, the lines on them reach from the lowest round to the highest.", _MARGIN, height - 10,
             width=width, class_="dim"),
    ]  # fmt: skip
    root = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width} {height}", "width": width}
    return (
        element("svg", *(f"{each}\n" for each in content), **root, height=height, role="img", aria_label=title) + "\n"
    )


def _panel(panel: Panel, box: Box) -> Iterator[str]:
    yield text(panel.title, box.x, box.y + 16, width=box.width, class_="bold")
    shown = {name for name, figures in panel.systems.items() if not (panel.timed and figures.disturbed)}
    most = max((panel.systems[name].range(panel.figure)[1] for name in shown), default=0.0) or 1.0
    for number, (name, figures) in enumerate(panel.systems.items()):
        place = Box(box.x, box.y + _TITLE + number * _BAR, box.width, _BAR)
        bar = place._replace(x=box.x + _NAME, width=box.width - _NAME - _VALUE)
        yield text(name, place.x, place.y + 14, width=_NAME)
        if name not in shown:
            yield text(TOO_NOISY, bar.x, bar.y + 14, width=bar.width, class_="dim")
            continue
        yield from _bar(bar, "bar ours" if name == OURS else "bar", figures, panel.figure, most)
        value = f"{figures.middle(panel.figure):,.{panel.digits}f}"
        yield text(value, place.x + place.width, place.y + 14, width=_VALUE, class_="end")


def _bar(box: Box, kind: str, figures: Figures, figure: str, most: float) -> Iterator[str]:
    """Yield a bar up to the median, and a line from the lowest round to the highest."""
    scale, middle = box.width / most, box.y + box.height / 2
    long = max(1.0, scale * figures.middle(figure))
    yield element("rect", class_=kind, x=box.x, y=box.y + 3, width=long, height=box.height - 6)
    yield line([(box.x + scale * value, middle) for value in figures.range(figure)], class_="range")
