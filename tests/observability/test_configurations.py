"""What stands around Rostra's rules and dashboards is well formed, and hangs together."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rostra_observability.alerts import written_alerts
from rostra_observability.paths import CHART_DASHBOARDS, SOURCES
from rostra_stack.targets import TARGETS_FILE
from support.promtool import check, monitoring_program, run

ALERTMANAGER = SOURCES / "alertmanager/alertmanager.yaml"
COLLECTOR = SOURCES / "collector/config.yaml"
COMPOSE = SOURCES / "compose.yaml"
OTEL = [COLLECTOR, SOURCES / "compose/jaeger.yaml"]


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def test_alertmanager_takes_its_configuration() -> None:
    run(monitoring_program("amtool"), "check-config", ALERTMANAGER)


@pytest.mark.parametrize(("labels", "receiver"), [("severity=page", "pages"), ("severity=ticket", "tickets")])
def test_alerts_reach_whom_their_severity_means(labels: str, receiver: str) -> None:
    amtool = monitoring_program("amtool")
    options = ("--config.file", ALERTMANAGER, "alertname=RostraServiceDown", labels)
    assert run(amtool, "config", "routes", "test", *options).strip() == receiver
    assert {f"severity={alert.severity}" for alert in written_alerts()} == {"severity=page", "severity=ticket"}


def test_alerts_that_inhibit_and_are_inhibited_exist() -> None:
    names = {alert.name for alert in written_alerts()}
    for rule in read(ALERTMANAGER)["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            if found := re.fullmatch(r'alertname(=~?)"(.*)"', matcher):
                assert [name for name in names if re.fullmatch(found[2], name)], matcher
                for part in re.findall(r"\((.*)\)", found[2]):
                    assert {f"Rostra{each}" for each in part.split("|")} <= names


def test_no_configuration_holds_a_secret() -> None:
    secret = re.compile(r"(?<![a-zA-Z])(password|secret|token|routing_key|api_url): *\S")
    folders = ("alertmanager", "collector", "compose", "values")
    for path in [COMPOSE, *(path for folder in folders for path in (SOURCES / folder).rglob("*.yaml"))]:
        lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
        assert not [line for line in lines if secret.search(line) and "_file" not in line], path


def test_prometheus_takes_the_configuration_of_compose(tmp_path: Path) -> None:
    text = (SOURCES / "compose/prometheus.yaml").read_text()
    # The tools of Debian's release are older than the image, and know no `scrape_protocols`.
    kept = re.sub(r"^\s+scrape_protocols:.*$", "", text, flags=re.MULTILINE).replace("/etc/prometheus/rules/*.yaml", "")
    (tmp_path / "prometheus.yaml").write_text(kept.replace("rule_files: []", ""))
    check("check", "config", "--syntax-only", tmp_path / "prometheus.yaml")


@pytest.mark.parametrize("path", OTEL, ids=lambda path: path.stem)
def test_pipelines_are_made_of_what_is_configured(path: Path) -> None:
    content = read(path)
    for pipeline in content["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) == set(content[kind])
    assert set(content["service"]["extensions"]) == set(content["extensions"])


def test_the_collector_takes_its_configuration() -> None:
    run(monitoring_program("otelcol-contrib", "otelcol"), "validate", f"--config={COLLECTOR}")


def test_the_collector_keeps_errors_and_slow_requests() -> None:
    policies = {policy["type"] for policy in read(COLLECTOR)["processors"]["tail_sampling"]["policies"]}
    assert policies >= {"status_code", "latency", "ottl_condition", "probabilistic"}


def test_what_compose_mounts_exists() -> None:
    for name, service in read(COMPOSE)["services"].items():
        for volume in service["volumes"]:
            if isinstance(volume, str) and volume.startswith("."):
                source = volume.partition(":")[0]
                assert (SOURCES / source).exists(), f"{name}: {source}"
    assert (CHART_DASHBOARDS / "overview.json").exists()


def test_compose_shows_prometheus_the_targets_and_nothing_else_of_the_stacks_data() -> None:
    mounts = [volume for volume in read(COMPOSE)["services"]["prometheus"]["volumes"] if isinstance(volume, dict)]
    [job] = read(SOURCES / "compose/prometheus.yaml")["scrape_configs"]
    assert [mount["target"] for mount in mounts] == job["file_sd_configs"][0]["files"]
    assert [mount["source"].rpartition("/")[2] for mount in mounts] == [TARGETS_FILE]


def test_images_have_versions() -> None:
    images = [service["image"] for service in read(COMPOSE)["services"].values()]
    assert all(re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", image) for image in images)


def test_grafana_knows_the_data_source_that_exemplars_lead_to() -> None:
    sources = {each["uid"]: each for each in read(SOURCES / "compose/grafana/datasources.yaml")["datasources"]}
    [destination] = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert destination["datasourceUid"] in sources
    values = read(SOURCES / "values/kube-prometheus-stack.yaml")["grafana"]
    [jaeger] = values["additionalDataSources"]
    assert values["sidecar"]["datasources"]["exemplarTraceIdDestinations"]["datasourceUid"] == jaeger["uid"]
