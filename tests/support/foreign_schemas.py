"""The schemas of other projects' objects, as hack/foreign_schemas.py keeps them in tests/chart/schemas."""

import json
from functools import cache
from typing import Any

import jsonschema

from support.chart import ROOT, Manifest

_FOLDER = ROOT / "tests/chart/schemas"


@cache
def read_schema(name: str) -> dict[str, Any]:
    """Return a schema by the name of its file."""
    return json.loads((_FOLDER / f"{name}.json").read_text())


def custom_kinds() -> set[tuple[str, str]]:
    """Return apiVersion and kind of all custom objects that have a schema here."""
    names = [path.stem.split("_") for path in _FOLDER.glob("*_*.json")]
    return {(f"{group}/{version}", kind) for group, version, kind in names}


def foreign_schema(manifest: Manifest) -> dict[str, Any] | None:
    """Return the schema of a custom object; `None` where there is none, as for Kubernetes' own kinds."""
    name = f"{manifest['apiVersion'].replace('/', '_')}_{manifest['kind']}"
    return read_schema(name) if (_FOLDER / f"{name}.json").exists() else None


def foreign_errors(manifest: Manifest) -> str:
    """Return what is wrong with a custom object by its schema, as text."""
    schema = foreign_schema(manifest)
    assert schema, manifest["kind"]
    errors = jsonschema.Draft7Validator(schema).iter_errors(manifest)
    return "; ".join(f"{error.json_path}: {error.message}" for error in errors)
