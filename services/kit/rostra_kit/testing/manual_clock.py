"""A clock that moves when a test says so."""


class ManualClock:
    """Answers a time in microseconds that only `advance` changes."""

    def __init__(self) -> None:
        self._now_us = 1_800_000_000_123_457

    def __call__(self) -> int:
        """Return the time in microseconds."""
        return self._now_us

    def advance(self, *, seconds: float = 0.0, microseconds: int = 0) -> None:
        """Let time pass."""
        self._now_us += round(seconds * 1_000_000) + microseconds
