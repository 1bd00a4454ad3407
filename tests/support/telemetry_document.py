"""What docs/telemetry.md says: its tables, as data."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DOCUMENT = Path(__file__).parents[2] / "docs" / "telemetry.md"
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A metric, by the name that it is exposed by."""

    services: frozenset[str]
    kind: str
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class SpanRow:
    """Spans of one kind: the form of their name, where they are made, and what they may hold."""

    form: str
    services: frozenset[str]
    kind: str
    attributes: frozenset[str]


def documented_metrics(*, everywhere: frozenset[str]) -> dict[str, MetricRow]:
    """Return the metrics; those of every service are `everywhere`, or where their row says in parentheses."""
    found = {}
    for section, cells in _rows("## Metrics", width=5):
        names, kind, labels, _unit, tells = cells
        services = frozenset({section})
        if section == "Every service":
            told = re.search(r"\(((?:gateway|chat|history|user)(?:, \w+)*)\)$", tells)
            services = frozenset(told[1].split(", ")) if told else everywhere
        keys = re.sub(r":[^;]*", "", labels)  # the values of a label follow its colon
        for name in _CODE.findall(names):
            found[name] = MetricRow(services, kind, frozenset(_CODE.findall(keys)))
    return found


def documented_spans() -> list[SpanRow]:
    """Return the spans."""
    return [
        SpanRow(_CODE.findall(name)[0], frozenset(services.split(", ")), kind, frozenset(_CODE.findall(attributes)))
        for _, (name, services, kind, _parent, attributes) in _rows("## Traces", width=5)
    ]


def documented_lines() -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """Return for each message of the log who writes it, and the fields it may have."""
    return {
        _CODE.findall(message)[0]: (frozenset(services.split(", ")), frozenset(_CODE.findall(fields)))
        for _, (message, services, _level, fields) in _rows("## Logs", width=4)
    }


def _rows(chapter: str, *, width: int) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of a chapter's tables of that many columns, each with the heading of its section."""
    section, is_inside = "", False
    for line in _DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            is_inside = line == chapter
        elif line.startswith("### "):
            section = line.removeprefix("### ")
        elif is_inside and line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if len(cells) == width:
                yield section, cells
