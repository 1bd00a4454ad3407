"""Reads logs for all who follow one in this process: what is asked for at the same time, in one round trip."""

import asyncio

from redis.exceptions import RedisError

from rostra_chat.background.event_log import Entry, EventLog

_Wanted = tuple[str, int]


class LogReader:
    """Gathers what the followers want to read; one message wakes all whose logs have grown.

    Args:
        log: The logs.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._reading: dict[_Wanted, asyncio.Future[list[Entry]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, response_id: str, *, after: int) -> list[Entry]:
        """Return the entries, some at a time, with events beyond the log's first `after`.

        Raises:
            RedisError: Redis does not answer.
        """
        wanted = (response_id, after)
        if not self._reading:
            task = asyncio.create_task(self._read_all(), name="log-reader")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if wanted not in self._reading:
            self._reading[wanted] = asyncio.get_running_loop().create_future()
        # One follower that leaves must not take the answer from the others.
        return await asyncio.shield(self._reading[wanted])

    async def _read_all(self) -> None:
        # Whoever was woken together with the first one asks before the loop comes round again.
        await asyncio.sleep(0)
        reading, self._reading = self._reading, {}
        try:
            found = await self._log.read(list(reading))
        except (RedisError, OSError) as error:
            for answer in reading.values():
                answer.set_exception(error)
                answer.exception()  # nobody may be waiting any more
            return
        for answer, entries in zip(reading.values(), found, strict=True):
            answer.set_result(entries)
