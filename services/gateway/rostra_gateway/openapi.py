"""The gateway's OpenAPI document: FastAPI's, with the bodies that routes handle themselves and one error.

Routes describe those bodies where they are declared, with `request_body`, `documented` and `STREAMABLE`.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

_REFERENCE = "#/components/schemas/{model}"
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_ERROR_RESPONSE = {
    "description": "An error, in OpenAI's shape.",
    "content": {"application/json": {"schema": {"$ref": _REFERENCE.format(model="Error")}}},
}

STREAMABLE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "OpenAI's object, or with `stream: true` the events that it is made of.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/event-stream": {},
        },
    }
}


def request_body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return what documents a JSON body that the route reads by itself."""
    schema = model.model_json_schema(ref_template=_REFERENCE)
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def documented(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Return what documents the 200 of a route that writes its body by itself."""
    return {200: {"model": model}}


def install_openapi(app: FastAPI) -> None:
    """Make `app` describe itself, once, when it is first asked."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # the way FastAPI documents for extending OpenAPI


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for path in document["paths"].values():
        for operation in path.values():
            _move_definitions(operation.get("requestBody", {}), schemas)
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = _ERROR_RESPONSE
    schemas["Error"] = _ERROR
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _move_definitions(body: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Move a body's schema, and those it refers to, to where all operations share them."""
    for content in body.get("content", {}).values():
        schema = dict(content["schema"])
        schemas.update(schema.pop("$defs", {}))
        schemas[schema["title"]] = schema
        content["schema"] = {"$ref": _REFERENCE.format(model=schema["title"])}
