"""The time of day, as a value that tests can replace."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present moment, aware of its zone, which is UTC."""
    return datetime.now(UTC)
