"""One run of a model: stores its beginning, reads the answer, stores and settles its end.

The run does not know who listens. It hands events to whatever it is given, and it ends in order in every case: whoever
no longer wants it cancels the task that executes it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import TypeAlias

from rostra.common.v1.limit_state_pb2 import LimitState
from rostra_chat.errors import LeaseLost
from rostra_chat.metering import Charge, Meter
from rostra_chat.responses.answer import Answer, Failure
from rostra_chat.responses.events import Event, EventWriter
from rostra_chat.responses.failure import error_event_fields, public_error
from rostra_chat.responses.leases import Leases
from rostra_chat.responses.plan import RunPlan
from rostra_chat.responses.reducer import ChunkReducer
from rostra_chat.responses.response_object import ended
from rostra_chat.responses.store import ResponseStore
from rostra_kit.context import current_request, set_current_request
from rostra_kit.errors import AppError, DeadlineExceededError, NotFoundError, UnavailableError
from rostra_kit.tasks import uninterrupted

logger = logging.getLogger(__name__)

Emit: TypeAlias = Callable[[list[Event]], Awaitable[None]]

_STORING_SECONDS = 20.0
# A history that restarts is back within a few seconds.
_PATIENCE_SECONDS, _RETRY_SECONDS = 5.0, 0.2


class ResponseRun:
    """A run, to be executed once.

    Args:
        plan: What is to be run.
        meter: Reserves what the run can cost, and settles what it did cost.
        store: Remembers the response, if the client wants that.
        leases: Tells others that the run goes on.

    Attributes:
        response: The response object: as it begins, and after `execute` as it ended.
        limits: Where the caller stands after the reservation.
        error: What broke the answer after it had begun; `None` where nothing did.
    """

    def __init__(self, plan: RunPlan, *, meter: Meter, store: ResponseStore, leases: Leases) -> None:
        self.response = plan.response
        self.limits: tuple[LimitState, ...] = ()
        self.error: AppError | None = None
        self._plan = plan
        self._meter = meter
        self._store = store
        self._leases = leases
        self._writer = EventWriter()
        self._answer = Answer(plan, ChunkReducer(self._writer))
        self._is_stored = False
        self._storing_error: AppError | None = None

    async def execute(self, emit: Emit) -> None:
        """Run the model to its end and hand the events to `emit`, those that came together in one list.

        The last event is emitted once the end is stored and settled. Cancelling cuts the provider's call; the task then
        ends when what was produced is stored and settled.

        Raises:
            AppError: The caller's limits, the store or the provider did not let the answer begin. After that nothing is
                raised: the last event says what went wrong, and so does `error`.
        """
        # Whoever listens cancels the run when their time is over; what is to be stored then must not be out of time.
        set_current_request(current_request()._replace(deadline=None))
        demand = self._plan.demand
        charge = await self._meter.reserve(
            model=self._plan.model, input_tokens=demand.input_tokens, max_output_tokens=demand.max_output_tokens
        )
        self.limits = charge.limits
        with self._lease():
            failure = await self._attempt(emit)
            await uninterrupted(self._conclude(charge, failure))
        if isinstance(failure, asyncio.CancelledError) or (failure and not self._answer.has_begun):
            raise failure
        await emit(self._last_words())

    def _lease(self) -> AbstractContextManager[None]:
        return self._leases.held(self.response["id"]) if self.response["store"] else nullcontext()

    async def _attempt(self, emit: Emit) -> Failure | None:
        """Let the model answer, and return what prevented or broke the answer."""
        try:
            await self._store_beginning()
            await self._read_answer(emit)
        except asyncio.CancelledError as failure:
            return failure  # execute raises it when everything is in order
        except AppError as failure:
            return failure
        except Exception as failure:
            # Before the answer began, the RPC's interceptor logs what nobody foresaw.
            if self._answer.has_begun:
                logger.exception("unforeseen error in a response")
            return failure
        return None

    async def _store_beginning(self) -> None:
        if not self.response["store"]:
            return
        # Said beforehand: when the call is cancelled midway, nobody knows whether it arrived.
        self._is_stored = True
        try:
            await self._store.create(
                self.response,
                input_items=self._plan.input_items,
                branch_point=self._plan.branch_point,
                lease_seconds=self._leases.lease_seconds,
            )
        except AppError:
            self._is_stored = False
            raise

    async def _read_answer(self, emit: Emit) -> None:
        is_first = True
        async with aclosing(self._answer.reads()) as reads:
            async for frames in reads:
                if is_first:
                    self._begin()
                    is_first = False
                self._answer.add(frames)
                await self._emit_written(emit)
        self._answer.finish()
        await self._emit_written(emit)

    def _begin(self) -> None:
        """Tell of the response: no sooner than the provider answers, for until then an error can be a status."""
        self._writer.write("response.created", response=self.response)
        self._writer.write("response.in_progress", response=self.response)

    async def _emit_written(self, emit: Emit) -> None:
        if events := self._writer.take():
            await emit(events)

    async def _conclude(self, charge: Charge, failure: Failure | None) -> None:
        """Store and settle how the run ended; neither waits for the other."""
        self.response = ended(self.response, self._answer.ending(failure))
        if isinstance(failure, Exception):
            self.error = public_error(failure)
        await asyncio.gather(self._store_ending(), self._answer.settle(charge, failure))

    async def _store_ending(self) -> None:
        if not self._is_stored:
            return
        try:
            async with asyncio.timeout(_STORING_SECONDS):
                await self._finish()
        except NotFoundError:
            logger.info("a response was deleted while it ran", extra={"response_id": self.response["id"]})
        except LeaseLost:
            # A conflict with nobody whom the client knows: SDKs would repeat the call, and it would be paid twice.
            self._report_unstored(UnavailableError("The answer was made, but came too late to be stored."))
        except TimeoutError:
            self._report_unstored(DeadlineExceededError("The answer could not be stored in time."))
        except AppError as error:
            self._report_unstored(error)

    async def _finish(self) -> None:
        """Store the end, again and again where history is away for a moment: it may be repeated."""
        loop = asyncio.get_running_loop()
        gives_up_at = loop.time() + _PATIENCE_SECONDS
        while True:
            try:
                await self._store.finish(self.response)
            except (UnavailableError, DeadlineExceededError):
                if loop.time() >= gives_up_at:
                    raise
            else:
                return
            await asyncio.sleep(_RETRY_SECONDS)

    def _report_unstored(self, error: AppError) -> None:
        logger.warning("the end of a response is not stored: %s", error, extra={"response_id": self.response["id"]})
        self._storing_error = error

    def _last_words(self) -> list[Event]:
        """Return the event that ends the stream; an answer that is not stored is not called complete."""
        if self.error is None and self._storing_error is not None:
            self.error = self._storing_error
            self._writer.write("error", **error_event_fields(self.error))
        else:
            self._writer.write(f"response.{self.response['status']}", response=self.response)
        return self._writer.take()
