"""Runs background responses in this process: claims them, keeps their leases, hands them over when the process ends."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from opentelemetry.trace import Link

from rostra_chat.background.job_queue import Job, JobQueue
from rostra_chat.background.run import BackgroundRun, Stop
from rostra_chat.background.signals import CANCEL, WORK, Signals
from rostra_chat.metrics import ChatMetrics
from rostra_chat.settings import BackgroundSettings
from rostra_kit.errors import AppError
from rostra_kit.tasks import cancel
from rostra_kit.telemetry.causes import Causes

logger = logging.getLogger(__name__)


class Runner:
    """Runs as many responses at once as it may; an async context manager.

    Leaving its context gives the runs what is left of the drain time, then hands over the rest.

    Args:
        queue: Where the responses wait.
        new_run: Makes a run of a job.
        signals: Tells sooner than a look at the queue would that there is something to do.
        settings: How many, how long, how often.
        drain_seconds: The time that runs get to finish once the process is told to end.
        foreground_renewal_seconds: The time in which those who live renew the leases of responses whose clients wait,
            once history is back.
        metrics: Counts runs and how long they waited.
        causes: Knows the requests that the runs are for.
    """

    def __init__(
        self,
        *,
        queue: JobQueue,
        new_run: Callable[[Job], BackgroundRun],
        signals: Signals,
        settings: BackgroundSettings,
        drain_seconds: float,
        foreground_renewal_seconds: float,
        metrics: ChatMetrics,
        causes: Causes,
    ) -> None:
        self._queue = queue
        self._new_run = new_run
        self._signals = signals
        self._settings = settings
        self._drain_seconds = drain_seconds
        self._renewed_seconds = max(settings.lease_seconds, foreground_renewal_seconds)
        self._metrics = metrics
        self._causes = causes
        self._runs: dict[asyncio.Task[None], BackgroundRun] = {}
        self._more_to_do = asyncio.Event()
        self._is_queue_away = False
        self._answered_at = self._claims_from = 0.0
        self._drain_ends_at: float | None = None
        self._claiming: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to run what waits."""
        if self._settings.max_runs:
            self._claiming = asyncio.create_task(self._claim_all(), name="background-claims")
            self._renewing = asyncio.create_task(self._renew_all(), name="background-leases")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let runs finish, hand over what does not, and stop."""
        self.stop_claiming()
        if self._claiming is not None:
            await asyncio.wait({self._claiming})
        if self._runs and self._drain_ends_at is not None:
            left_seconds = max(0.0, self._drain_ends_at - asyncio.get_running_loop().time())
            await asyncio.wait(self._runs, timeout=left_seconds)
        handed_over = bool(self._runs)
        for run in self._runs.values():
            run.stop(Stop.HANDED_OVER)
        while self._runs:
            await asyncio.wait(self._runs)
        if self._renewing is not None:
            await cancel(self._renewing)
        if handed_over:
            self._signals.send(WORK)

    def stop_claiming(self) -> None:
        """Claim nothing more, for the process ends; what runs has the drain time from now on."""
        if self._drain_ends_at is None:
            self._drain_ends_at = asyncio.get_running_loop().time() + self._drain_seconds
        # A claim under way is waited for: what it brings would be nobody's until its lease ends.
        self._more_to_do.set()

    async def _claim_all(self) -> None:
        with self._signals.heard(WORK) as heard:
            self._more_to_do = heard
            while self._drain_ends_at is None:
                heard.clear()
                # The next look is at once while there is work and room for it, else when there may be again.
                if len(self._runs) >= self._settings.max_runs or not await self._claim():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._settings.poll_seconds):
                            await heard.wait()

    async def _claim(self) -> bool:
        """Start what waits longest, and tell whether there was anything."""
        now = asyncio.get_running_loop().time()
        try:
            if self._is_queue_away:
                await self._queue.renew([], lease_seconds=self._settings.lease_seconds)
                self._note_answer(now)
            if now < self._claims_from:
                return False
            job = await self._queue.claim(lease_seconds=self._settings.lease_seconds)
        except AppError as error:
            if not self._is_queue_away:
                logger.warning("the queue of background responses does not answer: %s", error)
            self._is_queue_away = True
            return False
        except Exception:  # whatever it is, the next look may succeed
            logger.exception("unforeseen error: nothing can be claimed")
            return False
        self._note_answer(now)
        if job is not None:
            causes = await self._causes.recall(job.lease.response_id)
            self._start(job, causes, lease_ends_at=now + self._settings.lease_seconds)
        return job is not None

    def _note_answer(self, now: float) -> None:
        could_renew_seconds = self._settings.lease_seconds - 2 * self._settings.renew_seconds
        if self._is_queue_away and now - self._answered_at > could_renew_seconds:
            # Nobody could renew for so long: those who live do so before anybody takes over from them.
            self._claims_from = now + self._renewed_seconds
        self._is_queue_away = False
        self._answered_at = max(now, self._answered_at)

    def _start(self, job: Job, causes: Sequence[Link], *, lease_ends_at: float) -> None:
        run = self._new_run(job)
        run.lease_ends_at = lease_ends_at
        task = run.start(causes)
        self._runs[task] = run
        task.add_done_callback(self._note_end)
        self._metrics.background_runs.set(len(self._runs))
        if job.lease.attempt == 1:
            self._metrics.queue_seconds.observe(max(0.0, time.time() - job.response["created_at"]))
        else:
            self._metrics.takeovers.inc()
            logger.info("a response is taken over", extra={"response_id": job.lease.response_id})

    def _note_end(self, task: asyncio.Task[None]) -> None:
        run = self._runs.pop(task)
        self._metrics.background_runs.set(len(self._runs))
        self._more_to_do.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a run broke", exc_info=error, extra={"response_id": run.job.lease.response_id})

    async def _renew_all(self) -> None:
        with self._signals.heard(CANCEL) as heard:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.renew_seconds):
                        await heard.wait()
                heard.clear()
                if self._runs:
                    await self._renew()

    async def _renew(self) -> None:
        runs = {run.job.lease.response_id: run for run in self._runs.values()}
        now = asyncio.get_running_loop().time()
        try:
            renewal = await self._queue.renew(
                [run.job.lease for run in runs.values()], lease_seconds=self._settings.lease_seconds
            )
        except AppError as error:
            logger.warning("leases cannot be renewed: %s", error)
            self._is_queue_away = True
            return
        except Exception:  # whatever it is, the next look may succeed
            logger.exception("unforeseen error: leases cannot be renewed")
            self._is_queue_away = True
            return
        self._note_answer(now)
        for response_id, run in runs.items():
            if response_id in renewal.lost:
                run.stop(Stop.LOST)
                continue
            run.lease_ends_at = now + self._settings.lease_seconds
            if response_id in renewal.cancelled:
                run.stop(Stop.CANCELLED)
