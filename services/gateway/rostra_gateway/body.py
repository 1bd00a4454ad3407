"""Reads a request's JSON body: an object, valid for its schema, with errors that name the field at fault."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_gateway.request_body import RequestTooLarge
from rostra_kit.errors import InvalidArgumentError

ModelT = TypeVar("ModelT", bound=BaseModel)

# Everything behind can write what nests no deeper, also as a part of something larger: orjson writes 254 levels.
_MAX_DEPTH = 128
_ORJSON_DEPTH = 254
_MAX_SMALL_BYTES = 64 * 1024


async def read_json(request: Request) -> dict[str, Any]:
    """Return the body as a JSON object; an absent body is an empty one.

    Raises:
        InvalidArgumentError: The body is not an object in JSON, or claims to be something else.
    """
    check_says_json(request)
    return _parse(await request.body())


def check_says_json(request: Request) -> None:
    """Check that the body does not claim to be something else.

    Raises:
        InvalidArgumentError: It does.
    """
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise InvalidArgumentError(
            "The request body must be JSON; send the header `Content-Type: application/json`.",
            reason=ErrorReason.ERROR_REASON_INVALID_TYPE,
        )


async def read_small_json(request: Request) -> dict[str, Any]:
    """Return the body as `read_json` does, for forms: what a stranger sends must be cheap to refuse.

    Raises:
        InvalidArgumentError: As in `read_json`, or the body is larger than 64 KiB.
    """
    raw = await request.body()
    if len(raw) > _MAX_SMALL_BYTES:
        raise RequestTooLarge(f"The request body is larger than {_MAX_SMALL_BYTES} bytes.")
    return await read_json(request)


def validate(model: type[ModelT], document: dict[str, Any]) -> ModelT:
    """Return `document` as a `model`.

    Raises:
        InvalidArgumentError: A field is missing or cannot be; `param` names the first one at fault.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid_argument(error.errors(include_url=False, include_context=False), document) from error


def invalid_argument(errors: Sequence[Any], document: dict[str, Any] | None = None) -> InvalidArgumentError:
    """Return the error that says what pydantic found first, in `document` where it was one."""
    first = errors[0]
    location = first["loc"]
    if document is not None:
        location = tuple(_steps(location, document, is_missing=first["type"] == "missing"))
    param = _param(location)
    if first["type"] == "extra_forbidden":
        message, reason = f"Unknown parameter: '{param}'.", ErrorReason.ERROR_REASON_INVALID_VALUE
    elif first["type"] == "missing":
        message, reason = f"Missing required parameter: '{param}'.", ErrorReason.ERROR_REASON_MISSING_REQUIRED_PARAMETER
    elif first["type"].endswith(("_type", "_parsing")):
        message, reason = f"Invalid type for '{param}': {first['msg']}.", ErrorReason.ERROR_REASON_INVALID_TYPE
    else:
        message, reason = f"Invalid value for '{param}': {first['msg']}.", ErrorReason.ERROR_REASON_INVALID_VALUE
    return InvalidArgumentError(message, reason=reason, param=param)


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError as error:
        raise InvalidArgumentError(f"The request body is not valid JSON: {error}.") from error
    if not isinstance(document, dict):
        raise InvalidArgumentError(
            "The request body must be a JSON object.", reason=ErrorReason.ERROR_REASON_INVALID_TYPE
        )
    if raw.count(b"[") + raw.count(b"{") > _MAX_DEPTH and not _is_shallow(document):
        raise InvalidArgumentError(f"The request body nests deeper than {_MAX_DEPTH} levels.")
    return document


def _is_shallow(document: dict[str, Any]) -> bool:
    """Tell whether `document` nests at most `_MAX_DEPTH` levels: wrapped in the others, orjson can still write it."""
    nested: object = document
    for _ in range(_ORJSON_DEPTH - _MAX_DEPTH):
        nested = [nested]
    try:
        orjson.dumps(nested)
    except orjson.JSONEncodeError:
        return False
    return True


def _steps(location: tuple[int | str, ...], document: object, *, is_missing: bool) -> Iterator[int | str]:
    """Yield the steps of a location that lead through `document`: pydantic's have names of types among them."""
    place: Any = document
    for number, step in enumerate(location, 1):
        try:
            place = place[step]
        except (KeyError, IndexError, TypeError):
            if not (is_missing and number == len(location)):
                continue
        yield step


def _param(location: tuple[int | str, ...]) -> str:
    """Write pydantic's location as OpenAI writes parameters: `messages[0].content`."""
    param = ""
    # FastAPI says first where a parameter stands; what stands there may have the same name.
    if len(location) > 1 and location[0] in ("body", "query", "path", "header"):
        location = location[1:]
    for part in location:
        if isinstance(part, int):
            param += f"[{part}]"
        elif part != "[key]":
            param += f".{part:.100}" if param else f"{part:.100}"
    return param
