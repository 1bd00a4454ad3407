"""Errors as clients see them: an HTTP status, OpenAI's error body, and the headers that steer a retry.

The body is always `{"error": {"message", "type", "param", "code"}}`; `code` is the reason in lower case.
"""

import math
from typing import Any

import grpc
import orjson
from fastapi.responses import Response

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.errors import AppError
from rostra_kit.status import reason_name

# After google/rpc/code.proto.
_STATUS_OF_CODE = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
# Where HTTP is finer than gRPC.
_STATUS_OF_REASON = {
    ErrorReason.ERROR_REASON_UNPROCESSABLE: 422,
    ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE: 413,
    # The response is there, so 404 would be wrong: it cannot be streamed.
    ErrorReason.ERROR_REASON_EVENTS_NOT_KEPT: 400,
}
_TYPE_OF_STATUS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


def http_status(error: AppError) -> int:
    """Return the HTTP status that `error` becomes."""
    return _STATUS_OF_REASON.get(error.reason) or _STATUS_OF_CODE.get(error.code, 500)


def error_body(error: AppError) -> dict[str, Any]:
    """Return OpenAI's error object for `error`."""
    status = http_status(error)
    return {
        "message": error.message,
        "type": _error_type(error, status),
        "param": error.param,
        "code": error.metadata.get("code") or reason_name(error.reason).lower(),
    }


def problem(error: AppError) -> Response:
    """Return the response that tells a client of `error`."""
    status = http_status(error)
    headers = {}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_seconds)))
    elif status in (429, 503, 504):
        # The official SDKs would try again by themselves; here that cannot help.
        headers["x-should-retry"] = "false"
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return json_problem(status, error_body(error), headers)


def json_problem(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """Return OpenAI's error response with `body` as its error object."""
    return Response(orjson.dumps({"error": body}), status, headers, media_type="application/json")


def _error_type(error: AppError, status: int) -> str:
    if error.reason == ErrorReason.ERROR_REASON_INSUFFICIENT_QUOTA:
        return "insufficient_quota"
    if error.reason == ErrorReason.ERROR_REASON_RATE_LIMIT_EXCEEDED:
        return error.metadata.get("limit", "requests")
    if status >= 500:
        return "server_error"
    return _TYPE_OF_STATUS.get(status, "invalid_request_error")
