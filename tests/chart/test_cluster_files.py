"""What surrounds the chart: datastores, namespaces, the dev loop, the EKS cluster, and that they fit together."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from support.chart import COMPONENTS, ROOT, Manifest, of_kind, read_values, render_scenario
from support.foreign_schemas import foreign_errors, foreign_schema, read_schema

K8S = ROOT / "k8s"
_APPLIED = sorted(path for folder in ("datastores", "namespaces") for path in (K8S / folder).glob("*.yaml"))


def objects(*paths: Path) -> list[Manifest]:
    """Return the objects in files."""
    return [found for path in paths for found in yaml.safe_load_all(path.read_text())]


def skaffold() -> dict[str, Any]:
    """Return skaffold's configuration."""
    return yaml.safe_load((ROOT / "skaffold.yaml").read_text())


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("path", _APPLIED, ids=lambda path: path.stem)
def test_objects_fit_the_strict_schema(path: Path, version: str) -> None:
    for each in objects(path):
        kubernetes_validate.validate(each, version, strict=True)


def test_namespaces_enforce_restricted() -> None:
    namespaces = of_kind(objects(*_APPLIED), "Namespace")
    assert {each["metadata"]["name"] for each in namespaces} == {"rostra", "rostra-datastores"}
    for each in namespaces:
        for mode in ("enforce", "audit", "warn"):
            assert each["metadata"]["labels"][f"pod-security.kubernetes.io/{mode}"] == "restricted"


def test_datastores_keep_to_restricted_too() -> None:
    for each in of_kind(objects(*_APPLIED), "StatefulSet"):
        spec = each["spec"]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = spec["containers"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        # Official images, of a version.
        assert re.fullmatch(r"(mysql|mongo|redis):\d+\.\d+", container["image"])


def test_values_of_development_name_what_the_scripts_make() -> None:
    script = (ROOT / "hack/development-secrets").read_text()
    values = read_values(K8S / "environments/dev/values.yaml")
    for credential in values["credentials"].values():
        assert f"create secret generic {credential['existingSecret']['name']}" in script
        if "key" in credential["existingSecret"]:
            assert f"write {credential['existingSecret']['key']} " in script
    for each in of_kind(objects(*_APPLIED), "StatefulSet"):
        (container,) = each["spec"]["template"]["spec"]["containers"]
        for variable in container["env"]:
            if "valueFrom" in variable:
                assert f"write {variable['valueFrom']['secretKeyRef']['key']} " in script
        (port,) = container["ports"]
        assert f"@{each['metadata']['name']}.$hosts:{port['containerPort']}/" in script


def test_skaffold_builds_and_deploys_every_service() -> None:
    config = skaffold()
    staging = next(profile for profile in config["profiles"] if profile["name"] == "staging")
    dockerfile = (ROOT / "services/Dockerfile").read_text()
    targets = set(re.findall(r"^FROM .+ AS (\w+)$", dockerfile, re.MULTILINE))
    for build, target in ((config["build"], "dev"), (staging["build"], "image")):
        assert [each["image"] for each in build["artifacts"]] == [f"rostra-{name}" for name in COMPONENTS]
        for each in build["artifacts"]:
            assert (ROOT / each["docker"]["dockerfile"]).exists()
            assert each["docker"]["buildArgs"]["SERVICE"] == each["image"].removeprefix("rostra-")
            assert each["docker"]["target"] == target
            assert target in targets
    for release in (config["deploy"]["helm"]["releases"][0], staging["deploy"]["helm"]["releases"][0]):
        assert all((ROOT / path).exists() for path in release["valuesFiles"])
        named = {key.partition(".")[0] for key in release["setValueTemplates"]}
        assert named == set(COMPONENTS)
    assert {profile["name"] for profile in config["profiles"]} == {"dev", "debug", "staging"}


def test_skaffold_syncs_code_to_where_images_of_development_have_it() -> None:
    path = next(line for line in (ROOT / "services/Dockerfile").read_text().splitlines() if "PYTHONPATH" in line)
    for artifact in skaffold()["build"]["artifacts"]:
        for rule in artifact["sync"]["manual"]:
            assert rule["dest"] == "/src"
            found = list(ROOT.glob(rule["src"]))
            assert found
    assert path == "ENV PYTHONPATH=/src/protos/python:/src/services/kit:/src/services/${SERVICE}"
    # Files can only be put into containers whose root may be written to.
    assert read_values(K8S / "environments/dev/values.yaml")["development"]["writableRoot"] is True


def test_kind_cluster_has_three_zones() -> None:
    (cluster,) = objects(K8S / "kind.yaml")
    zones = [node.get("labels", {}).get("topology.kubernetes.io/zone") for node in cluster["nodes"]]
    assert len(set(filter(None, zones))) == 3
    assert f"kind-{cluster['name']}" == skaffold()["deploy"]["kubeContext"]


def test_secret_store_of_the_examples_is_the_one_of_the_environments() -> None:
    stores = {(each["kind"], each["metadata"]["name"]) for each in objects(*(K8S / "secretstores").glob("*.yaml"))}
    for environment in ("staging", "prod"):
        store = read_values(K8S / f"environments/{environment}/values.yaml")["externalSecrets"]["store"]
        assert (store["kind"], store["name"]) in stores


def eks() -> dict[str, Any]:
    """Return the EKS cluster's configuration."""
    return objects(K8S / "eksctl/cluster.yaml")[0]


def test_eks_cluster_is_what_the_documents_say() -> None:
    cluster = eks()
    assert cluster["vpc"]["cidr"] == "10.0.0.0/16"
    assert len(cluster["availabilityZones"]) == 3
    assert cluster["autoModeConfig"] == {"enabled": False}
    assert set(cluster["cloudWatch"]["clusterLogging"]["enableTypes"]) >= {"api", "audit", "authenticator"}
    assert cluster["secretsEncryption"]["keyARN"].startswith("arn:aws:kms:")
    addons = {addon["name"]: addon for addon in cluster["addons"]}
    assert {"vpc-cni", "coredns", "kube-proxy", "eks-pod-identity-agent", "metrics-server"} <= addons.keys()
    assert json.loads(addons["vpc-cni"]["configurationValues"]) == {"enableNetworkPolicy": "true"}
    assert all(group["privateNetworking"] and group["volumeEncrypted"] for group in cluster["managedNodeGroups"])


def test_eks_spot_nodes_have_the_taint_that_the_chart_tolerates() -> None:
    (spot,) = [group for group in eks()["managedNodeGroups"] if group.get("spot")]
    (taint,) = spot["taints"]
    tolerated = [
        each
        for deployment in of_kind(render_scenario("environment-prod"), "Deployment")
        for each in deployment["spec"]["template"]["spec"].get("tolerations", [])
    ]
    assert tolerated
    assert all(each.items() >= taint.items() for each in tolerated)


def test_eks_values_keep_to_the_clusters_network() -> None:
    for environment in ("staging", "prod"):
        policy = read_values(K8S / f"environments/{environment}/values.yaml")["networkPolicy"]
        for peers in (policy["clients"], *(policy[door]["to"] for door in ("mysql", "documentdb", "redis"))):
            assert peers == [{"ipBlock": {"cidr": eks()["vpc"]["cidr"]}}]


def test_eks_cluster_fits_the_schema_of_eksctl() -> None:
    jsonschema.validate(eks(), read_schema("eksctl"))


def test_schema_of_eksctl_finds_a_misspelt_key() -> None:
    with pytest.raises(jsonschema.ValidationError, match="clusterEndpoint"):
        jsonschema.validate(eks() | {"vpc": {"clusterEndpoint": {}}}, read_schema("eksctl"))


@pytest.mark.parametrize("path", sorted((K8S / "secretstores").glob("*.yaml")), ids=lambda path: path.stem)
def test_secret_store_fits_the_schema_of_its_operator(path: Path) -> None:
    for store in objects(path):
        assert foreign_schema(store)
        assert foreign_errors(store) == ""
        assert "misspelt" in foreign_errors({**store, "spec": {**store["spec"], "misspelt": True}})


@pytest.mark.parametrize("command", [["make", "test-e2e"], ["make", "undeploy"], ["hack/deploy"]], ids=" ".join)
def test_what_changes_a_cluster_refuses_one_that_is_not_named(command: list[str]) -> None:
    env = {name: value for name, value in os.environ.items() if name not in ("CONTEXT", "MAKEFLAGS", "MAKELEVEL")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert "CONTEXT: names the context of kubectl" in done.stderr
