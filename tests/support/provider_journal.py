"""What the scripted provider remembers, for tests to read and to wait for."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ReceivedRequest:
    """A request as it arrived; `headers` ignore case, and `body` is None where it was not JSON."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class Tally:
    """A number that only grows and can be awaited."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = asyncio.Event()

    def add(self) -> None:
        """Count one more, and wake whoever waits."""
        self.count += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def reach(self, count: int, *, timeout_seconds: float) -> None:
        """Wait until `count` were counted, or raise TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            while self.count < count:
                await self._changed.wait()
