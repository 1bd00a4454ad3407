"""values.yaml, its schema and the templates know the same keys, and each key is described."""

import json
import re
from collections.abc import Iterator
from typing import Any

from support.chart import CHART, COMPONENTS, read_values

_SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
_VALUES = read_values(CHART / "values.yaml")
# Given on by a variable of a template, so that no template names them whole.
_PASSED_ON = re.compile(r"\.(behavior|probes|rollout|resources|store|issuer|parameters|shutdown|image|spread)\.")


def leaves(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each value that has no named values below it, by its dotted path."""
    for name, field in schema["properties"].items():
        key = f"{path}.{name}" if path else name
        if field.get("properties"):
            yield from leaves(field, key)
        else:
            yield key, field


def test_every_key_of_the_schema_has_a_default() -> None:
    missing = []
    for key, _ in leaves({**_SCHEMA, "properties": {k: v for k, v in _SCHEMA["properties"].items() if k != "global"}}):
        if key.split(".")[0] in COMPONENTS or ".probes." in key or ".behavior." in key:
            continue
        found: Any = _VALUES
        for name in key.split("."):
            found = found.get(name, KeyError) if isinstance(found, dict) else KeyError
        if found is KeyError:
            missing.append(key)
    assert missing == []


def test_every_key_is_described() -> None:
    undescribed = [key for key, field in leaves(_SCHEMA) if not field.get("description") and ".probes." not in key]
    assert undescribed == ["global"]


def test_every_key_is_used() -> None:
    templates = "".join(path.read_text() for path in (CHART / "templates").rglob("*.*"))
    unused = []
    for key, _ in leaves(_SCHEMA):
        top, _, rest = key.partition(".")
        if top in COMPONENTS or top == "global" or _PASSED_ON.search(key):
            continue
        last = rest.rpartition(".")[2] or top
        if not re.search(rf"\.{last}\b|\"{last}\"", templates):
            unused.append(key)
    assert unused == []


def test_components_have_identical_shapes() -> None:
    shapes = {name: set(_SCHEMA["properties"][name]["properties"]) - {"settings"} for name in COMPONENTS}
    assert {frozenset(shape) for shape in shapes.values()} == {
        frozenset(_SCHEMA["properties"]["defaults"]["properties"])
    }


def test_every_object_is_closed() -> None:
    open_objects = [path for path, schema in _objects(_SCHEMA) if schema.get("properties") and _is_open(schema)]
    # `autoscaling.behavior.scaleUp` and the like are Kubernetes' own words, which its schema checks.
    assert open_objects == []


def test_helpers_are_named_after_the_chart() -> None:
    for path in (CHART / "templates").rglob("*.tpl"):
        names = re.findall(r'define "([^"]+)"', path.read_text())
        assert names
        assert all(name.startswith("rostra.") for name in names), path


def _is_open(schema: dict[str, Any]) -> bool:
    return schema.get("additionalProperties", True) is not False


def _objects(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, list):
        for each in schema:
            yield from _objects(each, path)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object":
        yield path, schema
    for key, value in schema.items():
        yield from _objects(value, f"{path}.{key}")
