"""The stream of a chat completion, from the provider's bytes to whole chunks, and whether it came to a proper end."""

from collections.abc import Iterator
from typing import Any

import orjson

from rostra_chat.errors import ProviderError
from rostra_chat.providers.provider import Frame
from rostra_chat.providers.sse import EventSplitter

_DONE = b"[DONE]"


class ChunkStream:
    """Reads one stream.

    A failure is kept until the chunks before it are out: `feed`, hand the frames on, then `raise_failure`.

    Attributes:
        is_ended: Whether there is nothing more to read: after `[DONE]`, the end of the bytes, or a failure.
    """

    def __init__(self) -> None:
        self.is_ended = False
        self._splitter = EventSplitter()
        self._failure: ProviderError | None = None
        self._open_choices: set[object] = set()
        self._has_choices = False

    def feed(self, received: bytes) -> list[Frame]:
        """Return the frames that `received` completes; no bytes mean that the connection has ended."""
        try:
            events = self._splitter.feed(received) if received else self._splitter.finish()
        except ProviderError as error:
            return self._fail(error)
        frames = list(self._frames(events))
        if not received and not self.is_ended:
            self._end()
        return frames

    def raise_failure(self) -> None:
        """Raise what broke the stream, if anything did."""
        if self._failure is not None:
            raise self._failure

    def _frames(self, events: list[bytes]) -> Iterator[Frame]:
        for event in events:
            if event == _DONE:
                self.is_ended = True
                return
            frame = _frame(event)
            if isinstance(frame, ProviderError):
                self._fail(frame)
                return
            self._note_choices(frame.data)
            yield frame

    def _note_choices(self, chunk: dict[str, Any]) -> None:
        for choice in chunk.get("choices") or ():
            self._has_choices = True
            index = choice.get("index")
            if choice.get("finish_reason") is None:
                self._open_choices.add(index)
            else:
                self._open_choices.discard(index)

    def _end(self) -> None:
        """Judge a stream that ends without `[DONE]`: it is whole if every choice says that it finished."""
        self.is_ended = True
        if self._open_choices or not self._has_choices:
            self._fail(ProviderError("The model's provider closed the connection before the answer was complete."))

    def _fail(self, error: ProviderError) -> list[Frame]:
        self.is_ended = True
        self._failure = error
        return []


def _frame(event: bytes) -> Frame | ProviderError:
    try:
        chunk = orjson.loads(event)
    except orjson.JSONDecodeError:
        return ProviderError("The model's provider sent a chunk that is not JSON.")
    if not _is_chunk(chunk):
        return _told_error(chunk)
    # Rarely JSON comes over several lines: as one line it needs one `data:`.
    line = orjson.dumps(chunk) if b"\n" in event else event
    return Frame(data=chunk, raw=b"data: " + line + b"\n\n")


def _is_chunk(chunk: object) -> bool:
    if not isinstance(chunk, dict) or chunk.get("error"):
        return False
    choices = chunk.get("choices")
    return choices is None or (isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices))


def _told_error(chunk: object) -> ProviderError:
    """Return the error that a provider tells of in the midst of a stream."""
    error = chunk.get("error") if isinstance(chunk, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    if not isinstance(message, str):
        return ProviderError("The model's provider sent a chunk that cannot be understood.")
    return ProviderError(f"The model's provider failed: {message}")
