"""Istio encrypts and checks, and leaves calls as they are."""

from typing import Any

import pytest

from support.chart import COMPONENTS, component_of, least_values, of_kind, render, render_scenario


@pytest.mark.parametrize(
    ("istio", "reads_calls"),
    [
        ({"mode": "sidecar"}, True),
        ({"mode": "ambient"}, False),
    ],
)
def test_istio_repeats_no_call_where_it_could(istio: dict[str, Any], reads_calls: bool) -> None:
    routes = of_kind(render(least_values(istio={"enabled": True, **istio})), "VirtualService")
    assert {component_of(route) for route in routes} == (set(COMPONENTS) if reads_calls else set())
    for route in routes:
        (http,) = route["spec"]["http"]
        assert http["retries"] == {"attempts": 0}
        assert [route["spec"]["hosts"][0]] == [each["destination"]["host"] for each in http["route"]]


def test_services_take_calls_from_their_callers_alone() -> None:
    allowed = {}
    for policy in of_kind(render_scenario("keda-istio"), "AuthorizationPolicy"):
        calls, metrics = policy["spec"]["rules"]
        allowed[component_of(policy)] = {name.rpartition("/")[2] for name in calls["from"][0]["source"]["principals"]}
        assert metrics["to"] == [{"operation": {"ports": ["9090"]}}]
    assert allowed == {
        "gateway": {"gateway"},
        "chat": {"rostra-gateway"},
        "user": {"rostra-gateway", "rostra-chat"},
        "history": {"rostra-gateway", "rostra-chat", "rostra-user"},
    }
