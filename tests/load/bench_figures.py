"""What `make bench` measured, and when two figures may be compared.

A ratio is given only when several rounds agree on it: the lowest and the highest are within a fifth of the middle one.
Times are compared only when, besides, nobody else used more than a tenth of the machine: in none of the rounds for a
ratio, in most of them for a difference, which is one of medians.
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench_loads import Load

MOST_FOREIGN_SHARE = 0.1
MOST_DISAGREEMENT = 0.2
TOO_NOISY = "too noisy"


@dataclass
class Figures:
    """What was measured of one system under one load, by rounds."""

    rounds: list[dict[str, float]] = field(default_factory=list)

    def middle(self, name: str) -> float:
        """Return the median of the rounds."""
        return statistics.median(each[name] for each in self.rounds)

    @property
    def disturbed(self) -> bool:
        """Return whether, in most rounds, others used so much of the machine that medians of times say little."""
        return self.middle("foreign") > MOST_FOREIGN_SHARE

    def range(self, name: str) -> tuple[float, float]:
        """Return the lowest and the highest of the rounds."""
        values = [each[name] for each in self.rounds]
        return min(values), max(values)

    def spread(self, name: str) -> float:
        """Return how far a round is from the median at most."""
        middle = self.middle(name)
        return max(abs(each - middle) for each in self.range(name))


# By a system's name.
Results = Mapping[Load, Mapping[str, Figures]]
# By a system's name, then by a process's, in MiB.
Resident = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Memory:
    """What systems had in use before the first load, at the most when a load ended, and some time after the last."""

    idle: Resident
    loaded: Resident
    after: Resident


def largest(*moments: Mapping[str, float]) -> dict[str, float]:
    """Return the largest that each process had in use at any of several moments."""
    return {name: max(each.get(name, 0.0) for each in moments) for moment in moments for name in moment}


def ratio(of: Figures, to: Figures, name: str, *, timed: bool = False) -> str:
    """Return how many times `of` is `to`, or that the rounds do not agree."""
    ratios = [one[name] / other[name] for one, other in zip(of.rounds, to.rounds, strict=True)]
    middle = statistics.median(ratios)
    agreed = len(ratios) > 1 and max(middle - min(ratios), max(ratios) - middle) <= MOST_DISAGREEMENT * middle
    foreign = max(figures.range("foreign")[1] for figures in (of, to))
    if not agreed or (timed and foreign > MOST_FOREIGN_SHARE):
        return TOO_NOISY
    return f"{middle:.1f}"


def added(to: Figures, of: Figures, *names: str) -> str:
    """Return by how much a system's times are above those of the provider asked directly."""
    if of.disturbed or to.disturbed:
        return TOO_NOISY
    return " / ".join(f"{of.middle(name) - to.middle(name):+.1f}" for name in names)
