"""One attempt to run a background response: takes up what was published, goes on, stores the end, tells of it."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing, suppress
from enum import Enum
from typing import Any

from opentelemetry.trace import Link, SpanKind

from rostra.chat.v1.chat_service_pb2 import ResponseState
from rostra_chat.background.event_log import EventLog
from rostra_chat.background.job_queue import Job, JobQueue
from rostra_chat.background.log_writer import LogWriter
from rostra_chat.background.run_log import RunLog
from rostra_chat.background.takeover import going_on, take_up, untold
from rostra_chat.errors import LeaseLost
from rostra_chat.metering import Charge, Meter
from rostra_chat.responses.answer import Answer, Failure, broken
from rostra_chat.responses.failure import response_error
from rostra_chat.responses.plan import RunPlan
from rostra_chat.responses.planner import Planner
from rostra_chat.responses.response_object import Ending, ended
from rostra_kit.context import RequestContext, set_current_request
from rostra_kit.errors import AppError, DeadlineExceededError, InternalError, NotFoundError, UnavailableError
from rostra_kit.telemetry.facts import collect_facts
from rostra_kit.telemetry.spans import linked_span

logger = logging.getLogger(__name__)

MAX_TRIES = 3

_RETRY_SECONDS = 0.5
_HAND_OVER_SECONDS = 2.0


class Stop(Enum):
    """Why an attempt ends before its answer does."""

    CANCELLED = "cancelled"
    """The response's owner wants no more of it."""
    LOST = "lost"
    """It is another runner's now, or nobody's."""
    HANDED_OVER = "handed over"
    """This process ends; another one goes on."""


class BackgroundRun:
    """An attempt, to be executed once.

    Args:
        job: What is to be run.
        planner: Plans it, for the caller of the request under way.
        meter: Reserves what the attempt can cost, and settles what it did cost.
        queue: Where the response comes from, and where its end goes.
        log: The event logs.
        log_writer: Brings this run's events there.

    Attributes:
        job: What is being run.
        lease_ends_at: When the lease ends unless it is renewed, on the event loop's clock.
    """

    def __init__(
        self, job: Job, *, planner: Planner, meter: Meter, queue: JobQueue, log: EventLog, log_writer: LogWriter
    ) -> None:
        self.job = job
        self.lease_ends_at = 0.0
        self._planner = planner
        self._meter = meter
        self._queue = queue
        self._log = log
        self._log_writer = log_writer
        self._loop = asyncio.get_running_loop()
        self._replay = untold(job)
        self._run_log: RunLog | None = None
        self._answer: Answer | None = None
        self._charge: Charge | None = None
        self._why: Stop | None = None
        self._stopped = asyncio.Event()
        self._is_ending = False
        self._is_ended = False
        self._task: asyncio.Task[None] | None = None

    def start(self, causes: Sequence[Link] = ()) -> asyncio.Task[None]:
        """Execute the attempt in a task of its own, which ends when everything is in order.

        Args:
            causes: What the attempt's trace points at.
        """
        self._task = asyncio.create_task(self._execute(causes), name=f"run {self.job.lease.response_id}")
        return self._task

    def stop(self, why: Stop) -> None:
        """End the attempt. The first reason counts, but nothing helps against a lost lease."""
        if self._why is not None and why is not Stop.LOST:
            return
        self._why = why
        self._stopped.set()
        # What is cancelled keeps what was published of it, so that must be known first: `_begin` stops once it is.
        knows_what_was_said = self._run_log is not None or why is not Stop.CANCELLED
        if self._task is not None and knows_what_was_said and not self._is_ending:
            self._is_ending = True
            self._task.cancel()

    async def _execute(self, causes: Sequence[Link]) -> None:
        response_id = self.job.lease.response_id
        set_current_request(RequestContext(request_id=response_id, caller=self.job.caller))
        facts, began = collect_facts(), self._loop.time()
        with linked_span("run response", causes, {"rostra.response.id": response_id}, kind=SpanKind.CONSUMER):
            await self._run()
            told = {"response_id": response_id, "attempt": self.job.lease.attempt, "is_ended": self._is_ended}
            logger.info("run", extra=told | {"seconds": round(self._loop.time() - began, 4)} | facts)

    async def _run(self) -> None:
        failure = await self._attempt()
        self._is_ending = True
        await self._conclude(failure)
        if self._run_log is not None and not self._is_ended:
            self._run_log.abandon()

    async def _attempt(self) -> Failure | None:
        try:
            await self._begin()
            plan = await self._plan()
            self._charge = await self._meter.reserve(
                model=plan.model,
                input_tokens=plan.demand.input_tokens,
                max_output_tokens=plan.demand.max_output_tokens,
            )
            self._answer = Answer(plan, self._replay.reducer)
            await self._read(self._answer)
        except asyncio.CancelledError as failure:
            self._why = self._why or Stop.HANDED_OVER
            return failure  # the run ends in order: nobody waits for the cancellation
        except LeaseLost as failure:
            self._why = Stop.LOST
            return failure
        except AppError as failure:
            return failure
        except Exception as failure:
            logger.exception("unforeseen error in a response")
            return failure
        return None

    async def _begin(self) -> None:
        """Take up what was published, and tell that the response runs."""
        job = self.job
        if not job.request_body:
            raise InternalError("The process that made the response died.")
        self._replay, length = await take_up(job, self._log)
        if self._stopped.is_set():  # or redis-py may have swallowed the cancellation: see rostra_kit.tasks
            raise asyncio.CancelledError
        self._run_log = RunLog(
            job.lease.response_id,
            attempt=job.lease.attempt,
            frames=self._replay.frames,
            length=length,
            may_restore=lambda: self._is_ended or self._loop.time() < self.lease_ends_at,
            on_over=lambda: self.stop(Stop.LOST),
        )
        self._replay.begin(job.response)
        self._publish()

    async def _plan(self) -> RunPlan:
        """Plan the call of the model, which goes on with what was said already."""
        if self.job.tries > MAX_TRIES:
            raise InternalError(f"The response was tried {MAX_TRIES} times, and its runner died each time.")
        response = self.job.response
        state = ResponseState(
            previous_response_id=response["previous_response_id"] or "",
            conversation_id=(response["conversation"] or {}).get("id", ""),
            store=True,
            background=True,
        )
        plan = await self._planner.plan(self.job.request_body, state, response_id=response["id"])
        return going_on(plan, self._replay)

    async def _read(self, answer: Answer) -> None:
        async with aclosing(answer.reads()) as reads:
            async for frames in reads:
                answer.add(frames)
                self._publish()
        # What ends the items goes with the response's end: until that is stored, nothing is final.
        answer.finish()

    def _publish(self) -> None:
        """Publish the new events; those from the first function's call on wait for the end, when it is whole."""
        if self._run_log is not None and not self._replay.reducer.has_calls:
            self._run_log.add(self._replay.writer.take())
            self._log_writer.write(self._run_log)

    async def _conclude(self, failure: Failure | None) -> None:
        """Settle what was used, then store the end or hand the response over: what is complete has been billed."""
        await self._settle(failure)
        if self._why is Stop.HANDED_OVER and isinstance(failure, asyncio.CancelledError):
            await self._hand_over()
        elif self._why is not Stop.LOST:
            await self._end(failure)

    async def _settle(self, failure: Failure | None) -> None:
        if self._charge is not None and self._answer is not None:
            await self._answer.settle(self._charge, failure)

    async def _hand_over(self) -> None:
        """Publish what there is, and let another runner go on from there."""
        if self._run_log is not None:
            try:
                async with asyncio.timeout(_HAND_OVER_SECONDS):
                    await self._run_log.wait_until_written()
            except TimeoutError:
                logger.info("a response is handed over without its last events")
            self._run_log.abandon()
        try:
            await self._queue.release(self.job.lease)
        except AppError as error:
            logger.warning("a response is not handed over and waits for its lease to end: %s", error)

    async def _end(self, failure: Failure | None) -> None:
        """Store the end, then tell of it."""
        if self._answer is not None:
            ending = self._answer.ending(failure)
        else:
            ending = broken(self._replay.reducer, failure or InternalError("The response never began."))
        response = await self._store(ended(self.job.response, ending))
        if response is None:
            return
        self._is_ended = True
        if self._run_log is not None:
            self._replay.writer.write(f"response.{response['status']}", response=response)
            self._run_log.add(self._replay.writer.take())
            self._run_log.end()
            self._log_writer.write(self._run_log)

    async def _store(self, response: dict[str, Any]) -> dict[str, Any] | None:
        """Store the end however long it takes, and return it; `None` where it is not for this attempt to end it."""
        while self._why is not Stop.LOST:
            try:
                await self._queue.finish(response, self.job.lease)
            except (LeaseLost, NotFoundError):
                return None
            except (UnavailableError, DeadlineExceededError) as error:
                logger.warning("the end of a response is not stored yet: %s", error)
                if self._why is Stop.HANDED_OVER:  # the process has no time left, and another one makes the rest again
                    return None
                await self._pause()
            except AppError as error:
                if response["status"] == "failed":
                    raise
                response = ended(self.job.response, Ending(status="failed", error=response_error(error)))
            else:
                return response
        return None

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_SECONDS):
                await self._stopped.wait()
