from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from rostra.user.v1.user_service_pb2 import DESCRIPTOR
from rostra_kit.settings import ServiceSettings
from rostra_user.metrics import UserMetrics
from rostra_user.settings import Settings

README = (Path(__file__).parents[1] / "README.md").read_text()


def settings_rows(model: type[BaseModel], prefix: str = "ROSTRA_USER_") -> Iterator[str]:
    """Yield the lines of the table of settings, as they must stand in the README."""
    for name, field in model.model_fields.items():
        if name in ServiceSettings.model_fields:
            continue
        variable = f"{prefix}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_rows(field.annotation, f"{variable}__")
            continue
        default = "must be set" if field.default is PydanticUndefined else f"`{field.default}`"
        if field.default is None:
            default = ""
        yield f"| `{variable}` | {default} | {field.description} |"


@pytest.mark.parametrize("row", list(settings_rows(Settings)))
def test_readme_has_the_setting(row: str) -> None:
    assert row in README.splitlines()


@pytest.mark.parametrize("method", [method.name for method in DESCRIPTOR.services_by_name["UserService"].methods])
def test_readme_has_the_rpc(method: str) -> None:
    assert f"`{method}`" in README


def test_readme_has_the_metrics() -> None:
    registry = CollectorRegistry()
    UserMetrics(registry)
    for metric in registry.collect():
        assert f"`{metric.name}" in README, metric.name
