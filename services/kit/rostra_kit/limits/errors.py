"""The error of limits that cannot be checked."""

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.errors import UnavailableError


class LimitsUnavailable(UnavailableError):
    """Nobody can say now whether the limits allow it."""

    default_reason = ErrorReason.ERROR_REASON_LIMITS_UNAVAILABLE
