"""Whatever schema a client sends, there is a value; and within what is honoured, the value fits."""

from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra_chat.providers.echo.json_sample import sample

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=10,
)
KEYWORDS = st.one_of(
    st.sampled_from(["type", "enum", "const", "format", "minLength", "maxLength"]),
    st.sampled_from(["properties", "required", "additionalProperties", "minProperties"]),
    st.sampled_from(["items", "prefixItems", "minItems", "maxItems"]),
    st.sampled_from(["minimum", "maximum", "exclusiveMinimum", "multipleOf"]),
    st.sampled_from(["$ref", "anyOf", "allOf", "oneOf"]),
)
TYPES = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])


def check(schema: Any) -> Any:
    """Check that the sample of a sound schema fits it, and return it."""
    jsonschema.Draft202012Validator.check_schema(schema)
    value = sample(schema)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).validate(
        value
    )
    assert sample(schema) == value
    return value


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 20},
        "age": {"type": "integer", "minimum": 18, "maximum": 120},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": True},
        "kind": {"const": "person"},
        "address": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "zip": {"type": ["string", "null"]}},
            "required": ["city", "zip"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "age", "tags", "kind", "address"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        PERSON,
        {"type": "string", "maxLength": 3},
        {"type": "string", "minLength": 5, "maxLength": 5},
        {"type": "array", "items": {"type": "integer"}, "minItems": 4, "uniqueItems": True},
        {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "string"}}}, "minItems": 2},
        {"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "null"}], "items": False},
        {"type": "array", "maxItems": 0},
        {"type": "object", "minProperties": 3, "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"never": False, "always": True}},
        {"required": ["x"]},
        {"items": {"type": "string"}},
        {"minimum": 5},
        {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "null"}]},
        {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        {
            "allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"required": ["b"]}],
            "type": "object",
        },
        {"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"type": "boolean"}}},
        {"$defs": {"n": {"type": "integer", "minimum": 1}}, "properties": {"n": {"$ref": "#/$defs/n", "maximum": 9}}},
    ],
)
def test_sample_fits_its_schema(schema: Any) -> None:
    check(schema)


@pytest.mark.parametrize("kind", ["number", "integer"])
@pytest.mark.parametrize(
    "bounds",
    [
        {"minimum": 2.5},
        {"maximum": -3},
        {"exclusiveMinimum": 0},
        {"exclusiveMaximum": 0},
        {"exclusiveMinimum": 1, "exclusiveMaximum": 3},
        {"minimum": 7, "maximum": 7},
        {"multipleOf": 5, "minimum": 1},
        {"multipleOf": 4, "exclusiveMinimum": 8},
        {"multipleOf": 3, "exclusiveMaximum": 0},
        {"multipleOf": 3, "maximum": -4},
        {"multipleOf": 0.5, "minimum": 1.2},
        {"minimum": -10, "maximum": 10},
    ],
)
def test_number_keeps_its_bounds(kind: str, bounds: dict[str, float]) -> None:
    check({"type": kind, **bounds})


@pytest.mark.parametrize(
    "name", ["date", "date-time", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri", "regex"]
)
def test_text_keeps_its_format(name: str) -> None:
    check({"type": "string", "format": name})


def test_recursion_ends() -> None:
    node = {
        "type": "object",
        "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["value", "next"],
    }
    check(node)


def test_recursion_through_lists_ends() -> None:
    tree = {
        "$defs": {
            "node": {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}
        },
        "$ref": "#/$defs/node",
    }
    check(tree)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/absent"},
        {"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]},
        {"type": "array", "minItems": 10**12},
        {"type": "string", "minLength": 10**12},
        {"type": "object", "minProperties": 10**12},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 50},
    ],
)
def test_boundless_schema_gives_a_bounded_value(schema: Any) -> None:
    assert len(orjson.dumps(sample(schema))) < 1_000_000


@given(schema=st.dictionaries(KEYWORDS, JSON | TYPES, max_size=5) | JSON)
def test_any_schema_gives_a_value(schema: Any) -> None:
    orjson.dumps(sample(schema))
