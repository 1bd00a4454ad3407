"""The events of a response, numbered, as they go to the wire."""

from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a response.

    Attributes:
        data: OpenAI's event; its `type` and `sequence_number` are among the fields.
    """

    data: dict[str, Any]

    def frame(self) -> bytes:
        """Return the event as a server-sent event.

        It has no `id:` line: after one, the official SDKs take the next heartbeat for an event and fail.
        """
        return b"event: %b\ndata: %b\n\n" % (self.data["type"].encode(), orjson.dumps(self.data))


class EventWriter:
    """Numbers events and holds them until somebody takes them.

    Args:
        first_number: The first event's number; not 0 where a run is taken over.
    """

    def __init__(self, first_number: int = 0) -> None:
        self._next_number = first_number
        self._written: list[Event] = []

    def write(self, kind: str, **fields: Any) -> None:
        """Write the next event, of type `kind`."""
        self._written.append(Event({"type": kind, "sequence_number": self._next_number, **fields}))
        self._next_number += 1

    @property
    def next_number(self) -> int:
        """Return the number that the next event will have."""
        return self._next_number

    def take(self) -> list[Event]:
        """Return what was written since the last call."""
        written, self._written = self._written, []
        return written
