"""When a service is ready: after each hard dependency has answered once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

logger = logging.getLogger(__name__)

Check = Callable[[], Awaitable[object]]

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0


async def wait_until_ready(checks: Sequence[Check]) -> None:
    """Return when every check has succeeded once; a check that raises is tried again, with growing pauses.

    Readiness is not taken back later: when a shared dependency fails, taking every replica out of service would turn
    clear 503 answers into refused connections.
    """
    await asyncio.gather(*(_first_success(check) for check in checks))


async def _first_success(check: Check) -> None:
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            await check()
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the dependency is not ready
            logger.warning("waiting for a dependency: %s", error)
        else:
            return
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
