"""Reads a request's JSON body: an object, valid for its schema, with errors that name the field at fault."""

from collections.abc import Sequence
from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.errors import InvalidArgumentError

ModelT = TypeVar("ModelT", bound=BaseModel)


async def read_json(request: Request) -> dict[str, Any]:
    """Return the body as a JSON object; an absent body is an empty one.

    Raises:
        InvalidArgumentError: The body is not an object in JSON, or claims to be something else.
    """
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise InvalidArgumentError(
            "The request body must be JSON; send the header `Content-Type: application/json`.",
            reason=ErrorReason.ERROR_REASON_INVALID_TYPE,
        )
    raw = await request.body()
    try:
        document = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError as error:
        raise InvalidArgumentError(f"The request body is not valid JSON: {error}.") from error
    if not isinstance(document, dict):
        raise InvalidArgumentError(
            "The request body must be a JSON object.", reason=ErrorReason.ERROR_REASON_INVALID_TYPE
        )
    return document


def validate(model: type[ModelT], document: dict[str, Any]) -> ModelT:
    """Return `document` as a `model`.

    Raises:
        InvalidArgumentError: A field is missing or cannot be; `param` names the first one at fault.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid_argument(error.errors(include_url=False, include_context=False)) from error


def invalid_argument(errors: Sequence[Any]) -> InvalidArgumentError:
    """Return the error that says what pydantic found first."""
    first = errors[0]
    param = _param(first["loc"])
    if first["type"] == "missing":
        message, reason = f"Missing required parameter: '{param}'.", ErrorReason.ERROR_REASON_MISSING_REQUIRED_PARAMETER
    elif first["type"].endswith(("_type", "_parsing")):
        message, reason = f"Invalid type for '{param}': {first['msg']}.", ErrorReason.ERROR_REASON_INVALID_TYPE
    else:
        message, reason = f"Invalid value for '{param}': {first['msg']}.", ErrorReason.ERROR_REASON_INVALID_VALUE
    return InvalidArgumentError(message, reason=reason, param=param)


def _param(location: tuple[int | str, ...]) -> str:
    """Write pydantic's location as OpenAI writes parameters: `messages[0].content`."""
    param = ""
    for part in location:
        if isinstance(part, int):
            param += f"[{part}]"
        elif part not in ("body", "query", "path", "header"):
            param += f".{part}" if param else part
    return param
