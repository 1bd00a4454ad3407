"""One request's hold on its key, from the claim until its answer is kept or the key is free again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace

from starlette.responses import Response

from rostra_gateway.idempotency.store import Answer, IdempotencyStore, KeyedRequest, Standing
from rostra_gateway.settings import IdempotencySettings
from rostra_kit.errors import AppError
from rostra_kit.tasks import cancel, uninterrupted

logger = logging.getLogger(__name__)

_RENEWALS_PER_LEASE = 3
# What may be otherwise when the request is sent again: who asks, what they may do, what it contradicts.
_PASSING = {401, 408, 409, 429, 499}


class Claim:
    """A key that is held for a request which runs.

    Nothing here raises when Redis is away: the answer is the client's all the same, and the record expires.

    Args:
        store: Has the record.
        request: The request.
        settings: How long it is held.
        is_secret: Whether its answers hold secrets: that there was one is kept, and no more.
    """

    def __init__(
        self, store: IdempotencyStore, request: KeyedRequest, settings: IdempotencySettings, *, is_secret: bool
    ) -> None:
        self.max_answer_bytes = settings.max_answer_bytes
        self._store = store
        self._request = request
        self._renewal_seconds = settings.lease_seconds / _RENEWALS_PER_LEASE
        self._is_secret = is_secret

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the key, for as long as it takes."""
        renewing = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            await cancel(renewing)

    async def settle(self, response: Response, *, digest: str = "") -> None:
        """Keep an answer, unless asking again may help; `digest` is of the body that it answers."""
        succeeded = response.status_code < 400
        if response.status_code >= 500 or response.status_code in _PASSING or (self._is_secret and not succeeded):
            await self.release()
        else:
            await self.keep(replace(answer_of(response, body=bytes(response.body)), digest=digest))

    async def keep(self, answer: Answer) -> None:
        """Keep an answer, also while being cancelled; of one that is secret or too large, that it was."""
        is_kept = not self._is_secret and len(answer.body) <= self.max_answer_bytes
        await uninterrupted(self._tried(self._store.keep(self._request, answer if is_kept else None)))

    async def release(self) -> None:
        """Free the key, also while being cancelled: the same request may run again."""
        await uninterrupted(self._tried(self._store.release(self._request)))

    async def _renew(self) -> None:
        standing: Standing | Answer = Standing.CLAIMED
        while standing is Standing.CLAIMED:
            await asyncio.sleep(self._renewal_seconds)
            try:
                standing = await self._store.claim(self._request)
            except AppError as error:
                logger.warning("an idempotency key could not be held: %s", error)
        logger.warning("an idempotency key is another request's now")

    async def _tried(self, change: Awaitable[None]) -> None:
        try:
            await change
        except AppError as error:
            logger.warning("an answer is not kept under its idempotency key: %s", error)


def answer_of(response: Response, *, body: bytes) -> Answer:
    """Return what is kept of `response`."""
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Answer(status=response.status_code, headers=headers, body=body)
