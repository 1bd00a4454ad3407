"""The error of limits that cannot be checked."""

from rostra_kit.errors import UnavailableError


class LimitsUnavailable(UnavailableError):
    """Nobody can say now whether the limits allow it."""
