"""The README and the code say the same."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from rostra_gateway.metrics import GatewayMetrics
from rostra_gateway.settings import Settings
from rostra_kit.settings import ServiceSettings
from services.gateway.tests.conftest import Gateway

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
INHERITED = tuple(f"ROSTRA_GATEWAY_{name.upper()}" for name in ServiceSettings.model_fields)


def described(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Yield the variable, the default and the description of every setting."""
    for name, setting in model.model_fields.items():
        variable = f"{prefix}{name}".upper()
        if isinstance(setting.annotation, type) and issubclass(setting.annotation, BaseModel):
            yield from described(setting.annotation, f"{variable}__")
        elif not variable.startswith(INHERITED):
            default = "must be set" if setting.default is PydanticUndefined else f"`{setting.default}`"
            yield variable, default, str(setting.description)


def test_every_setting_is_described() -> None:
    rows = [
        f"| `{variable}` | {default} | {text} |" for variable, default, text in described(Settings, "ROSTRA_GATEWAY_")
    ]
    assert [line for line in README.splitlines() if line.startswith("| `ROSTRA_GATEWAY_")] == rows


def test_every_metric_is_described() -> None:
    registry = CollectorRegistry()
    GatewayMetrics(registry)
    names = {family.name + ("_total" if family.type == "counter" else "") for family in registry.collect()}
    assert set(re.findall(r"\| `(rostra_gateway_\w+)", README)) == names


async def test_every_route_is_described(gateway: Gateway) -> None:
    document = gateway.app.openapi()
    routes = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`]+)`", README)) == routes


def test_variables_set_nested_values(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("USER", "CHAT", "HISTORY"):
        monkeypatch.setenv(f"ROSTRA_GATEWAY_{service}__TARGET", f"dns:///{service.lower()}:50051")
    monkeypatch.setenv("ROSTRA_GATEWAY_REQUEST__TRUSTED_PROXIES", "1")
    settings = Settings()
    assert settings.chat.target == "dns:///chat:50051"
    assert settings.request.trusted_proxies == 1


def test_timeouts_form_a_ladder() -> None:
    settings = Settings.model_construct()
    assert settings.heartbeat_seconds < 30
    assert settings.keep_alive_seconds > 60
