"""Says in OpenAI's words what broke a response after it had begun."""

from typing import Any

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.errors import AppError, InternalError, InvalidArgumentError
from rostra_kit.status import reason_name

_LIMITED = (ErrorReason.ERROR_REASON_RATE_LIMIT_EXCEEDED, ErrorReason.ERROR_REASON_PROVIDER_RATE_LIMITED)


def public_error(failure: Exception) -> AppError:
    """Return what a client may know of `failure`."""
    return failure if isinstance(failure, AppError) else InternalError("Something went wrong inside Rostra.")


def response_error(error: AppError) -> dict[str, str]:
    """Return the `error` of a failed response; strict clients know OpenAI's codes only."""
    if error.reason in _LIMITED:
        code = "rate_limit_exceeded"
    elif isinstance(error, InvalidArgumentError):
        code = "invalid_prompt"
    else:
        code = "server_error"
    return {"code": code, "message": error.message}


def error_event_fields(error: AppError) -> dict[str, Any]:
    """Return the fields of an `error` event.

    OpenAI's description has them side by side, Open Responses in an object of their own, and SDKs look for either.
    """
    fields = {"code": reason_name(error.reason).lower(), "message": error.message, "param": error.param}
    return {**fields, "error": {"type": "server_error", **fields}}
