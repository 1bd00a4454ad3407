"""Helm's own checks of the chart."""

import tarfile
from pathlib import Path

import helm_python
import pytest
import yaml

from support.chart import (
    CHART,
    NAMESPACE,
    least_values,
    loaded_chart,
    pod_templates,
    read_values,
    render,
    render_files,
    scenarios,
)


@pytest.mark.parametrize("kube_version", ["1.30.0", "1.37.0"])
def test_chart_passes_helm_lint(scenario: str, kube_version: str) -> None:
    values = read_values(scenarios()[scenario])
    result = helm_python.lint(str(CHART), values, strict=True, namespace=NAMESPACE, kube_version=kube_version)
    messages = [found for found in result["messages"] if "icon is recommended" not in str(found)]
    assert messages == []


def test_kubernetes_older_than_what_the_chart_uses_is_refused() -> None:
    # preStop.sleep, which needs no program in the image, is on by default from 1.30 on.
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == ">=1.30.0-0"


def test_images_that_are_announced_are_the_ones_that_run() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    announced = {each["image"] for each in yaml.safe_load(chart["annotations"]["artifacthub.io/images"])}
    pods = pod_templates(render(least_values())).values()
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == announced


def test_package_holds_the_chart_alone(tmp_path: Path) -> None:
    with loaded_chart() as chart, tarfile.open(chart.save(str(tmp_path))) as archive:
        names = {name.removeprefix("rostra/") for name in archive.getnames()}
    assert {"Chart.yaml", "values.yaml", "values.schema.json", "README.md", "UPGRADE.md", "files/api_test.py"} <= names
    assert {name.partition("/")[0] for name in names} <= {path.name for path in CHART.iterdir()} - {"ci"}
    assert "values.schema.yaml" not in names


def test_notes_say_what_to_do_next(scenario: str) -> None:
    notes = render_files(read_values(scenarios()[scenario]))["templates/NOTES.txt"]
    assert "helm -n rostra test rostra" in notes
    assert "<no value>" not in notes


def test_notes_warn_of_what_is_missing_or_open() -> None:
    notes = render_files(least_values(networkPolicy={"enabled": False}))["templates/NOTES.txt"]
    for word in ("no provider of models", "networkPolicy.enabled is false", "without TLS", "Nobody can register"):
        assert word in notes
    provided = least_values(provider={"baseUrl": "http://vllm:8000/v1"}, user={"settings": {"registration": "open"}})
    notes = render_files(provided)["templates/NOTES.txt"]
    assert "no provider" not in notes
    assert "Nobody can register" not in notes
