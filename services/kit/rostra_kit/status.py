"""Carries an `AppError` over gRPC: as status code, message and `google.rpc.ErrorInfo`, and back."""

from typing import cast

import grpc
from google.rpc import error_details_pb2, status_pb2

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit import errors

DOMAIN = "rostra"
DETAILS_KEY = "grpc-status-details-bin"
RETRY_AFTER_SECONDS = "retry_after_seconds"
PARAM = "param"
# Negative: the client's transport must not repeat the call by itself.
_NO_RETRY = ("grpc-retry-pushback-ms", "-1")

# A call fails with more than 8 KiB of trailers, in which a message stands twice and a byte can take three.
_MAX_MESSAGE_BYTES = 1200
_MAX_FACT_BYTES = 256

_PREFIX = "ERROR_REASON_"
_REASONS: dict[str, ErrorReason] = {name: cast("ErrorReason", number) for name, number in ErrorReason.items()}
_CLASSES: dict[grpc.StatusCode, type[errors.AppError]] = {
    error_class.code: error_class for error_class in errors.AppError.__subclasses__()
}


def reason_name(reason: ErrorReason) -> str:
    """Return the reason as it travels, without the enum's prefix: `MODEL_NOT_FOUND`."""
    return ErrorReason.Name(reason).removeprefix(_PREFIX)


def message_of(error: errors.AppError) -> str:
    """Return the message of `error`, shortened where it is too long to travel: it may repeat what a client sent."""
    return _shortened(error.message, _MAX_MESSAGE_BYTES)


def trailing_metadata(error: errors.AppError) -> tuple[tuple[str, str | bytes], ...]:
    """Return the trailing metadata that tells a gRPC client all that `error` knows.

    A call that a service itself refused is not repeated on the way: each hop would wait for the dependency three times.
    """
    metadata = dict(error.metadata)
    if error.param is not None:
        metadata[PARAM] = error.param
    if error.retry_after_seconds is not None:
        metadata[RETRY_AFTER_SECONDS] = f"{error.retry_after_seconds:.3f}"
    info = error_details_pb2.ErrorInfo(
        reason=reason_name(error.reason),
        domain=DOMAIN,
        metadata={name: _shortened(value, _MAX_FACT_BYTES) for name, value in metadata.items()},
    )
    status = status_pb2.Status(code=error.code.value[0], message=message_of(error))
    status.details.add().Pack(info)
    return ((DETAILS_KEY, status.SerializeToString()), _NO_RETRY)


def error_from_rpc(error: grpc.aio.AioRpcError) -> errors.AppError:
    """Return the error that the other side raised.

    A call that never reached a service (connection refused, deadline over) becomes the class of its status code.
    """
    info = _error_info(error)
    if info is None:
        return _transport_error(error)
    metadata = dict(info.metadata)
    retry_after = metadata.pop(RETRY_AFTER_SECONDS, None)
    error_class = _CLASSES.get(error.code(), errors.InternalError)
    return error_class(
        error.details() or "",
        reason=_REASONS[_PREFIX + info.reason],
        param=metadata.pop(PARAM, None),
        retry_after_seconds=float(retry_after) if retry_after is not None else None,
        metadata=metadata,
    )


def _shortened(text: str, most_bytes: int) -> str:
    encoded = text.encode(errors="replace")
    return text if len(encoded) <= most_bytes else encoded[:most_bytes].decode(errors="ignore") + "…"


def _error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo | None:
    for key, value in error.trailing_metadata():
        if key == DETAILS_KEY and isinstance(value, bytes):
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info) and _PREFIX + info.reason in _REASONS:
                    return info
    return None


def _transport_error(error: grpc.aio.AioRpcError) -> errors.AppError:
    code = error.code()
    if code is grpc.StatusCode.UNAVAILABLE:
        return errors.UnavailableError("A part of Rostra cannot be reached right now.", retry_after_seconds=1)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.DeadlineExceededError("A part of Rostra did not answer in time.")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return errors.InvalidArgumentError(
            "The request is larger than Rostra accepts.", reason=ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE
        )
    return errors.InternalError(f"A part of Rostra answered {code.name}.")
