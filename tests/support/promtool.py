"""Prometheus' own tools, where they are found, and cases of alerts as promtool's unit tests."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from rostra_observability.alerts import written_alerts
from rostra_observability.paths import CHART_RULES, SOURCES
from support.server_process import ServerNotFoundError, find_program

SERVICES = ("gateway", "chat", "history", "user")
# A healthy stack, beside what a case tells, so that only the case's own alerts can fire.
_NAMESPACE = "test"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What Prometheus read, and which alerts must fire at a time, and no others.

    Attributes:
        alert: The alert that the case is about.
        name: What it tells.
        series: promtool's `input_series`.
        at: When to look, from the beginning of the series.
        fires: Severities by alert.
        step: The time between two readings.
        bare: Whether the case has no healthy stack beside it.
        rules: The rule file that has the alert.
    """

    alert: str
    rules: str
    name: str
    series: Sequence[Mapping[str, str]]
    at: str
    fires: Mapping[str, str] = field(default_factory=dict)
    step: str = "1m"
    bare: bool = False

    def as_unit_test(self) -> dict[str, Any]:
        """Return the case as one of promtool's tests: which alerts fire, with every label that their text tells."""
        query = 'group by (alertname, severity) (ALERTS{alertstate="firing"})'
        expected = [
            {"labels": f'{{alertname="{alert}", severity="{severity}"}}', "value": 1}
            for alert, severity in self.fires.items()
        ]
        tests = [{"expr": query, "eval_time": self.at, "exp_samples": expected}]
        for alert in written_alerts():
            if self.fires.get(alert.name) == alert.severity:
                matchers = [f'alertname="{alert.name}"', *(f'{label}!=""' for label in alert.labels_told)]
                told = f"group by (alertname) (ALERTS{{{', '.join(matchers)}}})"
                sample = {"labels": f'{{alertname="{alert.name}"}}', "value": 1}
                tests.append({"expr": told, "eval_time": self.at, "exp_samples": [sample]})
        return {
            "name": f"{self.alert}: {self.name}",
            "interval": self.step,
            "input_series": [*self.series, *([] if self.bare else _healthy())],
            "promql_expr_test": tests,
        }


def promtool() -> Path:
    """Return promtool, or skip the test."""
    return monitoring_program("promtool")


def monitoring_program(*names: str) -> Path:
    """Return a program of one of these names, or skip the test."""
    try:
        return find_program(*names)
    except ServerNotFoundError as error:
        pytest.skip(f"no {error} is found here; hack/install-servers installs Prometheus' programs on Debian")


def check(*arguments: str | Path) -> None:
    """Run promtool, and fail with what it says."""
    run(promtool(), *arguments)


def run(program: Path, *arguments: str | Path) -> str:
    """Run a program to its end, fail with what it says, and return what it says."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{program.name} {arguments[0]}:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def written_cases() -> list[Case]:
    """Return the cases of observability/tests."""
    found = []
    for path in sorted((SOURCES / "tests").glob("*.yaml")):
        for alert, cases in yaml.safe_load(path.read_text()).items():
            found += [Case(alert=alert, rules=path.name, **case) for case in cases]
    return found


def assert_cases_hold(cases: Sequence[Case], folder: Path, *, with_all_rules: bool) -> None:
    """Evaluate rules over the series of each case: the file that has its alert, or all of them."""
    files = []
    for rules, step in dict.fromkeys((case.rules, case.step) for case in cases):
        content = {
            "rule_files": [str(CHART_RULES / ("*.yaml" if with_all_rules else rules))],
            "evaluation_interval": step,
            "tests": [case.as_unit_test() for case in cases if (case.rules, case.step) == (rules, step)],
        }
        files.append(folder / f"{step}-{rules}")
        files[-1].write_text(yaml.safe_dump(content))
    check("test", "rules", *files)


def _healthy() -> list[dict[str, str]]:
    found = []
    for service in SERVICES:
        labels = f'{{namespace="{_NAMESPACE}", job="{service}", pod="{service}-1"}}'
        found += [{"series": f"{name}{labels}", "values": "1x200"} for name in ("up", "rostra_build_info")]
    return found
