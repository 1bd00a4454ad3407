"""What goes wrong with an OpenAI-compatible server, said in Rostra's errors. The one table of it.

| the server | Rostra |
|---|---|
| cannot be reached | UNAVAILABLE PROVIDER_UNAVAILABLE, try again after 1 s |
| 400 | INVALID_ARGUMENT PROVIDER_REJECTED with its message, param and code |
| 401, 403 | UNAVAILABLE PROVIDER_UNAUTHORIZED: this installation's key is at fault, not the client's |
| 404 | NOT_FOUND MODEL_NOT_FOUND |
| 413 | INVALID_ARGUMENT REQUEST_TOO_LARGE |
| 422 | INVALID_ARGUMENT UNPROCESSABLE |
| 429 | RESOURCE_EXHAUSTED PROVIDER_RATE_LIMITED with its Retry-After; without quota UNAVAILABLE, no retry |
| 502, 503, 529 | UNAVAILABLE PROVIDER_UNAVAILABLE |
| 504, or silence | DEADLINE_EXCEEDED PROVIDER_TIMEOUT |
| anything else | INTERNAL PROVIDER_ERROR |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_chat.errors import ModelNotFound, ProviderError, ProviderTimeout, ProviderUnavailable
from rostra_chat.providers.http.errors import CannotConnect, HttpError
from rostra_kit.errors import AppError, InvalidArgumentError, ResourceExhaustedError

_RETRY_AFTER_SECONDS = 1.0
_MAX_MESSAGE_CHARACTERS = 2000
_NO_QUOTA = frozenset({"insufficient_quota", "credit_balance_exhausted"})


def transport_error(error: HttpError | TimeoutError) -> AppError:
    """Return what a failure of the connection means."""
    if isinstance(error, CannotConnect):
        return ProviderUnavailable(
            "The model's provider cannot be reached right now.", retry_after_seconds=_RETRY_AFTER_SECONDS
        )
    if isinstance(error, TimeoutError):
        return ProviderTimeout("The model's provider did not answer in time.")
    return ProviderError("The model's provider closed the connection before the answer was complete.")


def answer_error(status: int, headers: Mapping[str, str], body: bytes, *, model_id: str) -> AppError:
    """Return what an answer with an error status means.

    Args:
        status: The HTTP status.
        headers: The answer's headers, their names in small letters.
        body: The answer's body; OpenAI's error object, if all is well.
        model_id: The public name of the model that was asked for.
    """
    meaning = _MEANINGS.get(status)
    if meaning is None:
        return ProviderError(f"The model's provider failed with status {status}.")
    return meaning(_Refusal(error=_told(body), headers=headers, model_id=model_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """What the server said."""

    error: Mapping[str, Any]
    headers: Mapping[str, str]
    model_id: str


def _rejected(refusal: _Refusal, reason: ErrorReason = ErrorReason.ERROR_REASON_PROVIDER_REJECTED) -> AppError:
    code, param = refusal.error.get("code"), refusal.error.get("param")
    return InvalidArgumentError(
        _text(refusal.error.get("message")) or "The model's provider refused the request.",
        reason=reason,
        param=param if isinstance(param, str) else None,
        metadata={"code": code} if isinstance(code, str) else {},
    )


def _unprocessable(refusal: _Refusal) -> AppError:
    return _rejected(refusal, ErrorReason.ERROR_REASON_UNPROCESSABLE)


def _too_large(_: _Refusal) -> AppError:
    return InvalidArgumentError(
        "The request is larger than the model's provider accepts.", reason=ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE
    )


def _not_found(refusal: _Refusal) -> AppError:
    return ModelNotFound.named(refusal.model_id)


def _unauthorized(_: _Refusal) -> AppError:
    """Say it in our own words: the server's may quote the key."""
    return ProviderUnavailable(
        "The model's provider does not accept this installation's credentials.",
        reason=ErrorReason.ERROR_REASON_PROVIDER_UNAUTHORIZED,
    )


def _limited(refusal: _Refusal) -> AppError:
    if _NO_QUOTA & {refusal.error.get("code"), refusal.error.get("type")}:
        return ProviderUnavailable("This installation's quota with the model's provider is used up.")
    return ResourceExhaustedError(
        "The model's provider is limiting this installation. Please try again later.",
        reason=ErrorReason.ERROR_REASON_PROVIDER_RATE_LIMITED,
        retry_after_seconds=_retry_after_seconds(refusal.headers) or _RETRY_AFTER_SECONDS,
    )


def _overloaded(refusal: _Refusal) -> AppError:
    return ProviderUnavailable(
        "The model's provider is overloaded.",
        retry_after_seconds=_retry_after_seconds(refusal.headers) or _RETRY_AFTER_SECONDS,
    )


def _late(_: _Refusal) -> AppError:
    return ProviderTimeout("The model's provider did not answer in time.")


_MEANINGS: dict[int, Callable[[_Refusal], AppError]] = {
    400: _rejected,
    401: _unauthorized,
    403: _unauthorized,
    404: _not_found,
    413: _too_large,
    422: _unprocessable,
    429: _limited,
    502: _overloaded,
    503: _overloaded,
    504: _late,
    529: _overloaded,
}


def _told(body: bytes) -> Mapping[str, Any]:
    """Return OpenAI's error object; an empty one where the body has none."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    error = document.get("error", document) if isinstance(document, dict) else {}
    return error if isinstance(error, dict) else {"message": error}


def _text(value: object) -> str:
    return value[:_MAX_MESSAGE_CHARACTERS] if isinstance(value, str) else ""


def _retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return what `Retry-After` says, in seconds or as a date; None where it says nothing that makes sense."""
    value = headers.get("retry-after", "")
    try:
        return float(max(0, int(value)))
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (then.astimezone(UTC) - datetime.now(UTC)).total_seconds())
