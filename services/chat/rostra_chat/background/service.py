"""The use cases of background responses: make one, follow it, cancel it."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import orjson
from redis.exceptions import RedisError

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_chat.background.beginning import queued_events
from rostra_chat.background.follower import WRITING_SECONDS, Follower
from rostra_chat.background.job_queue import ENDED, JobQueue
from rostra_chat.background.log_writer import LogWriter
from rostra_chat.background.run_log import RunLog
from rostra_chat.background.signals import CANCEL, WORK, Signals, events_topic
from rostra_chat.errors import EventsNotKept
from rostra_chat.responses.planner import Planner
from rostra_kit.errors import AppError, InvalidArgumentError
from rostra_kit.telemetry.causes import Causes

logger = logging.getLogger(__name__)

_CANCEL_SECONDS = 10.0
_LOOK_SECONDS = 0.25


class BackgroundResponses:
    """Makes responses that run whether their clients are there or not.

    Args:
        planner: Checks a request as it will be run.
        queue: Where the responses wait for a runner.
        follower: Reads their events.
        log_writer: Writes their first events.
        signals: Wakes runners.
        causes: Lets the trace of a run point at the request that it is for.
    """

    def __init__(
        self,
        *,
        planner: Planner,
        queue: JobQueue,
        follower: Follower,
        log_writer: LogWriter,
        signals: Signals,
        causes: Causes,
    ) -> None:
        self._planner = planner
        self._queue = queue
        self._follower = follower
        self._log_writer = log_writer
        self._signals = signals
        self._causes = causes

    async def create(self, request: pb.CreateResponseRequest) -> pb.CreateResponseResponse:
        """Queue a response and return it.

        Raises:
            AppError: The request is wrong, or history is away. Limits are met when it runs.
        """
        return pb.CreateResponseResponse(body=orjson.dumps(await self._enqueue(request.body, request.state)))

    async def stream(self, request: pb.StreamResponseRequest) -> AsyncGenerator[pb.StreamResponseResponse, None]:
        """Queue a response and follow it from its first event. Closing the iterator ends nothing else.

        Raises:
            AppError: As `create` and `follow` do.
        """
        response = await self._enqueue(request.body, request.state)
        async with aclosing(self._follower.follow(response["id"], after=0)) as pieces:
            async for frames in pieces:
                yield pb.StreamResponseResponse(frames=frames)

    async def follow(self, request: pb.FollowResponseRequest) -> AsyncGenerator[pb.FollowResponseResponse, None]:
        """Follow a response from any point to its end.

        Raises:
            NotFoundError: There is none, or its events are not kept.
            AppError: Redis or history is away for long.
        """
        if request.HasField("starting_after") and request.starting_after < 0:
            raise InvalidArgumentError("Invalid 'starting_after': must not be negative.", param="starting_after")
        response = await self._queue.get(request.response_id)
        if not response["background"]:
            raise EventsNotKept("Only responses that run in the background can be streamed later.", param="stream")
        after = request.starting_after + 1 if request.HasField("starting_after") else 0
        following = self._follower.follow(response["id"], after=after, is_ended=_is_long_over(response))
        async with aclosing(following) as pieces:
            async for frames in pieces:
                yield pb.FollowResponseResponse(frames=frames)

    async def cancel(self, request: pb.CancelResponseRequest) -> pb.CancelResponseResponse:
        """End a response as cancelled and return it; one that has ended already is returned as it is.

        A runner that is not heard of delays the end: then the response is returned as it is after some seconds.

        Raises:
            NotFoundError: There is none.
            InvalidArgumentError: It does not run in the background.
        """
        response = await self._queue.cancel(request.response_id)
        if not response["background"]:
            raise InvalidArgumentError("Cannot cancel a synchronous response.")
        if response["status"] not in ENDED:
            response = await self._wait_for_end(response)
        elif response["status"] == "cancelled":
            await self._close_log(response)
        return pb.CancelResponseResponse(body=orjson.dumps(response))

    async def _enqueue(self, body: bytes, state: pb.ResponseState) -> dict[str, Any]:
        if not state.store:
            raise InvalidArgumentError(
                "Background responses must be stored: 'store' cannot be false.",
                reason=ErrorReason.ERROR_REASON_UNSUPPORTED_VALUE,
                param="store",
            )
        plan = await self._planner.plan(body, state)
        response = plan.response | {"status": "queued", "background": True}
        events = RunLog(response["id"], attempt=0)
        events.add(queued_events(response))
        # Both, before the client hears of it: a response without a log cannot be taken over when its runner dies.
        await asyncio.gather(
            self._queue.enqueue(
                response, input_items=plan.input_items, request_body=body, branch_point=plan.branch_point
            ),
            self._log_writer.write_soon(events),
            self._causes.remember(response["id"]),
        )
        self._signals.send(WORK)
        return response

    async def _wait_for_end(self, response: dict[str, Any]) -> dict[str, Any]:
        """Wait until the runner has heard of it, and return the response as it is then."""
        with self._signals.heard(events_topic(response["id"])) as heard, suppress(TimeoutError):
            self._signals.send(CANCEL)
            async with asyncio.timeout(_CANCEL_SECONDS):
                while response["status"] not in ENDED:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_SECONDS):
                            await heard.wait()
                    heard.clear()
                    response = await self._queue.get(response["id"])
        return response

    async def _close_log(self, response: dict[str, Any]) -> None:
        """Tell followers at once of the end of a response that never ran; without this they ask after a while."""
        try:
            await self._follower.close(response)
        except (RedisError, OSError, AppError) as error:
            logger.info("the log of a cancelled response is not ended: %s", error)


def _is_long_over(response: dict[str, Any]) -> bool:
    """Tell whether a response has ended, and nobody can have its events in memory to write a lost log anew."""
    if response["status"] not in ENDED:
        return False
    completed_at: int | None = response.get("completed_at")
    return completed_at is None or time.time() - completed_at > WRITING_SECONDS
