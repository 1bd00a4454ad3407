"""The queries of dashboards, rules and runbooks, and the series that they may name."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from rostra_observability.alerts import recorded_names, rule_queries
from rostra_observability.dashboards import boards
from rostra_observability.grafana import firing_query, release_query
from rostra_observability.paths import EXPORTERS_FILE, RUNBOOKS, TELEMETRY_PAGE
from rostra_observability.slo import read_promises

_WORDS = {"and", "or", "unless", "on", "by", "ignoring", "without", "group_left", "group_right", "offset", "bool"}
_SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "": ("",)}


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A query, where it stands, and why it may find nothing."""

    place: str
    text: str
    legend: str = ""
    needs: str = ""

    @property
    def series(self) -> set[str]:
        """Return the names of the series that it reads."""
        bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", self.text)
        bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
        bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
        names = re.findall(r"(?<![\w.:])[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)
        return set(names) - _WORDS

    @property
    def legend_labels(self) -> set[str]:
        """Return the labels that the legend shows."""
        return set(re.findall(r"\{\{(\w+)\}\}", self.legend))


def dashboard_queries(*, interval: str = "5m") -> list[NamedQuery]:
    """Return the queries of every panel and annotation, with the variables that Grafana would fill in."""
    found = [
        NamedQuery(f"{board.name}: {panel.title}", filled(query.text, interval), query.legend, panel.needs)
        for board in boards(read_promises())
        for panel in board.panels
        for query in panel.queries
    ]
    pages = NamedQuery("annotation: Pages", filled(firing_query(), interval), needs="a page")
    return [*found, NamedQuery("annotation: Releases", filled(release_query(), interval)), pages]


def filled(query: str, interval: str) -> str:
    """Return a dashboard's query with the variables that Grafana would fill in."""
    return query.replace("$__rate_interval", interval).replace("$namespace", ".+")


def runbook_queries() -> list[NamedQuery]:
    """Return the queries of the runbooks: their first looks, and those among the steps."""
    found = []
    for path in sorted(RUNBOOKS.glob("*.md")):
        text = path.read_text()
        fenced = re.findall(r"```promql\n(.*?)\n```", text, flags=re.DOTALL)
        inline = [code for code in re.findall(r"`([^`\n]+)`", text) if re.search(r"\w\((?:\w|\()*\w+\{|\[\d+m\]", code)]
        needs = "the trouble that it is about"
        found += [NamedQuery(f"runbook: {path.stem}", query, needs=needs) for query in (*fenced, *inline)]
    return found


def alert_and_record_queries() -> list[NamedQuery]:
    """Return the query of each rule."""
    return [NamedQuery(f"rule: {name}", query) for name, query in rule_queries().items()]


def as_rule_file(path: Path, queries: Iterable[NamedQuery]) -> Path:
    """Write queries as recording rules, so that promtool parses each."""
    rules = [{"record": "parsed", "expr": query.text, "labels": {"n": str(n)}} for n, query in enumerate(queries)]
    path.write_text(json.dumps({"groups": [{"name": "parsed", "rules": rules}]}))
    return path


def own_series() -> set[str]:
    """Return the names of all series that docs/telemetry.md tells of."""
    found = set()
    metrics = TELEMETRY_PAGE.read_text().partition("\n## Metrics\n")[2].partition("\n## ")[0]
    for line in metrics.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if line.startswith("| `") and len(cells) > 3:
            suffixes = _SUFFIXES["histogram" if cells[2] == "histogram" else ""]
            found |= {name + suffix for name in re.findall(r"`([a-z_]+)`", cells[1]) for suffix in suffixes}
    return found


def series_of_others() -> set[str]:
    """Return the names of series that other exporters have."""
    content: dict[str, list[str]] = yaml.safe_load(EXPORTERS_FILE.read_text())
    return {name for names in content.values() for name in names}


def known_series() -> set[str]:
    """Return every name that a query may use."""
    return own_series() | series_of_others() | recorded_names()
