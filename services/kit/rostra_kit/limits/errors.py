"""The error of limits that cannot be checked."""

from rostra_kit.errors import UnavailableError


class LimitsUnavailable(UnavailableError):  # noqa: N818 - named for what is so, as the kit's other refinements are
    """Nobody can say now whether the limits allow it."""
