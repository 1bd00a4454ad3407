"""What an attempt finds of those before it: it shuts them out of the log, and goes on from what they published."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from redis.exceptions import RedisError

from rostra_chat.background.beginning import queued_events
from rostra_chat.background.event_log import AttemptOverError, EventLog
from rostra_chat.background.job_queue import Job
from rostra_chat.background.replay import Replay
from rostra_chat.chat_request import Demand
from rostra_chat.continuation import continued
from rostra_chat.errors import LeaseLost
from rostra_chat.responses.plan import RunPlan
from rostra_chat.tokens import estimate_tokens
from rostra_kit.errors import InternalError

_RETRY_SECONDS = 0.5
_FIND_LOG_SECONDS = 20.0


def untold(job: Job) -> Replay:
    """Return the answer of a response of which nothing is known but that it was queued."""
    return Replay([event.frame() for event in queued_events(job.response)])


async def take_up(job: Job, log: EventLog) -> tuple[Replay, int]:
    """Return the answer as it was published, and how many events the log holds of it.

    Raises:
        LeaseLost: A newer attempt has the log.
        InternalError: Nobody can say what was published.
    """
    is_first = job.lease.attempt == 1
    # From here on the log is empty only if Redis lost it: a runner may die before it has published a word.
    frames = await _take_log(job, log, beginning=untold(job).frames if is_first else ())
    if frames:
        return Replay(frames), len(frames)
    if not is_first:
        raise InternalError("The runner of the response died, and what it had published is lost.")
    return untold(job), 0


def going_on(plan: RunPlan, replay: Replay) -> RunPlan:
    """Return the plan of an attempt that goes on with what was said; without a word, the plan as it is."""
    replay.reducer.resume()
    said = replay.reducer.said
    if not said:
        return plan
    tokens = estimate_tokens(said)
    demand = Demand(
        input_tokens=plan.demand.input_tokens + tokens,
        max_output_tokens=max(1, plan.demand.max_output_tokens - tokens),
    )
    return replace(plan, body=continued(plan.body, said), demand=demand)


async def _take_log(job: Job, log: EventLog, *, beginning: Sequence[bytes]) -> list[bytes]:
    """Return the frames of the log; a first attempt, before which there was little, does not wait for Redis."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + _FIND_LOG_SECONDS
    while True:
        try:
            return await log.take(job.lease.response_id, attempt=job.lease.attempt, beginning=beginning)
        except AttemptOverError as error:
            raise LeaseLost("The response is another runner's.") from error
        except (RedisError, OSError) as error:
            if job.lease.attempt == 1:
                return []
            if loop.time() > give_up_at:
                raise InternalError("What was published of the response cannot be read.") from error
        await asyncio.sleep(_RETRY_SECONDS)
