"""The errors that Rostra's services raise, and how each travels.

    AppError
    ├── InvalidArgumentError     INVALID_ARGUMENT     the request cannot be, whoever sends it
    ├── UnauthenticatedError     UNAUTHENTICATED      nobody is known to be calling
    ├── PermissionDeniedError    PERMISSION_DENIED    the caller may not
    ├── NotFoundError            NOT_FOUND            it does not exist, or is somebody else's
    ├── AlreadyExistsError       ALREADY_EXISTS       it exists already
    ├── ConflictError            ABORTED              it contradicts the present state
    ├── ResourceExhaustedError   RESOURCE_EXHAUSTED   a limit is reached
    ├── UnavailableError         UNAVAILABLE          a dependency is down; trying again may help
    ├── DeadlineExceededError    DEADLINE_EXCEEDED    it took too long
    └── InternalError            INTERNAL             nobody foresaw it

Services subclass these (`class ConversationNotFound(NotFoundError)`), stores raise them in place of a driver's errors,
and everything between lets them pass. `rostra_kit.status` carries them over gRPC; the gateway turns them into HTTP.
"""

from collections.abc import Mapping
from typing import ClassVar

import grpc

from rostra.common.v1.error_reason_pb2 import ErrorReason


class AppError(Exception):
    """An error with a meaning for the caller.

    Args:
        message: A sentence for people. It reaches the client.
        reason: What happened, for programs; the class's own reason when absent.
        param: The request's field at fault, in the client's terms, for example `messages[0].role`.
        retry_after_seconds: When trying again makes sense; `None` when it does not, or when nobody knows.
        metadata: More for programs; it reaches the gateway, not the client.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    default_reason: ClassVar[ErrorReason] = ErrorReason.ERROR_REASON_INTERNAL_ERROR

    def __init__(
        self,
        message: str,
        *,
        reason: ErrorReason | None = None,
        param: str | None = None,
        retry_after_seconds: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.param = param
        self.retry_after_seconds = retry_after_seconds
        self.metadata = dict(metadata or {})


class InvalidArgumentError(AppError):
    """The request cannot be, whoever sends it."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    default_reason = ErrorReason.ERROR_REASON_INVALID_VALUE


class UnauthenticatedError(AppError):
    """Nobody is known to be calling."""

    code = grpc.StatusCode.UNAUTHENTICATED
    default_reason = ErrorReason.ERROR_REASON_INVALID_API_KEY


class PermissionDeniedError(AppError):
    """The caller may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED
    default_reason = ErrorReason.ERROR_REASON_PERMISSION_DENIED


class NotFoundError(AppError):
    """It does not exist, or is somebody else's: the two look the same. Subclasses name the reason."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExistsError(AppError):
    """It exists already."""

    code = grpc.StatusCode.ALREADY_EXISTS
    default_reason = ErrorReason.ERROR_REASON_CONFLICT


class ConflictError(AppError):
    """The request contradicts the present state."""

    code = grpc.StatusCode.ABORTED
    default_reason = ErrorReason.ERROR_REASON_CONFLICT


class ResourceExhaustedError(AppError):
    """A limit is reached."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    default_reason = ErrorReason.ERROR_REASON_RATE_LIMIT_EXCEEDED


class UnavailableError(AppError):
    """A dependency is down; trying again may help."""

    code = grpc.StatusCode.UNAVAILABLE
    default_reason = ErrorReason.ERROR_REASON_SERVICE_UNAVAILABLE


class DeadlineExceededError(AppError):
    """It took too long."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    default_reason = ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED


class InternalError(AppError):
    """Nobody foresaw it."""

    code = grpc.StatusCode.INTERNAL
    default_reason = ErrorReason.ERROR_REASON_INTERNAL_ERROR
