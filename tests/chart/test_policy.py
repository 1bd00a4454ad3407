"""What every pod and every object of the chart keeps to."""

import re
from typing import Any

import pytest

from support.chart import (
    COMPONENTS,
    ROOT,
    Manifest,
    component_of,
    least_values,
    merged,
    name_of,
    nested,
    of_kind,
    pod_templates,
    render,
    render_scenario,
)

_RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_RECOMMENDED_LABELS = {"name", "instance", "version", "part-of", "managed-by"}


def pods(scenario: str) -> list[tuple[str, Manifest]]:
    """Return the name and the template of each kind of pod in a scenario."""
    return list(pod_templates(render_scenario(scenario)).items())


def test_pods_are_restricted(scenario: str) -> None:
    for name, template in pods(scenario):
        spec = template["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & spec.keys(), name
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 10_000, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert {key for volume in spec["volumes"] for key in volume if key != "name"} <= _RESTRICTED_VOLUMES, name
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                # Skaffold puts changed files into running containers, in development alone.
                "readOnlyRootFilesystem": scenario != "environment-dev",
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert not any("hostPort" in port for port in container.get("ports", [])), name


def test_pods_have_no_credentials_of_the_cluster(scenario: str) -> None:
    for name, template in pods(scenario):
        assert template["spec"]["automountServiceAccountToken"] is False, name
        assert template["spec"]["enableServiceLinks"] is False, name
    for account in of_kind(render_scenario(scenario), "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_no_secret_is_written_down(scenario: str) -> None:
    assert of_kind(render_scenario(scenario), "Secret") == []
    for name, template in pods(scenario):
        for variable in template["spec"]["containers"][0]["env"]:
            is_secret = re.search(r"DATABASE__URL|REDIS__URL|API_KEY|INVITATION_CODE", variable["name"])
            assert not is_secret or "secretKeyRef" in variable["valueFrom"], (name, variable["name"])


def test_images_are_pinned(scenario: str) -> None:
    for name, template in pods(scenario):
        for container in template["spec"]["containers"]:
            assert re.search(r":(?!latest$)[\w.-]+$|@sha256:[0-9a-f]{64}$", container["image"]), name


def test_containers_ask_for_what_they_need(scenario: str) -> None:
    for name, template in pods(scenario):
        for container in template["spec"]["containers"]:
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), name
            # A CPU limit would pause streams in the middle; memory has one.
            assert resources["limits"].keys() == {"memory"}, name
            assert _bytes(resources["limits"]["memory"]) >= _bytes(resources["requests"]["memory"]), name


def test_each_component_is_probed_by_role(scenario: str) -> None:
    for deployment in of_kind(render_scenario(scenario), "Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        startup, ready, live = (container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness"))
        if component_of(deployment) == "gateway":
            assert (ready["httpGet"]["path"], live["httpGet"]["path"]) == ("/readyz", "/livez")
            assert startup["httpGet"] == live["httpGet"]
        else:
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            # Kubelets have no certificate: with mutual TLS, health has a port of its own.
            port = ports["health" if any("__TLS__CERT_FILE" in each["name"] for each in container["env"]) else "grpc"]
            assert (ready["grpc"], live["grpc"]) == ({"port": port}, {"port": port, "service": "live"})
            assert startup["grpc"] == live["grpc"]
        # A slow start is no reason to be killed, and a pod that leaves rotation is not killed for it.
        assert startup["periodSeconds"] * startup["failureThreshold"] >= 60
        assert live["periodSeconds"] * live["failureThreshold"] > ready["periodSeconds"] * ready["failureThreshold"]


def test_grace_outlasts_prestop_and_drain(scenario: str) -> None:
    for deployment in of_kind(render_scenario(scenario), "Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        settings = {variable["name"]: variable.get("value") for variable in container["env"]}
        prefix = f"ROSTRA_{component_of(deployment).upper()}_SHUTDOWN__"
        drain, removal = (int(settings[prefix + name]) for name in ("DRAIN_SECONDS", "ENDPOINT_REMOVAL_SECONDS"))
        stop = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert spec["terminationGracePeriodSeconds"] >= stop + removal + drain + 10


def test_budgets_and_autoscalers_are_sane(scenario: str) -> None:
    manifests = render_scenario(scenario)
    deployments = {name_of(each): each for each in of_kind(manifests, "Deployment")}
    least = {name: deployment["spec"].get("replicas") for name, deployment in deployments.items()}
    for scaler in of_kind(manifests, "HorizontalPodAutoscaler", "ScaledObject"):
        spec = scaler["spec"]
        target = f"Deployment/{spec['scaleTargetRef']['name']}"
        assert least[target] is None, "whoever scales the pods owns their number"
        least[target] = spec.get("minReplicas") or spec["minReplicaCount"]
        assert least[target] <= (spec.get("maxReplicas") or spec["maxReplicaCount"])
    assert None not in least.values()
    budgets = {
        f"Deployment/{budget['metadata']['name']}": budget for budget in of_kind(manifests, "PodDisruptionBudget")
    }
    assert budgets.keys() == {name for name, replicas in least.items() if replicas > 1}
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert "minAvailable" not in budget["spec"]
        assert budget["spec"]["selector"] == deployments[name]["spec"]["selector"]


def test_autoscalers_follow_cpu_and_memory() -> None:
    scalers = of_kind(render(least_values()), "HorizontalPodAutoscaler")
    assert len(scalers) == len(COMPONENTS)
    for scaler in scalers:
        targets = {each["resource"]["name"]: each["resource"]["target"] for each in scaler["spec"]["metrics"]}
        assert {name: target["averageUtilization"] for name, target in targets.items()} == {"cpu": 70, "memory": 80}
        up, down = scaler["spec"]["behavior"]["scaleUp"], scaler["spec"]["behavior"]["scaleDown"]
        assert up["stabilizationWindowSeconds"] < down["stabilizationWindowSeconds"]


def test_pods_are_spread_over_zones_and_hosts(scenario: str) -> None:
    for deployment in of_kind(render_scenario(scenario), "Deployment"):
        constraints = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert {each["topologyKey"] for each in constraints} == {
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        }
        for each in constraints:
            assert each["labelSelector"] == {"matchLabels": deployment["spec"]["selector"]["matchLabels"]}


def test_objects_are_labelled_and_in_the_release_namespace(scenario: str) -> None:
    for manifest in render_scenario(scenario):
        labels = manifest["metadata"]["labels"]
        assert {f"app.kubernetes.io/{name}" for name in _RECOMMENDED_LABELS} <= labels.keys(), name_of(manifest)
        if manifest["kind"] != "PriorityClass":
            assert manifest["metadata"]["namespace"] == "rostra", name_of(manifest)


def test_names_are_unique_and_short(scenario: str) -> None:
    names = [name_of(manifest) for manifest in render_scenario(scenario)]
    assert len(names) == len(set(names))
    assert all(len(name.partition("/")[2]) <= 63 for name in names)


def test_own_annotation_of_the_ingress_wins() -> None:
    alb, name = {"certificateArn": "arn:aws:acm:eu:1:certificate/1"}, "alb.ingress.kubernetes.io/healthcheck-path"
    values = {"enabled": True, "host": "api.example.com", "alb": alb, "annotations": {name: "/livez", "own": "yes"}}
    (ingress,) = of_kind(render(least_values(ingress=values)), "Ingress")
    annotations = ingress["metadata"]["annotations"]
    assert (annotations[name], annotations["own"]) == ("/livez", "yes")
    assert annotations["alb.ingress.kubernetes.io/ssl-redirect"] == "443"
    for attribute in ("idle_timeout.timeout_seconds=60", "routing.http.drop_invalid_header_fields.enabled=true"):
        assert attribute in annotations["alb.ingress.kubernetes.io/load-balancer-attributes"]
    for attribute in (
        "deregistration_delay.timeout_seconds=150",
        "load_balancing.algorithm.type=least_outstanding_requests",
    ):
        assert attribute in annotations["alb.ingress.kubernetes.io/target-group-attributes"]


def test_two_releases_in_one_namespace_do_not_meet() -> None:
    one, other = (render(least_values(), release=release) for release in ("one", "other"))
    assert not {name_of(each) for each in one} & {name_of(each) for each in other}
    pods = [template["metadata"]["labels"] for template in pod_templates(other).values()]
    for each in of_kind(one, "Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy"):
        selector = each["spec"].get("podSelector") or each["spec"]["selector"]
        labels = selector.get("matchLabels", selector)
        assert not any(labels.items() <= pod.items() for pod in pods), name_of(each)


@pytest.mark.parametrize("release", ["rostra", "a", "a-very-long-name-of-a-release-that-goes-on-and-on"])
def test_names_begin_with_the_release(release: str) -> None:
    names = {each["metadata"]["name"] for each in render(least_values(), release=release)}
    assert all(name.startswith(release[:40]) for name in names)
    assert all(len(name) <= 63 for name in names)
    assert {each["metadata"]["name"] for each in render(least_values(fullnameOverride="x"))} >= {"x-chat", "x-user"}


def test_services_select_their_pods_and_keep_the_pods_ports(scenario: str) -> None:
    manifests = render_scenario(scenario)
    deployments = {component_of(each): each for each in of_kind(manifests, "Deployment")}
    for service in of_kind(manifests, "Service"):
        pod = deployments[component_of(service)]["spec"]["template"]
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
        for port in service["spec"]["ports"]:
            assert port["port"] == ports[port["targetPort"]]
        assert (service["spec"].get("clusterIP") == "None") == (component_of(service) != "gateway")


@pytest.mark.parametrize("component", COMPONENTS)
def test_components_have_the_same_keys(component: str) -> None:
    """Whatever `defaults` says, each component may say."""
    changed: dict[str, Any] = {"podLabels": {"team": "x"}, "priorityClassName": "high", "nodeSelector": {"a": "b"}}
    manifests = render(merged(least_values(), nested(component, changed)))
    for deployment in of_kind(manifests, "Deployment"):
        template = deployment["spec"]["template"]
        is_own = component_of(deployment) == component
        assert ("team" in template["metadata"]["labels"]) == is_own
        assert ("priorityClassName" in template["spec"]) == is_own
        assert ("nodeSelector" in template["spec"]) == is_own


def test_own_value_that_is_false_or_nothing_wins_over_the_default() -> None:
    values = merged(least_values(), {"chat": {"autoscaling": {"enabled": False}, "replicas": 1}})
    manifests = render(
        merged(
            values,
            nested("defaults.spot", True) | {"chat": values["chat"] | {"spot": False}} | nested("gateway.spot", False),
        )
    )
    chat = next(each for each in of_kind(manifests, "Deployment") if component_of(each) == "chat")
    assert chat["spec"]["replicas"] == 1
    assert "tolerations" not in chat["spec"]["template"]["spec"]
    assert component_of(of_kind(manifests, "PodDisruptionBudget")[0]) != "chat"


def _bytes(quantity: str) -> int:
    units = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    return int(quantity[:-2]) * units[quantity[-2:]]


def test_documented_footprint_is_the_defaults() -> None:
    page = (ROOT / "docs/footprint.md").read_text()
    cpu, requested, limited = 0, 0, 0
    for deployment in of_kind(render(least_values()), "Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        requests, limit = container["resources"]["requests"], container["resources"]["limits"]["memory"]
        cpu += 2 * int(requests["cpu"].removesuffix("m"))
        requested += 2 * _bytes(requests["memory"]) // 2**20
        limited += 2 * _bytes(limit) // 2**20
        each = f"{requests['cpu'][:-1]} m, {requests['memory'][:-2]} MiB | {limit[:-2]} MiB"
        assert f"| {component_of(deployment)} | 2 | {each} |" in page
    assert f"**{limited / 1024:g} GiB in all** | **{cpu / 1000:g} CPU, {requested:,} MiB**" in page
