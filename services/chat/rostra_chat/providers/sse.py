"""Server-sent events of a provider, cut into whole ones however the network cut their bytes."""

from rostra_chat.errors import ProviderError

MAX_EVENT_BYTES = 16 * 1024 * 1024

_END = b"\n\n"


class EventSplitter:
    """Collects bytes and gives out the data of each event that is complete.

    Comments, and fields other than `data`, are dropped: an `id` would even make clients of OpenAI's fail.

    Args:
        max_event_bytes: The longest event that is waited for.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._held_return = False

    def feed(self, received: bytes) -> list[bytes]:
        """Return the data of the events that `received` completes, oldest first.

        Raises:
            ProviderError: An event grows beyond all measure.
        """
        self._buffer += self._with_plain_line_ends(received)
        end = self._buffer.rfind(_END, self._searched)
        if end < 0:
            if len(self._buffer) > self._max_event_bytes:
                raise ProviderError("The model's provider sent a chunk that is too large.")
            self._searched = max(0, len(self._buffer) - 1)
            return []
        whole = bytes(self._buffer[:end])
        del self._buffer[: end + len(_END)]
        self._searched = 0
        return [data for event in whole.split(_END) if (data := _data(event)) is not None]

    def finish(self) -> list[bytes]:
        """Return the data of a last event that the sender did not end with an empty line."""
        return self.feed(_END)

    def _with_plain_line_ends(self, received: bytes) -> bytes:
        """Turn CRLF and CR into LF. A CR at the end waits for what follows: it may be half of a CRLF."""
        if self._held_return:
            received = b"\r" + received
        elif b"\r" not in received:
            return received
        self._held_return = received.endswith(b"\r")
        if self._held_return:
            received = received[:-1]
        return received.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _data(event: bytes) -> bytes | None:
    """Return what the event's `data` lines say, joined by line ends; None where there are none."""
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None
