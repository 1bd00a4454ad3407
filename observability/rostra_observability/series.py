"""What Prometheus found for a panel, as the lines that are drawn of it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Series:
    """What a series is called, its labels, and its values by time; those that are no numbers are left out."""

    name: str
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]

    @property
    def last(self) -> float:
        """Return the newest value."""
        return self.points[-1][1]

    @property
    def most(self) -> float:
        """Return the largest value."""
        return max(value for _, value in self.points)


def series_of(panel: Json, results: Sequence[Sequence[Json]]) -> list[Series]:
    """Return a panel's series.

    Args:
        panel: As Grafana gets it.
        results: What Prometheus' API answered to each of its queries, for an instant or for a range.
    """
    found = [
        Series(_name(target["legendFormat"], each["metric"]), each["metric"], points)
        for target, result in zip(panel["targets"], results, strict=True)
        for each in result
        if (points := _points(each))
    ]
    return sorted(found, key=lambda series: series.name) if len(panel["targets"]) == 1 else found


def _points(result: Json) -> list[tuple[float, float]]:
    values = result["values"] if "values" in result else [result["value"]]
    return [(float(time), number) for time, text in values if math.isfinite(number := float(text))]


def _name(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend).strip()
