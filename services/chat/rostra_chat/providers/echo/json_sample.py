"""Values that fit a JSON schema, made without chance: the same schema always gives the same value.

Honoured are `type`, `enum`, `const`, `required`, `properties`, `items`, `prefixItems`, `$ref` within the document,
`allOf`, `anyOf`, `oneOf`, `format`, and the bounds of numbers, texts, arrays and objects. Not honoured are conditions
(`if`, `not`, `dependentSchemas`), `pattern`, `contains` and `patternProperties`: a value may then not fit. Whatever the
schema is, even none, there is a value.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from rostra_chat.providers.echo.json_scalars import bounded, sample_number, sample_text, sample_word

_MAX_DEPTH = 24
# Beyond this depth only what is required is made, and the simplest of alternatives is taken: recursion ends there.
_GENEROUS_DEPTH = 3
_MAX_VALUES = 2000
_MAX_ITEMS = 100

_INFERRED_TYPES = (
    ("object", ("properties", "required", "additionalProperties", "minProperties")),
    ("array", ("items", "prefixItems", "minItems", "uniqueItems")),
    ("string", ("minLength", "maxLength", "format", "pattern")),
    ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
)


def sample(schema: object) -> Any:
    """Return a value that fits `schema`."""
    return _Sampler(schema).value(schema, depth=0, variant=0)


class _Sampler:
    def __init__(self, document: object) -> None:
        self._document = document
        self._made = 0

    def value(self, schema: object, *, depth: int, variant: int) -> Any:
        """Return a value; another `variant` gives another value where the schema has more than one."""
        self._made += 1
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH or self._made > _MAX_VALUES:
            return sample_word(variant)
        schema = self._flat(schema, depth)
        if "const" in schema:
            return schema["const"]
        if choices := _list(schema, "enum"):
            return choices[variant % len(choices)]
        kind = _type_of(schema)
        if kind == "object":
            return self._object(schema, depth, variant)
        return self._array(schema, depth) if kind == "array" else _scalar(kind, schema, variant)

    def _object(self, schema: Mapping[str, Any], depth: int, variant: int) -> dict[str, Any]:
        known = _mapping(schema, "properties")
        required = [name for name in _list(schema, "required") if isinstance(name, str)]
        names = dict.fromkeys([*known, *required] if depth < _GENEROUS_DEPTH else required)
        made = {
            name: self.value(known.get(name), depth=depth + 1, variant=variant)
            for name in names
            if known.get(name) is not False
        }
        for number in range(len(made), bounded(schema, "minProperties", 0, _MAX_ITEMS)):
            made[f"key{number + 1}"] = self.value(schema.get("additionalProperties"), depth=depth + 1, variant=number)
        return made

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        prefix = _list(schema, "prefixItems")
        least = bounded(schema, "minItems", 0, _MAX_ITEMS)
        most = bounded(schema, "maxItems", _MAX_ITEMS, _MAX_ITEMS)
        wanted = max(len(prefix), 1) if depth < _GENEROUS_DEPTH else 0
        if schema.get("items") is False:
            wanted = min(wanted, len(prefix))
        schemas = [*prefix, *[schema.get("items")] * _MAX_ITEMS]
        count = max(least, min(wanted, most))
        return [self.value(each, depth=depth + 1, variant=at) for at, each in enumerate(schemas[:count])]

    def _flat(self, schema: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
        """Return the schema with its references, combinations and choices worked in."""
        for _ in range(_MAX_DEPTH):
            if isinstance(reference := schema.get("$ref"), str):
                schema = _merged([self._resolve(reference), _without(schema, "$ref")])
            elif parts := _list(schema, "allOf"):
                schema = _merged([*parts, _without(schema, "allOf")])
            elif options := _list(schema, "anyOf"):
                schema = _merged([self._choice(options, depth), _without(schema, "anyOf")])
            elif options := _list(schema, "oneOf"):
                schema = _merged([self._choice(options, depth), _without(schema, "oneOf")])
            else:
                break
        return schema

    def _choice(self, options: Sequence[object], depth: int) -> object:
        if depth < _GENEROUS_DEPTH:
            return options[0]
        return min(options, key=_complexity)

    def _resolve(self, reference: str) -> object:
        place = self._document
        for step in unquote(reference.removeprefix("#")).split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(place, Mapping):
                place = place.get(key)
            elif isinstance(place, list) and key.isdecimal() and int(key) < len(place):
                place = place[int(key)]
            else:
                return None
        return place


def _scalar(kind: str, schema: Mapping[str, Any], variant: int) -> Any:
    match kind:
        case "integer" | "number":
            return sample_number(schema, is_whole=kind == "integer", variant=variant)
        case "boolean":
            return variant % 2 == 0
        case "null":
            return None
        case _:
            return sample_text(schema, variant)


def _merged(schemas: Sequence[object]) -> Mapping[str, Any]:
    """Return one schema that asks for what all of them ask for, the later ones having the last word."""
    merged: dict[str, Any] = {}
    for schema in schemas:
        if not isinstance(schema, Mapping):
            continue
        properties = {**_mapping(merged, "properties"), **_mapping(schema, "properties")}
        required = [*_list(merged, "required"), *_list(schema, "required")]
        merged.update(schema)
        if properties:
            merged["properties"] = properties
        if required:
            merged["required"] = required
    return merged


def _complexity(schema: object) -> int:
    """Rank alternatives: what is surely finite comes first."""
    if not isinstance(schema, Mapping):
        return 1
    if _type_of(schema) == "null" or "const" in schema or "enum" in schema:
        return 0
    if "$ref" in schema or "allOf" in schema or "anyOf" in schema or "oneOf" in schema:
        return 4
    return {"object": 3, "array": 2}.get(_type_of(schema), 1)


def _type_of(schema: Mapping[str, Any]) -> str:
    named = schema.get("type")
    if isinstance(named, str):
        return named
    if isinstance(named, list):
        return next((each for each in named if isinstance(each, str) and each != "null"), "null")
    return next((kind for kind, keys in _INFERRED_TYPES if any(key in schema for key in keys)), "string")


def _list(schema: Mapping[str, Any], key: str) -> list[Any]:
    value = schema.get(key)
    return value if isinstance(value, list) else []


def _mapping(schema: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = schema.get(key)
    return value if isinstance(value, Mapping) else {}


def _without(schema: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return {name: value for name, value in schema.items() if name != key}
