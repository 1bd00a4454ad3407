"""The services understand what the chart tells them: their own settings are read from the rendered environment."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rostra_chat.catalogue import load_catalogue
from rostra_chat.settings import Settings as ChatSettings
from rostra_gateway.settings import Settings as GatewaySettings
from rostra_history.settings import Settings as HistorySettings
from rostra_kit.settings import ServiceSettings
from rostra_user.settings import MigrationSettings
from rostra_user.settings import Settings as UserSettings
from support.chart import (
    CHART,
    COMPONENTS,
    Manifest,
    component_of,
    least_values,
    merged,
    nested,
    of_kind,
    read_values,
    render,
    render_scenario,
    scenarios,
)

_SETTINGS: dict[str, type[ServiceSettings]] = {
    "gateway": GatewaySettings,
    "chat": ChatSettings,
    "history": HistorySettings,
    "user": UserSettings,
}
_SECRETS = {
    "ROSTRA_USER_DATABASE__URL": "mysql+aiomysql://user:x@mysql/rostra",
    "ROSTRA_HISTORY_DATABASE__URL": "mongodb://user:x@documentdb:27017",
    **{f"ROSTRA_{name}_REDIS__URL": "rediss://redis:6379" for name in ("GATEWAY", "CHAT", "USER")},
    "OPENAI_API_KEY": "sk-x",
    "ROSTRA_USER_INVITATION_CODE": "x",
}
_OTHERS = re.compile(r"OTEL_[A-Z_]+|POD_NAME")


def environment(workload: Manifest) -> dict[str, str]:
    """Return the variables of a workload's container, with something in the place of each secret."""
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value", _SECRETS.get(each["name"], "")) for each in container["env"]}


def read(monkeypatch: pytest.MonkeyPatch, deployment: Manifest) -> Any:
    """Read a service's settings from the environment of its Deployment."""
    for name, value in environment(deployment).items():
        monkeypatch.setenv(name, value)
    return _SETTINGS[component_of(deployment)]()


def deployment_of(values: dict[str, Any], component: str) -> Manifest:
    """Render the Deployment of one component."""
    return next(each for each in of_kind(render(values), "Deployment") if component_of(each) == component)


def leaves(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Return all settings by the name of their variable, without a service's prefix."""
    found = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if hasattr(type(value), "model_fields"):
            found |= leaves(value, f"{prefix}{name.upper()}__")
        else:
            found[f"{prefix}{name.upper()}"] = list(value) if isinstance(value, tuple) else value
    return found


def test_every_variable_is_a_setting_and_is_taken(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deployments = of_kind(render_scenario(scenario), "Deployment")
    assert {component_of(each) for each in deployments} == set(COMPONENTS)
    for deployment in deployments:
        component = component_of(deployment)
        known = leaves(read(monkeypatch, deployment))
        for name in environment(deployment):
            own = name.removeprefix(f"ROSTRA_{component.upper()}_")
            assert own in known or _OTHERS.fullmatch(name), name
        assert (
            known["LISTEN__PORT"]
            == deployment["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"]
        )
        assert known["LISTEN__METRICS_PORT"] == 9090


def test_every_setting_of_values_reaches_its_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the schema's settings, at another value than its default, arrives as that value."""
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    for component in COMPONENTS:
        settings, wanted = _others(schema["properties"][component]["properties"]["settings"])
        values = merged(least_values(), {component: {"settings": settings}})
        if component == "user":
            values = merged(values, nested("credentials.invitationCode.existingSecret.name", "x"))
        if component == "gateway":
            values = merged(values, nested("history.settings.abandonedAfterSeconds", 10_000_000))
        found = leaves(read(monkeypatch, deployment_of(values, component)))
        assert {name: found[name] for name in wanted} == wanted
        assert wanted or component == "none"


def test_large_numbers_are_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    values = merged(least_values(), nested("gateway.settings.request.maxBodyBytes", 104857600))
    deployment = deployment_of(values, "gateway")
    assert environment(deployment)["ROSTRA_GATEWAY_REQUEST__MAX_BODY_BYTES"] == "104857600"


def test_services_find_one_another_by_headless_names() -> None:
    manifests = render_scenario("least")
    services = {service["metadata"]["name"]: service for service in of_kind(manifests, "Service")}
    targets = {}
    for deployment in of_kind(manifests, "Deployment"):
        for name, value in environment(deployment).items():
            if name.endswith("__TARGET"):
                host, port = re.fullmatch(r"dns:///([\w-]+)\.rostra\.svc\.cluster\.local:(\d+)", value).groups()  # type: ignore[union-attr]
                assert services[host]["spec"]["clusterIP"] == "None"
                assert int(port) == services[host]["spec"]["ports"][0]["port"]
                targets.setdefault(component_of(deployment), set()).add(host)
    assert targets == {
        "gateway": {"rostra-chat", "rostra-history", "rostra-user"},
        "chat": {"rostra-history", "rostra-user"},
        "user": {"rostra-history"},
    }


@pytest.mark.parametrize(("values", "proxies"), [({}, "1"), ({"cloudFront": True}, "2")])
def test_gateway_behind_load_balancers_believes_as_many_proxies(values: dict[str, Any], proxies: str) -> None:
    alb = {"certificateArn": "arn:aws:acm:eu:1:certificate/1", **values}
    ingress = {"ingress": {"enabled": True, "host": "api.example.com", "alb": alb}}
    name = "ROSTRA_GATEWAY_REQUEST__TRUSTED_PROXIES"
    assert environment(deployment_of(least_values(**ingress), "gateway"))[name] == proxies
    own = merged(least_values(**ingress), nested("gateway.settings.request.trustedProxies", 3))
    assert environment(deployment_of(own, "gateway"))[name] == "3"
    assert name not in environment(deployment_of(least_values(), "gateway"))


def test_gateway_knows_where_people_reach_it() -> None:
    name, alb = "ROSTRA_GATEWAY_PUBLIC_URL", {"certificateArn": "arn:aws:acm:eu:1:certificate/1"}
    ingress = least_values(ingress={"enabled": True, "host": "api.example.com", "alb": alb})
    assert environment(deployment_of(ingress, "gateway"))[name] == "https://api.example.com"
    own = merged(ingress, nested("gateway.settings.publicUrl", "https://chat.example.com"))
    assert environment(deployment_of(own, "gateway"))[name] == "https://chat.example.com"
    assert name not in environment(deployment_of(least_values(), "gateway"))


def test_migration_needs_no_more_than_its_database(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for job in of_kind(render_scenario(scenario), "Job"):
        for name, value in environment(job).items():
            monkeypatch.setenv(name, value)
        assert MigrationSettings().database.url.get_secret_value().startswith("mysql")
        assert not any("REDIS" in name for name in environment(job))


def test_catalogues_of_scenarios_are_read(tmp_path: Path) -> None:
    texts = [text for path in scenarios().values() if (text := read_values(path).get("catalogue"))]
    for number, text in enumerate(texts):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        assert load_catalogue(file)
    assert texts


def _others(schema: dict[str, Any], prefix: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """Return another value than the default for each setting, as values and by the name of their variable."""
    values, wanted = {}, {}
    for name, field in schema["properties"].items():
        variable = prefix + re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper()
        if field.get("properties"):
            values[name], below = _others(field, f"{variable}__")
            wanted |= below
            continue
        values[name] = wanted[variable] = _other(field)
    return values, wanted


def _other(field: dict[str, Any]) -> Any:
    if "enum" in field:
        return next(value for value in reversed(field["enum"]) if value != field.get("default"))
    if field["type"] == "boolean":
        return not field["default"]
    if field["type"] in ("integer", "number"):
        ceiling = field.get("maximum", float("inf"))
        return min(ceiling, (field.get("default") or 0) + 1) if ceiling != field.get("default") else ceiling - 1
    if field["type"] == "array":
        return ["https://app.example.com", "https://b.example.com"]
    return "https://api.example.com" if "pattern" in field else "something"
