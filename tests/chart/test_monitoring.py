"""Rules and dashboards are files of the chart: each becomes an object, word by word."""

import shutil
from pathlib import Path

import helm_python
import pytest
import yaml

from support.chart import CHART, Manifest, least_values, of_kind, render
from support.foreign_schemas import foreign_errors

_RULE = """groups:
  - name: rostra
    rules:
      - alert: RostraTest
        expr: up == 0
        annotations: {summary: "{{ $labels.pod }} of {{ .Release }} is away"}
"""
_DASHBOARD = '{"title": "{{ instance }}"}\n'


def render_with_files(folder: Path, monitoring: dict[str, object]) -> list[Manifest]:
    """Render a copy of the chart that has a rule and a dashboard."""
    chart = shutil.copytree(CHART, folder / "rostra")
    (chart / "files/rules/first.yaml").write_text(_RULE)
    (chart / "files/dashboards/overview.json").write_text(_DASHBOARD)
    with helm_python.Chart.load(str(chart)) as loaded:
        files = loaded.render(least_values(monitoring=monitoring), name="rostra", namespace="rostra")
    texts = (text for path, text in files.items() if path.endswith(".yaml"))
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


@pytest.mark.parametrize("labels", [{}, {"release": "prometheus"}])
def test_each_file_of_rules_becomes_an_object(tmp_path: Path, labels: dict[str, str]) -> None:
    manifests = render_with_files(tmp_path, {"rules": {"enabled": True, "labels": labels}})
    rule = next(each for each in of_kind(manifests, "PrometheusRule") if each["metadata"]["name"] == "rostra-first")
    assert rule["spec"] == yaml.safe_load(_RULE)
    assert foreign_errors(rule) == ""
    assert labels.items() <= rule["metadata"]["labels"].items()


def test_runbooks_are_found_where_the_values_say() -> None:
    url = "https://git.example.com/rostra/blob/main/"
    rules = of_kind(render(least_values(monitoring={"rules": {"enabled": True, "runbookUrl": url}})), "PrometheusRule")
    found = [rule for each in rules for group in each["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(found) > 50
    expected = {f"{url}observability/runbooks/{rule['alert']}.md" for rule in found}
    assert {rule["annotations"]["runbook_url"] for rule in found} == expected


def test_each_dashboard_becomes_a_config_map_that_grafana_finds(tmp_path: Path) -> None:
    manifests = render_with_files(tmp_path, {"dashboards": {"enabled": True}})
    name = "rostra-dashboard-overview"
    dashboard = next(each for each in of_kind(manifests, "ConfigMap") if each["metadata"]["name"] == name)
    assert dashboard["data"] == {"overview.json": _DASHBOARD}
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_nothing_of_monitoring_is_made_unless_wanted() -> None:
    assert of_kind(render(least_values()), "PrometheusRule", "ServiceMonitor", "ConfigMap") == []
