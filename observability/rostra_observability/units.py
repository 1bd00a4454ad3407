"""Numbers as a panel's unit writes them, and the round values that an axis is marked with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Step:
    """From `size` on a unit's numbers are written as multiples of it, before `suffix`."""

    size: float
    suffix: str


_SECOND = (
    _Step(86400, " d"),
    _Step(3600, " h"),
    _Step(60, " min"),
    _Step(1, " s"),
    _Step(1e-3, " ms"),
    _Step(1e-6, " µs"),
)
_BYTE = (_Step(2**30, " GiB"), _Step(2**20, " MiB"), _Step(2**10, " KiB"), _Step(1, " B"))


def _counted(suffix: str = "") -> tuple[_Step, ...]:
    return (_Step(1e9, f" G{suffix}"), _Step(1e6, f" M{suffix}"), _Step(1e3, f" k{suffix}"), _Step(1, f" {suffix}"))


# By Grafana's names; the largest step comes first.
_UNITS = {
    "short": _counted(),
    "reqps": _counted("req/s"),
    "cps": _counted("/s"),
    "ops": _counted("ops/s"),
    "s": _SECOND,
    "ms": tuple(_Step(step.size * 1000, step.suffix) for step in _SECOND),
    "percent": (_Step(1, " %"),),
    "percentunit": (_Step(0.01, " %"),),
    "bytes": _BYTE,
    "currencyUSD": _counted("USD"),
}


def readable(value: float, unit: str) -> str:
    """Return a number in its unit, with two or three digits that tell something."""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    step = _step(value, unit)
    return (_short(value / step.size) + step.suffix).rstrip()


def marks(low: float, high: float, unit: str, *, about: int = 4) -> Sequence[float]:
    """Return round values, evenly apart, of which the first is not above `low` and the last not below `high`."""
    size = _step(max(abs(low), abs(high)), unit).size
    apart = _round_up((high - low) / about / size) * size
    first, last = math.floor(low / apart + 1e-9), math.ceil(high / apart - 1e-9)
    return [number * apart for number in range(first, last + 1)]


def _step(value: float, unit: str) -> _Step:
    steps = _UNITS[unit]
    reached = [step for step in steps if abs(value) >= step.size]
    if reached:
        return reached[0]
    return steps[-1] if value else next(step for step in steps if step.size <= 1)


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 2.5, 5 and 10, times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= value * (1 - 1e-9))


def _short(value: float) -> str:
    size = math.floor(math.log10(abs(value))) if value else 0
    # Three digits, and below one at least two that are not zeros.
    decimals = min(6, max(0, 2 - max(size, 0), 1 - size))
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if decimals else text
    return "0" if text == "-0" else text
