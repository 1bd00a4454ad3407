"""Write what the chart generates: values.schema.json, the tables of its README, and the goldens of its scenarios.

The schema is charts/rostra/values.schema.yaml with closed objects, the services' `settings` taken from their code, and
the same keys for each service.
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic.alias_generators import to_camel

from rostra_chat.settings import Settings as ChatSettings
from rostra_gateway.settings import Settings as GatewaySettings
from rostra_history.settings import Settings as HistorySettings
from rostra_kit.settings import ServiceSettings
from rostra_user.settings import Settings as UserSettings

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.chart import CHART, golden, golden_path, read_values, scenarios

Schema = dict[str, Any]

SETTINGS: dict[str, type[ServiceSettings]] = {
    "gateway": GatewaySettings,
    "chat": ChatSettings,
    "history": HistorySettings,
    "user": UserSettings,
}
# What the chart sets itself, from other keys.
MANAGED = {
    *("environment", "log_level", "listen", "shutdown", "target", "url", "signing_keys_directory", "invitation_code"),
    *("tls", "tls_ca_file", "migrate_on_start", "catalogue_file"),
    *("replica_url", "user_file", "password_file", "tls_certificate_file", "tls_key_file"),
}
KEPT = (
    "type",
    "enum",
    "const",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "default",
    "description",
)
BEGIN, END = "<!-- values -->", "<!-- end of values -->"


def settings_schema(model: Schema, definitions: Schema) -> Schema:
    """Return the schema of a service's settings as values: camelCase, closed, without what the chart manages."""
    properties = {}
    for name, field in model["properties"].items():
        # Names in capitals are other products' variables; the chart has keys of its own for them.
        if name in MANAGED or name.isupper():
            continue
        resolved = _resolve(field, definitions)
        if "properties" in resolved:
            resolved = settings_schema(resolved, definitions)
            if not resolved["properties"]:
                continue
        else:
            items = {"items": {"type": resolved["items"]["type"]}} if "items" in resolved else {}
            resolved = {key: value for key, value in resolved.items() if key in KEPT} | items
        properties[to_camel(name)] = resolved
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _resolve(field: Schema, definitions: Schema) -> Schema:
    """Follow a reference, and take the one type of an optional field."""
    if "$ref" in field:
        return _resolve(definitions[field["$ref"].rpartition("/")[2]], definitions)
    options = [option for option in field.get("anyOf", []) if option.get("type") != "null"]
    return {**_resolve(options[0], definitions), **field} if options else field


def close(schema: Any) -> Any:
    """Refuse unknown keys wherever an object lists its own."""
    if isinstance(schema, list):
        return [close(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: close(value) for key, value in schema.items()}
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def chart_schema() -> Schema:
    """Return the whole schema."""
    schema = close(yaml.safe_load((CHART / "values.schema.yaml").read_text()))
    shape = schema["properties"]["defaults"]
    for component, settings in SETTINGS.items():
        own = copy.deepcopy(shape)
        model = settings.model_json_schema()
        own["properties"]["settings"] = settings_schema(model, model.get("$defs", {}))
        own["description"] = f"The service {component}: the keys of `defaults`, and its `settings`."
        schema["properties"][component] = own
    # Helm gives every chart's values this key.
    schema["properties"]["global"] = {"type": "object"}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}


def rows(schema: Schema, defaults: Any, path: str = "") -> list[str]:
    """Return a table row for each value of a schema."""
    found = []
    for name, field in schema["properties"].items():
        if name == "global" and not path:
            continue
        key = f"{path}.{name}" if path else name
        default = defaults.get(name) if isinstance(defaults, dict) else None
        if field.get("properties") and not path.endswith(("scaleUp", "scaleDown")):
            # The services' keys are those of `defaults`: only what differs is worth a row.
            found += [] if key in SETTINGS else rows(field, default, key)
            continue
        shown = "" if default in ("", None, {}, []) else f"`{json.dumps(default, ensure_ascii=False)}`"
        found.append(
            f"| `{key}` | {shown if len(shown) < 60 else 'see values.yaml'} | {field.get('description', '')} |"
        )
    return found


def settings_rows(component: str, schema: Schema, path: str) -> list[str]:
    """Return a table row for each setting of a service."""
    found = []
    for name, field in schema["properties"].items():
        key = f"{path}.{name}"
        if field.get("properties"):
            found += settings_rows(component, field, key)
        else:
            default = f"`{json.dumps(field['default'])}`" if field.get("default") is not None else ""
            found.append(f"| `{key}` | {default} | {field.get('description', '')} |")
    return found


def readme(text: str, schema: Schema) -> str:
    """Return the README with its tables made anew."""
    head = "| key | default | meaning |\n|---|---|---|\n"
    tables = [head + "\n".join(rows(schema, read_values(CHART / "values.yaml")))]
    for component in SETTINGS:
        settings = schema["properties"][component]["properties"]["settings"]
        table = head + "\n".join(settings_rows(component, settings, f"{component}.settings"))
        tables.append(f"### {component}'s settings\n{table}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return f"{before}{BEGIN}\n" + "\n\n".join(tables) + f"\n{END}{after}"


def main() -> None:
    """Write everything."""
    schema = chart_schema()
    (CHART / "values.schema.json").write_text(json.dumps(schema, indent=1, ensure_ascii=False) + "\n")
    page = CHART / "README.md"
    page.write_text(readme(page.read_text(), schema))
    golden_path("").parent.mkdir(exist_ok=True)
    for old in golden_path("").parent.glob("*.yaml"):
        old.unlink()
    for name, path in scenarios().items():
        golden_path(name).write_text(golden(read_values(path)))


if __name__ == "__main__":
    main()
