"""The leases of the responses that this process makes for waiting clients.

Who renews them no more is dead, and the response is ended by a runner of background responses: nobody can make it
again, as nobody knows what its client has seen. A lease that was lost stays so: the answer goes on, but ends with an
error, for its end is not stored.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rostra_chat.responses.store import ResponseStore
from rostra_kit.errors import AppError
from rostra_kit.tasks import cancel

logger = logging.getLogger(__name__)

# Of a lease: the pause between two renewals, and the longest that one is waited for.
_PAUSE = 1 / 10
_LONGEST_RENEWAL = 1 / 4


def longest_until_renewed(lease_seconds: float) -> float:
    """Return how long a process that lives may take to renew its leases, from when the store answers again."""
    return lease_seconds * (_PAUSE + _LONGEST_RENEWAL)


class Leases:
    """Renews all leases of this process in one call; an async context manager.

    Args:
        store: Where the responses are.
        lease_seconds: How long a lease lasts without being renewed.
    """

    def __init__(self, store: ResponseStore, *, lease_seconds: float) -> None:
        self.lease_seconds = lease_seconds
        self._store = store
        self._held: set[str] = set()
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to renew."""
        self._renewing = asyncio.create_task(self._renew_all(), name="foreground-leases")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop to renew."""
        if self._renewing is not None:
            await cancel(self._renewing)

    @contextmanager
    def held(self, response_id: str) -> Iterator[None]:
        """Renew the lease of a response that is stored, or about to be, for as long as the context is open."""
        self._held.add(response_id)
        try:
            yield
        finally:
            self._held.discard(response_id)

    async def _renew_all(self) -> None:
        while True:
            await asyncio.sleep(self.lease_seconds * _PAUSE)
            if self._held:
                await self._renew()

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(self.lease_seconds * _LONGEST_RENEWAL):
                await self._store.renew(sorted(self._held), lease_seconds=self.lease_seconds)
        except (AppError, TimeoutError) as error:
            logger.warning("leases of responses are not renewed: %s", error or "it took too long")
        except Exception:  # whatever it was, all leases of this process hang on going on
            logger.exception("leases of responses are not renewed")
