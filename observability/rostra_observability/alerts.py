"""The alerts as the chart has them."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from rostra_observability.paths import CHART_RULES


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alerting rule; a page and a ticket of one name are two."""

    name: str
    severity: str
    service: str
    expr: str
    summary: str
    description: str
    runbook: str
    dashboard: str

    @property
    def labels_told(self) -> list[str]:
        """Return the labels that its texts tell."""
        found = re.findall(r"\$labels\.(\w+)", f"{self.summary} {self.description}")
        return list(dict.fromkeys(found))


def written_alerts() -> list[Alert]:
    """Return every alert of the rule files."""
    return [_alert(rule) for rule in _rules() if "alert" in rule]


def recorded_names() -> set[str]:
    """Return the names that recording rules give."""
    return {rule["record"] for rule in _rules() if "record" in rule}


def rule_queries() -> dict[str, str]:
    """Return the query of each rule, by what it is called; of rules with the same name each has a number."""
    found: dict[str, str] = {}
    for number, rule in enumerate(_rules()):
        found[f"{rule.get('alert') or rule.get('record')} #{number}"] = rule["expr"]
    return found


@cache
def _rules() -> list[dict[str, Any]]:
    files = [yaml.safe_load(path.read_text()) for path in sorted(CHART_RULES.glob("*.yaml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def _alert(rule: dict[str, Any]) -> Alert:
    labels, annotations = rule["labels"], rule["annotations"]
    return Alert(
        name=rule["alert"],
        severity=labels["severity"],
        service=labels["service"],
        expr=rule["expr"],
        summary=annotations["summary"],
        description=annotations["description"],
        runbook=annotations["runbook_url"],
        dashboard=annotations["dashboard"],
    )
