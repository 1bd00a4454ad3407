"""Work that goes on beside the requests."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from prometheus_client import Counter
from redis.exceptions import RedisError

from rostra_kit.errors import AppError
from rostra_kit.tasks import cancel

logger = logging.getLogger(__name__)


@asynccontextmanager
async def repeated(
    name: str, turn: Callable[[], Awaitable[None]], *, pause_seconds: float, failures: Counter
) -> AsyncIterator[None]:
    """Take one turn after the other while the context is open; a turn that fails is logged and counted."""
    task = asyncio.create_task(_repeat(name, turn, pause_seconds, failures), name=name)
    try:
        yield
    finally:
        await cancel(task)


async def _repeat(name: str, turn: Callable[[], Awaitable[None]], pause_seconds: float, failures: Counter) -> None:
    while True:
        try:
            await turn()
        except (AppError, RedisError) as error:
            failures.inc()
            logger.warning("%s has to wait: %s", name, error)
        except Exception:
            failures.inc()
            logger.exception("%s failed and will be tried again", name)
        await asyncio.sleep(pause_seconds)
