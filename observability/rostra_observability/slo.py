"""The objectives of slo.yaml, and the rules that watch over them."""

from dataclasses import dataclass
from typing import Any

import yaml

from rostra_observability.paths import SLO_FILE

Rule = dict[str, Any]

# The windows of alerts are made of such steps.
STEP = "5m"
EVENTS = f"namespace:rostra_slo_events:rate{STEP}"
BAD = f"namespace:rostra_slo_bad:rate{STEP}"
BUDGET_LEFT = "namespace:rostra_slo_budget_left:ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """One objective: the share of bad events, which are `bad`, or what `good` leaves of `total`, is to stay small."""

    name: str
    alert: str
    title: str
    objective: float
    promise: str
    total: str
    least: int
    dashboard: str
    bad: str = ""
    good: str = ""

    @property
    def budget(self) -> float:
        """Return the share of events that may be bad."""
        return round(1 - self.objective / 100, 6)

    def series(self, record: str) -> str:
        """Return a record's series of this objective."""
        return f'{record}{{slo="{self.name}"}}'

    def bad_rate(self) -> str:
        """Return the query for bad events per second."""
        total = f"sum by (namespace) (rate({self.total}[{STEP}]))"
        if self.good:
            return f"{total} - sum by (namespace) (rate({self.good}[{STEP}]))"
        # Before the first bad event there is no such series.
        return f"sum by (namespace) (rate({self.bad}[{STEP}])) or 0 * {total}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """How fast the budget may be used in two windows before somebody is told."""

    severity: str
    rate: float
    long: str
    short: str
    wait: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """All of slo.yaml."""

    window_days: int
    slos: tuple[Slo, ...]
    burns: tuple[Burn, ...]

    @property
    def windows(self) -> list[str]:
        """Return each window that is looked at, and the objectives' own, once."""
        found = [window for burn in self.burns for window in (burn.short, burn.long)]
        return list(dict.fromkeys([*found, f"{self.window_days}d"]))


def read_promises() -> Promises:
    """Read slo.yaml."""
    content = yaml.safe_load(SLO_FILE.read_text())
    burns = tuple(Burn(wait=burn.pop("for"), **burn) for burn in content["burns"])
    return Promises(
        window_days=content["window_days"], slos=tuple(Slo(**each) for each in content["slos"]), burns=burns
    )


def slo_groups(promises: Promises) -> list[Rule]:
    """Return the rule groups of all objectives."""
    records = [record for slo in promises.slos for record in _records(slo, promises)]
    alerts = [_alert(slo, burn, promises.window_days) for slo in promises.slos for burn in promises.burns]
    return [{"name": "rostra-slo-records", "rules": records}, {"name": "rostra-slo-alerts", "rules": alerts}]


def ratio(window: str) -> str:
    """Return the name under which the share of bad events in a window is recorded."""
    return f"namespace:rostra_slo_bad:ratio_{window}"


def _records(slo: Slo, promises: Promises) -> list[Rule]:
    labels = {"slo": slo.name}
    # Windows are sums of these two: over raw counters, a month would be more samples than Prometheus lets a query read.
    rules = [(EVENTS, f"sum by (namespace) (rate({slo.total}[{STEP}]))"), (BAD, slo.bad_rate())]
    for window in promises.windows:
        bad, events = (f"sum_over_time({slo.series(record)}[{window}])" for record in (BAD, EVENTS))
        rules.append((ratio(window), f"{bad} / {events}"))
    left = f"1 - {slo.series(ratio(f'{promises.window_days}d'))} / {slo.budget:g}"
    rules.append((BUDGET_LEFT, left))
    return [{"record": name, "expr": query, "labels": labels} for name, query in rules]


def _alert(slo: Slo, burn: Burn, window_days: int) -> Rule:
    threshold = f"{burn.rate:g} * {slo.budget:g}"
    long, short = (slo.series(ratio(window)) for window in (burn.long, burn.short))
    events = f"avg_over_time({slo.series(EVENTS)}[{burn.long}]) * {_seconds(burn.long)}"
    lasts = window_days / burn.rate
    return {
        "alert": slo.alert,
        "expr": f"{long} > {threshold}\nand {short} > {threshold}\nand {events} >= {slo.least}\n",
        "for": burn.wait,
        "labels": {"severity": burn.severity, "service": slo.dashboard, "window": burn.long},
        "annotations": {
            "summary": f"{slo.title}: at this rate the error budget lasts {lasts:.3g} days.",
            "description": f"{{{{ $value | humanizePercentage }}}} of the events of the last {burn.long} were bad; "
            f"the objective allows {slo.budget:.3%}. {slo.promise}",
        },
    }


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * {"m": 60, "h": 3600, "d": 86400}[duration[-1]]
