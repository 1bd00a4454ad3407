"""NetworkPolicies let through what the design needs, and nothing else: each pair of parties and ports is tried."""

from typing import Any

import pytest

from support.chart import (
    COMPONENTS,
    NAMESPACE,
    least_values,
    merged,
    nested,
    of_kind,
    pod_templates,
    render,
    render_scenario,
)
from support.network_policies import Party, passes

_PORTS = {"gateway": 8080, "chat": 50051, "history": 50051, "user": 50051}
_METRICS = 9090
# Peers in the place of the default's private ranges, so that nothing is allowed by its address alone.
_NARROW: dict[str, Any] = {
    "networkPolicy": {
        "clients": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
        "mysql": {"port": 3306, "to": [{"ipBlock": {"cidr": "10.0.200.1/32"}}]},
        "documentdb": {"port": 27017, "to": [{"ipBlock": {"cidr": "10.0.200.2/32"}}]},
        "redis": {"port": 6379, "to": [{"ipBlock": {"cidr": "10.0.200.3/32"}}]},
    },
    "telemetry": {"otlpEndpoint": "http://collector.monitoring:4317"},
}
_OUTSIDE = [
    Party("dns", "10.0.1.1", "kube-system", {"k8s-app": "kube-dns"}),
    Party("node-local-dns", "169.254.20.10"),
    Party("prometheus", "10.0.1.2", "monitoring", {"app": "prometheus"}),
    Party("ingress", "10.0.1.3", "ingress", {"app": "ingress"}),
    Party("neighbour", "10.0.1.4", NAMESPACE, {"app": "something-else"}),
    Party("stranger", "10.0.1.5", "default", {"app.kubernetes.io/component": "gateway"}),
    Party("mysql", "10.0.200.1"),
    Party("documentdb", "10.0.200.2"),
    Party("redis", "10.0.200.3"),
    Party("other-host", "10.0.200.4"),
    Party("provider", "203.0.113.10"),
    Party("instance-metadata", "169.254.169.254"),
    Party("pod-identity", "169.254.170.23"),
]
# A pod of the release that no policy names: a component that somebody adds and forgets.
_RELEASE = {"app.kubernetes.io/name": "rostra", "app.kubernetes.io/instance": "rostra"}
_UNNAMED = Party("unnamed", "10.0.3.1", NAMESPACE, {**_RELEASE, "app.kubernetes.io/component": "unnamed"})
_TRIED = [
    (port, "TCP") for port in (53, 80, 443, 3306, 4317, 6379, 8000, 8080, _METRICS, 15008, 27017, 50051, 50052)
] + [(53, "UDP")]

Flow = tuple[str, str, int, str]


def parties(manifests: list[dict[str, Any]]) -> list[Party]:
    """Return our pods, by what their component is, and everybody else."""
    ours = []
    for number, template in enumerate(pod_templates(manifests).values()):
        labels = template["metadata"]["labels"]
        ours.append(Party(labels["app.kubernetes.io/component"], f"10.0.2.{number + 1}", NAMESPACE, labels))
    return [*ours, _UNNAMED, *_OUTSIDE]


def flows(manifests: list[dict[str, Any]], ours: set[str]) -> set[Flow]:
    """Return all that passes from or to our pods."""
    policies = of_kind(manifests, "NetworkPolicy")
    everybody = parties(manifests)
    return {
        (source.name, target.name, port, protocol)
        for source in everybody
        for target in everybody
        if source is not target and {source.name, target.name} & ours
        for port, protocol in _TRIED
        if passes(policies, source, target, port, protocol)
    }


def needed() -> set[Flow]:
    """Return the flows that the design has, each by name."""
    named = {
        *(("gateway", other) for other in ("user", "chat", "history")),
        *(("chat", other) for other in ("history", "user")),
        ("user", "history"),
        ("ingress", "gateway"),
        ("test", "gateway"),
    }
    flows = {(source, target, _PORTS[target], "TCP") for source, target in named}
    flows |= {("prometheus", component, _METRICS, "TCP") for component in COMPONENTS}
    for source in (*COMPONENTS, "migration", "test"):
        flows |= {(source, dns, 53, protocol) for dns in ("dns", "node-local-dns") for protocol in ("UDP", "TCP")}
    flows |= {(source, "redis", 6379, "TCP") for source in ("gateway", "chat", "user")}
    flows |= {("user", "mysql", 3306, "TCP"), ("migration", "mysql", 3306, "TCP")}
    flows |= {("history", "documentdb", 27017, "TCP"), ("chat", "provider", 443, "TCP")}
    # The collector's namespace, whose only pod here is Prometheus.
    return flows | {(component, "prometheus", 4317, "TCP") for component in COMPONENTS}


_OURS = {*COMPONENTS, "migration", "test", "unnamed"}


def test_needed_flows_pass_and_no_other_does() -> None:
    found = flows(render(least_values(**_NARROW)), _OURS)
    assert found - needed() == set()
    assert needed() - found == set()


def test_defaults_let_everything_needed_pass_by_private_addresses() -> None:
    found = flows(render(least_values(telemetry=_NARROW["telemetry"])), _OURS)
    assert needed() - found == set()
    # A private address is enough to call the API and to be taken for a database; nothing else opens by it.
    extra = {(source, target, port) for source, target, port, _ in found - needed()}
    assert {(target, port) for source, target, port in extra if source not in _OURS} == {("gateway", 8080)}
    assert {port for source, _, port in extra if source in _OURS} <= {3306, 6379, 27017, 8080}
    assert {source for source, _, port in extra if source in _OURS and port == 8080} == set()


@pytest.mark.parametrize(
    ("path", "value", "opened"),
    [
        ("networkPolicy.podIdentity", True, {(each, "pod-identity", 80, "TCP") for each in COMPONENTS}),
        (
            "networkPolicy.providers",
            [{"port": 8000, "to": [{"ipBlock": {"cidr": "10.0.200.4/32"}}]}],
            {("chat", "other-host", 8000, "TCP")},
        ),
    ],
)
def test_door_opens_what_it_says_alone(path: str, value: object, opened: set[Flow]) -> None:
    found = flows(render(merged(least_values(**_NARROW), nested(path, value))), _OURS)
    assert found - needed() == opened


def test_health_port_of_mutual_tls_is_open_to_nobody() -> None:
    mutual_tls = {"enabled": True, "certManager": {"issuer": {"name": "rostra"}}}
    found = flows(render(merged(least_values(**_NARROW), {"mutualTls": mutual_tls})), _OURS)
    # Kubelets' probes come from the pod's own node, which no policy holds up.
    assert found == needed()


def test_ambient_mesh_carries_each_flow_through_its_tunnel() -> None:
    found = flows(render(merged(least_values(**_NARROW), nested("istio.enabled", True))), _OURS)
    between = {(source, target) for source, target, port, _ in needed() if target in COMPONENTS and port != _METRICS}
    assert {(source, target) for source, target, port, _ in found if port == 15008} == between


def test_policy_of_one_release_does_not_select_another(scenario: str) -> None:
    for policy in of_kind(render_scenario(scenario), "NetworkPolicy"):
        assert policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "rostra"
        assert {} not in policy["spec"].get("ingress", [])
        assert {} not in policy["spec"].get("egress", [])
