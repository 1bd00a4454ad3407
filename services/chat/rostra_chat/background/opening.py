"""Opens all that background responses need, and closes it in order."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from rostra_chat.background.event_log import EventLog
from rostra_chat.background.follower import Follower
from rostra_chat.background.job_queue import Job, JobQueue
from rostra_chat.background.log_writer import LogWriter
from rostra_chat.background.run import BackgroundRun
from rostra_chat.background.runner import Runner
from rostra_chat.background.service import BackgroundResponses
from rostra_chat.background.signals import Signals
from rostra_chat.metering import Meter
from rostra_chat.metrics import ChatMetrics
from rostra_chat.responses.planner import Planner
from rostra_chat.settings import BackgroundSettings
from rostra_kit.redis import RedisClients
from rostra_kit.telemetry.causes import Causes


@dataclass(frozen=True, slots=True)
class Background:
    """Background responses, open.

    Attributes:
        responses: What clients can ask for.
        runner: What this process runs of it.
    """

    responses: BackgroundResponses
    runner: Runner


@asynccontextmanager
async def open_background(
    settings: BackgroundSettings,
    *,
    redis: RedisClients,
    queue: JobQueue,
    planner: Planner,
    meter: Meter,
    metrics: ChatMetrics,
    drain_seconds: float,
    foreground_renewal_seconds: float,
) -> AsyncIterator[Background]:
    """Run background responses while the context is open; at its end they have `drain_seconds`.

    What lives renews its leases in the foreground within `foreground_renewal_seconds` after history was away.
    """
    log, causes = EventLog(redis.commands, keep_seconds=settings.keep_events_seconds), Causes(redis.limiter)
    async with AsyncExitStack() as stack:
        signals = await stack.enter_async_context(Signals(listener=redis.streams, sender=redis.limiter))
        log_writer = await stack.enter_async_context(
            LogWriter(log, metrics=metrics, gather_seconds=settings.gather_seconds)
        )

        def new_run(job: Job) -> BackgroundRun:
            return BackgroundRun(job, planner=planner, meter=meter, queue=queue, log=log, log_writer=log_writer)

        runner = await stack.enter_async_context(
            Runner(
                queue=queue,
                new_run=new_run,
                signals=signals,
                settings=settings,
                drain_seconds=drain_seconds,
                foreground_renewal_seconds=foreground_renewal_seconds,
                metrics=metrics,
                causes=causes,
            )
        )
        follower = Follower(log=log, queue=queue, signals=signals, metrics=metrics)
        responses = BackgroundResponses(
            planner=planner, queue=queue, follower=follower, log_writer=log_writer, signals=signals, causes=causes
        )
        yield Background(responses, runner)
