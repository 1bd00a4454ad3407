"""What NetworkPolicies let pass, by the rules of networking.k8s.io/v1: enough of them for the chart's own policies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who sends or takes traffic.

    Attributes:
        name: What tests call it.
        namespace: Where its pod is; empty for what is no pod.
        labels: Those of its pod.
        address: Its IP address; a pod has one too, and may be meant by an `ipBlock`.
    """

    name: str
    address: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)


def passes(policies: Iterable[Policy], source: Party, target: Party, port: int, protocol: str = "TCP") -> bool:
    """Tell whether `source` may open a connection to `port` of `target`: both sides must allow it."""
    policies = list(policies)
    leaves = _allows(policies, "Egress", of=source, other=target, port=port, protocol=protocol)
    return leaves and _allows(policies, "Ingress", of=target, other=source, port=port, protocol=protocol)


def _allows(policies: list[Policy], direction: str, *, of: Party, other: Party, port: int, protocol: str) -> bool:
    """Tell whether the policies of one side allow it; a pod that no policy selects may do everything."""
    mine = [policy for policy in policies if _selects(policy, of) and direction in policy["spec"]["policyTypes"]]
    rules = [rule for policy in mine for rule in policy["spec"].get(direction.lower()) or []]
    peers = "to" if direction == "Egress" else "from"
    return not mine or any(_matches(rule, peers, of.namespace, other, port, protocol) for rule in rules)


def _selects(policy: Policy, party: Party) -> bool:
    same = party.namespace == policy["metadata"]["namespace"]
    return bool(party.namespace) and same and _fits(policy["spec"]["podSelector"], party.labels)


def _matches(rule: Policy, peers: str, namespace: str, other: Party, port: int, protocol: str) -> bool:
    ports, named = rule.get("ports"), rule.get(peers)
    port_fits = not ports or any(each["port"] == port and each.get("protocol", "TCP") == protocol for each in ports)
    return port_fits and (not named or any(_is_peer(peer, namespace, other) for peer in named))


def _is_peer(peer: Policy, namespace: str, other: Party) -> bool:
    if block := peer.get("ipBlock"):
        address = ip_address(other.address)
        return address in ip_network(block["cidr"]) and not any(
            address in ip_network(out) for out in block.get("except", [])
        )
    if not other.namespace:
        return False
    where = peer.get("namespaceSelector")
    if where is None:
        in_namespace = other.namespace == namespace
    else:
        in_namespace = _fits(where, {"kubernetes.io/metadata.name": other.namespace})
    return in_namespace and _fits(peer.get("podSelector", {}), other.labels)


def _fits(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if "matchExpressions" in selector:
        raise NotImplementedError("the chart uses matchLabels only")
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
