"""Kubernetes would take what the chart makes: strict schemas of every supported version, and whole references."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml

from support.chart import (
    Manifest,
    component_of,
    name_of,
    of_kind,
    pod_templates,
    read_values,
    render_scenario,
    scenarios,
)
from support.foreign_schemas import custom_kinds, foreign_errors, foreign_schema

_FIRST = 30
_VERSIONS = [f"1.{minor}" for minor in range(_FIRST, int(kubernetes_validate.latest_version().split(".")[1]) + 1)]
# Its operator publishes no schema as a Go module; see test_secret_provider_classes_have_what_the_driver_reads.
_UNPUBLISHED = ("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass")


@cache
def _errors(content: str, version: str) -> str:
    """Return what is wrong with an object; the same object of several scenarios is looked at once."""
    try:
        kubernetes_validate.validate(json.loads(content), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("version", _VERSIONS)
def test_objects_fit_the_strict_schema(scenario: str, version: str) -> None:
    builtin = [each for each in render_scenario(scenario) if not _is_custom(each)]
    errors = {name_of(each): _errors(json.dumps(each, sort_keys=True), version) for each in builtin}
    assert {name: error for name, error in errors.items() if error} == {}


def test_versions_reach_from_the_first_supported_one_to_a_recent_one() -> None:
    assert _VERSIONS[0] == "1.30"
    assert len(_VERSIONS) >= 8


def test_strict_schema_finds_a_misspelt_key() -> None:
    deployment = json.loads(json.dumps(of_kind(render_scenario("least"), "Deployment")[0]))
    deployment["spec"]["template"]["spec"]["terminationGracePeriod"] = 3
    assert "terminationGracePeriod" in _errors(json.dumps(deployment), "1.33")


def test_custom_objects_fit_the_schema_of_their_operator(scenario: str) -> None:
    custom = [each for each in render_scenario(scenario) if foreign_schema(each)]
    errors = {name_of(each): foreign_errors(each) for each in custom}
    assert {name: error for name, error in errors.items() if error} == {}


@pytest.mark.parametrize(("api_version", "kind"), sorted(custom_kinds()))
def test_schema_of_an_operator_finds_a_misspelt_key(api_version: str, kind: str) -> None:
    broken = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": {"misspelt": True}}
    assert "'misspelt' was unexpected" in foreign_errors(broken)


def test_secret_provider_classes_have_what_the_driver_reads() -> None:
    providers = of_kind(render_scenario("csi-gateway-api"), "SecretProviderClass")
    assert providers
    for provider in providers:
        assert provider["spec"].keys() <= {"provider", "parameters", "secretObjects"}
        assert all(isinstance(value, str) for value in provider["spec"]["parameters"].values())
        for secret in provider["spec"].get("secretObjects", []):
            assert secret.keys() == {"secretName", "type", "data"}
            assert all(item.keys() == {"objectName", "key"} for item in secret["data"])


def test_what_is_referred_to_exists(scenario: str) -> None:
    manifests = render_scenario(scenario)
    names = {name_of(each) for each in manifests}
    for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        for scaler in of_kind(manifests, kind):
            assert f"Deployment/{scaler['spec']['scaleTargetRef']['name']}" in names
    for ingress in of_kind(manifests, "Ingress"):
        (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
        assert f"Service/{path['backend']['service']['name']}" in names
    for route in of_kind(manifests, "HTTPRoute"):
        assert f"Service/{route['spec']['rules'][0]['backendRefs'][0]['name']}" in names
    for rule in of_kind(manifests, "DestinationRule"):
        assert f"Service/{rule['spec']['host'].partition('.')[0]}" in names
    for route in of_kind(manifests, "VirtualService"):
        (host,) = route["spec"]["hosts"]
        assert f"Service/{host.partition('.')[0]}" in names


def test_service_accounts_and_volumes_of_pods_exist(scenario: str) -> None:
    manifests = render_scenario(scenario)
    names = {name_of(each) for each in manifests}
    for pod, template in pod_templates(manifests).items():
        spec = template["spec"]
        account = spec.get("serviceAccountName", "default")
        assert account in ("default", "rostra") or f"ServiceAccount/{account}" in names, pod
        mounts = {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
        assert mounts == {volume["name"] for volume in spec["volumes"]}, pod
        for volume in spec["volumes"]:
            if "csi" in volume:
                provider = volume["csi"]["volumeAttributes"]["secretProviderClass"]
                assert f"SecretProviderClass/{provider}" in names, pod


def test_secrets_of_pods_are_made_or_named_by_the_user(scenario: str) -> None:
    manifests = render_scenario(scenario)
    made = {
        each["spec"]["target"]["name"]: {item["secretKey"] for item in each["spec"].get("data", [])}
        for each in of_kind(manifests, "ExternalSecret")
    }
    for provider in of_kind(manifests, "SecretProviderClass"):
        for secret in provider["spec"].get("secretObjects", []):
            made[secret["secretName"]] = {item["key"] for item in secret["data"]}
            # The driver syncs what is mounted under this alias.
            assert {item["objectName"] for item in secret["data"]} <= _aliases(provider)
    named = set(named_secrets(read_values(scenarios()[scenario]).get("credentials", {})))
    for pod, template in pod_templates(manifests).items():
        for variable in template["spec"]["containers"][0]["env"]:
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference and reference["name"] in made:
                assert reference["key"] in made[reference["name"]], (pod, variable["name"])
            elif reference and variable["name"] != "ROSTRA_TEST_API_KEY":
                assert reference["name"] in named, (pod, variable["name"])


def named_secrets(credentials: dict[str, Any]) -> Iterator[str]:
    """Yield the Secrets that values say exist."""
    for credential in credentials.values():
        if name := credential.get("existingSecret", {}).get("name"):
            yield name


def test_monitors_find_their_services(scenario: str) -> None:
    manifests = render_scenario(scenario)
    services = {component_of(each): each for each in of_kind(manifests, "Service")}
    for monitor in of_kind(manifests, "ServiceMonitor"):
        service = services[component_of(monitor)]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        ports = {port["name"] for port in service["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports


def _is_custom(manifest: Manifest) -> bool:
    return bool(foreign_schema(manifest)) or (manifest["apiVersion"], manifest["kind"]) == _UNPUBLISHED


def _aliases(provider: Manifest) -> set[str]:
    objects = yaml.safe_load(provider["spec"]["parameters"]["objects"])
    paths = [path for each in objects for path in each.get("jmesPath", [])]
    return {each["objectAlias"] for each in [*objects, *paths] if "objectAlias" in each}
