"""Draws figures as horizontal bars: an SVG that is legible on light and on dark pages."""

import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent.parent / "observability"))

from rostra_observability.svg import element, text

WIDTH, LABEL, NUMBER = 760, 110, 60
BAR, GAP, TITLE = 18, 6, 26
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#57606a}.bar{fill:#8c959f}.ours{fill:#1f6feb}"
    "@media (prefers-color-scheme:dark){text{fill:#9da7b1}.bar{fill:#6e7681}}"
)


def bars(title: str, groups: Mapping[str, Mapping[str, float]]) -> str:
    """Return the picture; the longest bar of each group fills its width, and the first bar is ours."""
    parts, y = [text(title, 0, 14, width=WIDTH, size=13)], float(TITLE)
    for name, figures in groups.items():
        y += TITLE / 2
        parts.append(text(name, LABEL, y, width=WIDTH))
        y += GAP
        for number, (system, figure) in enumerate(figures.items()):
            length = (WIDTH - LABEL - NUMBER) * figure / max(figures.values())
            middle = y + BAR - GAP + 1
            parts += [
                text(system, 0, middle, width=LABEL),
                element("rect", x=LABEL, y=y, width=length, height=BAR, rx=2, class_="bar" if number else "ours"),
                text(f"{figure:.3g}", LABEL + length + GAP, middle, width=NUMBER),
            ]
            y += BAR + GAP
        y += GAP
    inside = (element("style", _STYLE), *parts)
    return element("svg", *inside, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {y:g}", role="img") + "\n"
