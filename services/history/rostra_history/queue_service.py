"""The use cases of background responses and of those who run them."""

from collections.abc import Callable, Sequence

from rostra_history.domain import Response, ResponseStatus
from rostra_history.leases import Claim, Lease, Renewal
from rostra_history.metrics import HistoryMetrics
from rostra_history.store import ResponseQueue
from rostra_kit.errors import InvalidArgumentError


class QueueService:
    """Gives responses to runners, and cancels them for their owners.

    Args:
        queue: What waits.
        metrics: What is counted.
        now_us: The time in microseconds since 1970, UTC.
    """

    def __init__(self, *, queue: ResponseQueue, metrics: HistoryMetrics, now_us: Callable[[], int]) -> None:
        self._queue = queue
        self._metrics = metrics
        self._now_us = now_us

    async def claim(self, *, lease_us: int) -> Claim | None:
        """Give the oldest response that waits to the calling runner for this long; `None` when none waits."""
        now_us = self._now_us()
        claim = await self._queue.claim(now_us=now_us, lease_end_us=now_us + lease_us)
        if claim is not None:
            self._count(claim, now_us)
        return claim

    async def renew(self, leases: Sequence[Lease], *, lease_us: int) -> Renewal:
        """Let the leases last this long from now on."""
        return await self._queue.renew(leases, lease_end_us=self._now_us() + lease_us)

    async def release(self, lease: Lease) -> None:
        """Put a response that was claimed back, for another runner."""
        await self._queue.release(lease)

    async def cancel(self, *, owner: str, response_id: str) -> Response:
        """Cancel a background response, and return it as it is then.

        Raises:
            InvalidArgumentError: Its client waits for it: going away is how they cancel it.
        """
        response = await self._queue.cancel(owner=owner, response_id=response_id)
        if not response.background:
            raise InvalidArgumentError("Cannot cancel a synchronous response.", param="response_id")
        if response.status is ResponseStatus.CANCELLED:
            self._metrics.responses_finished.labels(response.status).inc()
        return response

    def _count(self, claim: Claim, now_us: int) -> None:
        if claim.response.background and claim.response.attempt == 1:
            self._metrics.queue_seconds.observe((now_us - claim.response.create_time_us) / 1_000_000)
        why = "abandoned" if claim.job is None else "queued" if claim.tries == 1 else "lease_ended"
        self._metrics.responses_claimed.labels(why).inc()
