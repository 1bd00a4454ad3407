"""Remembers for a moment that a dependency failed, so that not every request waits for its timeout."""

import time
from collections.abc import Callable


class CircuitBreaker:
    """Open for a while after a failure; then one caller at a time finds out whether it is over.

    Args:
        open_seconds: How long nobody tries after a failure.
        clock: Seconds that do not go back.
    """

    def __init__(self, *, open_seconds: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.open_seconds = open_seconds
        self._clock = clock
        self._open_until: float | None = None

    def allows(self) -> bool:
        """Say whether to try. The first to be told so after a failure tries for all: others wait for what it finds."""
        if self._open_until is None:
            return True
        if self._clock() < self._open_until:
            return False
        self._open_until = self._clock() + self.open_seconds
        return True

    def record_failure(self) -> bool:
        """Open, and say whether it was closed before: whether this is news."""
        was_closed = self._open_until is None
        self._open_until = self._clock() + self.open_seconds
        return was_closed

    def record_success(self) -> None:
        """Close."""
        self._open_until = None
