"""Secrets that pods read as files: mounted, read-only, under the names that services are told."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rostra_kit.ports import free_port
from support.chart import Manifest, component_of, of_kind, pod_templates, render_scenario
from support.cluster_release import eventually
from support.service_authority import SERVER_NAME, Authority

_FOLDERS = ("/run/rostra/", "/etc/rostra/")
_CERTIFICATE = "/run/rostra/certificate/"


def container_of(template: Manifest) -> Manifest:
    """Return the one container of a pod."""
    (container,) = template["spec"]["containers"]
    return container


def files(volume: Manifest, manifests: tuple[Manifest, ...]) -> set[str] | None:
    """Return the names of a volume's files; `None` where all keys of a Secret that is not ours are files."""
    for source in ("secret", "configMap"):
        if source in volume:
            items = volume[source].get("items")
            return {item["path"] for item in items} if items else None
    name = volume["csi"]["volumeAttributes"]["secretProviderClass"]
    (provider,) = [each for each in of_kind(manifests, "SecretProviderClass") if each["metadata"]["name"] == name]
    objects = yaml.safe_load(provider["spec"]["parameters"]["objects"])
    return {
        path["objectAlias"] for each in objects for path in [each, *each.get("jmesPath", [])] if "objectAlias" in path
    }


def test_files_that_services_are_told_of_are_mounted(scenario: str) -> None:
    manifests = render_scenario(scenario)
    for pod, template in pod_templates(manifests).items():
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        mounts = {mount["mountPath"]: mount for mount in container_of(template)["volumeMounts"]}
        for variable in container_of(template)["env"]:
            if not variable.get("value", "").startswith(_FOLDERS) or variable["name"].endswith("_DIRECTORY"):
                continue
            folder, _, name = variable["value"].rpartition("/")
            assert mounts[folder]["readOnly"] is True, (pod, variable)
            found = files(volumes[mounts[folder]["name"]], manifests)
            assert found is None or name in found, (pod, variable)


def test_files_of_secrets_are_for_the_services_group_alone(scenario: str) -> None:
    for pod, template in pod_templates(render_scenario(scenario)).items():
        for volume in template["spec"]["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440, pod
                assert template["spec"]["securityContext"]["fsGroup"] == 10001


def test_migration_logs_in_as_user_does() -> None:
    manifests = render_scenario("mutual-tls")
    (job,) = of_kind(manifests, "Job")
    (user,) = [each for each in of_kind(manifests, "Deployment") if component_of(each) == "user"]

    def login(workload: Manifest) -> dict[str, Any]:
        env = container_of(workload["spec"]["template"])["env"]
        found = {each["name"]: each.get("value") for each in env if "DATABASE__" in each["name"]}
        # What is only shown is nothing to migrate.
        return {name: value for name, value in found.items() if "REPLICA" not in name}

    assert login(job) == login(user)
    assert len(login(job)) == 6


def test_certificates_have_the_names_that_callers_dial_and_the_uses_that_they_need() -> None:
    manifests = render_scenario("mutual-tls")
    certificates = {component_of(each): each["spec"] for each in of_kind(manifests, "Certificate")}
    dialled = set()
    for deployment in of_kind(manifests, "Deployment"):
        env = {each["name"]: each.get("value", "") for each in container_of(deployment["spec"]["template"])["env"]}
        component = component_of(deployment)
        targets = [name.removesuffix("__TARGET") for name in env if name.endswith("__TARGET")]
        dialled |= {env[f"{name}__TARGET"].removeprefix("dns:///").partition(":")[0] for name in targets}
        # Whom it calls is checked, and is shown who calls.
        assert all(env[f"{name}__TLS__CA_FILE"] == f"{_CERTIFICATE}ca.crt" for name in targets)
        uses = set(certificates[component]["usages"])
        assert ("client auth" in uses) == bool(targets)
        assert ("server auth" in uses) == (f"ROSTRA_{component.upper()}_LISTEN__TLS__CERT_FILE" in env)
        secret = next(
            volume["secret"]
            for volume in deployment["spec"]["template"]["spec"]["volumes"]
            if volume["name"] == f"credential-{component}-certificate"
        )
        assert secret["secretName"] == certificates[component]["secretName"]
    assert dialled == {spec["dnsNames"][0] for name, spec in certificates.items() if name != "gateway"}


@contextmanager
def started(deployment: Manifest, folder: Path) -> Iterator[dict[str, int]]:
    """Run a service as its Deployment says, with its certificate in `folder`; yield its ports by name."""
    container = container_of(deployment["spec"]["template"])
    ports = {port["name"]: free_port() for port in container["ports"]}
    env = {each["name"]: each.get("value", "") for each in container["env"]}
    env = {name: value.replace(_CERTIFICATE, f"{folder}/") for name, value in env.items()}
    env |= {
        "ROSTRA_HISTORY_ENVIRONMENT": "development",
        "ROSTRA_HISTORY_DATABASE__URL": f"sqlite:///{folder}/history.db",
        "ROSTRA_HISTORY_LISTEN__HOST": "127.0.0.1",
        "ROSTRA_HISTORY_LISTEN__PORT": str(ports["grpc"]),
        "ROSTRA_HISTORY_LISTEN__METRICS_PORT": str(ports["metrics"]),
        "ROSTRA_HISTORY_LISTEN__HEALTH_PORT": str(ports["health"]),
    }
    log = (folder / "log").open("wb")
    with log, subprocess.Popen([sys.executable, "-m", "rostra_history"], env=os.environ | env, stderr=log) as process:
        try:
            yield ports
        finally:
            process.kill()


def is_serving(channel: grpc.Channel, service: str) -> bool:
    """Ask for health, as a kubelet does."""
    request = health_pb2.HealthCheckRequest(service=service)
    try:
        answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=2)
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.mark.timeout(60)
def test_kubelet_finds_a_service_healthy_that_callers_reach_by_certificate_only(tmp_path: Path) -> None:
    manifests = render_scenario("mutual-tls")
    (history,) = [each for each in of_kind(manifests, "Deployment") if component_of(each) == "history"]
    container = container_of(history["spec"]["template"])
    names = {port["containerPort"]: port["name"] for port in container["ports"]}
    authority = Authority(tmp_path)
    certificate, key = authority.issue()
    for file, name in ((certificate, "tls.crt"), (key, "tls.key"), (authority.ca_file, "ca.crt")):
        (tmp_path / name).write_bytes(file.read_bytes())
    with started(history, tmp_path) as ports:
        for kind in ("startup", "readiness", "liveness"):
            probe = container[f"{kind}Probe"]["grpc"]
            with grpc.insecure_channel(f"127.0.0.1:{ports[names[probe['port']]]}") as kubelet:
                eventually(partial(is_serving, kubelet, probe.get("service", "")), within_seconds=40)
        address = f"127.0.0.1:{ports[names[50051]]}"
        with grpc.insecure_channel(address) as stranger:
            assert not is_serving(stranger, "")
        shown = grpc.ssl_channel_credentials(authority.ca_file.read_bytes(), key.read_bytes(), certificate.read_bytes())
        with grpc.secure_channel(address, shown, [("grpc.ssl_target_name_override", SERVER_NAME)]) as caller:
            assert is_serving(caller, "")
