"""The events of background responses in Redis: one stream for each response, which one runner writes and anyone reads.

An entry holds the frames of events that came together. Its id is the log's length, in events, up to and with it: events
are numbered from 0, so whoever has event N has N + 1 of them, and what is new to them has a greater id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

EVENTS = "rostra:events"
"""The channel that tells which logs have grown: their responses' ids, with spaces between."""

_CHUNK_EVENTS = 512
_READ_ENTRIES = 64
_FRAME_END = b"\n\n"


class AttemptOverError(Exception):
    """The log is written by a newer attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of a log.

    Attributes:
        length: How many events the log has, up to and with this entry.
        frames: The entry's events, ready for the wire.
        is_last: Whether the response ends with it.
    """

    length: int
    frames: bytes
    is_last: bool

    def after(self, length: int) -> bytes:
        """Return the frames of the events that follow the first `length` of the log."""
        wanted = self.length - length
        frames = split_frames(self.frames)
        return self.frames if wanted >= len(frames) else b"".join(frames[-wanted:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """What one writer appends at one time.

    Attributes:
        response_id: The response.
        attempt: The writer's attempt.
        length: How many events the log is believed to have.
        frames: One frame for each event that follows.
        is_last: Whether the response ends with them.
    """

    response_id: str
    attempt: int
    length: int
    frames: Sequence[bytes]
    is_last: bool


class EventLog:
    """The logs of all responses.

    Every method raises redis-py's errors while Redis is away.

    Args:
        redis: A client for ordinary commands.
        keep_seconds: How long a log is kept after it was last written to.
    """

    def __init__(self, redis: Redis, *, keep_seconds: float) -> None:
        self._redis = redis
        self._keep_ms = round(keep_seconds * 1000)
        self._append = redis.register_script(_script("append"))
        self._take = redis.register_script(_script("take"))

    async def append(self, additions: Sequence[Addition]) -> list[int | None]:
        """Append to some logs, in one round trip, and return how many events each has.

        Nothing is appended to a log of another length than was believed. `None` stands for a log that a newer attempt
        writes. Readers are told by a message on the channel `EVENTS`.
        """
        lengths = await self._run(additions)
        if any(isinstance(length, NoScriptError) for length in lengths):
            await self._redis.script_load(self._append.script)
            lengths = await self._run(additions)
        for length in lengths:
            if isinstance(length, Exception):
                raise length
        return [None if length < 0 else length for length in lengths]

    async def take(self, response_id: str, *, attempt: int, beginning: Sequence[bytes] = ()) -> list[bytes]:
        """Shut older attempts out and return the frames of the log, one for each event.

        Args:
            response_id: The response.
            attempt: The attempt that writes from now on.
            beginning: What the log begins with if it is empty.

        Raises:
            AttemptOverError: There is a newer attempt.
        """
        begun: list[int | bytes] = [len(beginning), b"".join(beginning)] if beginning else []
        found = await self._take(keys=_keys(response_id), args=[attempt, self._keep_ms, *begun])
        if found is None:
            raise AttemptOverError
        return [frame for frames in found for frame in split_frames(frames)]

    async def read(self, wanted: Sequence[tuple[str, int]]) -> list[list[Entry]]:
        """Return entries of some logs, in one round trip.

        Args:
            wanted: For each log the response, and how many of its first events the reader has. Of a log with many
                entries beyond those, the first are returned.
        """
        async with self._redis.pipeline(transaction=False) as pipeline:
            for response_id, after in wanted:
                pipeline.xrange(_keys(response_id)[0], min=f"{after + 1}-0", count=_READ_ENTRIES)
            return [[_entry(*each) for each in found] for found in await pipeline.execute()]

    async def newest(self, response_id: str) -> Entry | None:
        """Return the log's newest entry; `None` where there is no log."""
        found: Any = await self._redis.xrevrange(_keys(response_id)[0], count=1)
        return _entry(*found[0]) if found else None

    async def _run(self, additions: Sequence[Addition]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for addition in additions:
                keys = _keys(addition.response_id)
                head = (addition.attempt, addition.length, self._keep_ms)
                pipeline.evalsha(self._append.sha, len(keys), *keys, *head, *_entries(addition))
            pipeline.publish(EVENTS, b" ".join([addition.response_id.encode() for addition in additions]))
            return (await pipeline.execute(raise_on_error=False))[:-1]


def split_frames(frames: bytes) -> list[bytes]:
    """Cut what came together into a frame for each event."""
    return [frame + _FRAME_END for frame in frames.split(_FRAME_END)[:-1]]


def _entries(addition: Addition) -> list[int | bytes]:
    """Return the arguments of the new entries; much that comes at once is cut, so that no entry is huge."""
    arguments: list[int | bytes] = []
    length, frames = addition.length, addition.frames
    for start in range(0, len(frames), _CHUNK_EVENTS):
        chunk = frames[start : start + _CHUNK_EVENTS]
        is_last = addition.is_last and start + len(chunk) == len(frames)
        arguments += [length + start + len(chunk), b"".join(chunk), int(is_last)]
    return arguments


def _keys(response_id: str) -> list[str]:
    return [f"run:{{{response_id}}}:events", f"run:{{{response_id}}}:attempt"]


def _entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    return Entry(length=int(entry_id.partition(b"-")[0]), frames=fields[b"f"], is_last=fields[b"e"] == b"1")


def _script(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.lua").read_text("utf-8")
