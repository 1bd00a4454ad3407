"""Rebuilds an answer from the events that were published of it, so that another runner can go on with it.

The deltas are played to a reducer as chunks of a provider. It then writes the same events again, one for one: a log for
which it does not was written by something else and is not gone on with.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from rostra_chat.background.beginning import write_in_progress
from rostra_chat.responses.events import EventWriter
from rostra_chat.responses.reducer import ChunkReducer
from rostra_kit.errors import InternalError
from rostra_kit.items import new_item_id

_TEXTS = {
    "response.output_text.delta": "content",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning_content",
}
_BEGINNINGS = ("response.created", "response.queued", "response.in_progress")


class Replay:
    """An answer as far as it was published.

    Args:
        frames: The frames of the log, one for each event.
        item_ids: Names for the items that come after those of the log, as far as they have names already.

    Attributes:
        frames: The frames of the log.
        writer: Writes the events that follow those of the log.
        reducer: Has the items, and takes what follows.
        is_in_progress: Whether the log says that the response runs.

    Raises:
        InternalError: The log does not come from this program.
    """

    def __init__(self, frames: Sequence[bytes], *, item_ids: Iterable[str] = ()) -> None:
        self.frames = list(frames)
        self.writer = EventWriter()
        self.reducer = ChunkReducer(self.writer, name_item=self._name_item)
        self.is_in_progress = False
        self._last_part: tuple[str, int] = ("", 0)
        events = [self.parse(frame) for frame in self.frames]
        added = [event["item"]["id"] for event in events if event["type"] == "response.output_item.added"]
        self._item_ids = deque([*added, *list(item_ids)[len(added) :]])
        for event in events:
            self._play(event)
        if [event.data["type"] for event in self.writer.take()] != [event["type"] for event in events]:
            raise InternalError("The events of the response cannot be read.")

    @staticmethod
    def parse(frame: bytes) -> dict[str, Any]:
        """Return the event in a frame."""
        event: dict[str, Any] = orjson.loads(frame.partition(b"\ndata: ")[2])
        return event

    def begin(self, response: dict[str, Any]) -> None:
        """Write that the response runs, unless the log says so."""
        if not self.is_in_progress:
            self.is_in_progress = True
            write_in_progress(self.writer, response)

    def _play(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind in _BEGINNINGS:
            self.is_in_progress = kind == "response.in_progress"
            self.writer.write(kind, response=event["response"])
        elif kind in _TEXTS:
            self._play_delta(event)

    def _play_delta(self, event: dict[str, Any]) -> None:
        part = (event["item_id"], event.get("summary_index", 0))
        if part[0] == self._last_part[0] and part[1] > self._last_part[1]:
            self.reducer.resume()
        self._last_part = part
        self.reducer.feed([text_chunk(_TEXTS[event["type"]], event["delta"], event.get("logprobs"))])

    def _name_item(self, item_type: str) -> str:
        return self._item_ids.popleft() if self._item_ids else new_item_id(item_type)


def text_chunk(field: str, text: str, logprobs: Sequence[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return the chunk of a chat completion that brings a piece of text."""
    return {"choices": [{"index": 0, "delta": {field: text}, "logprobs": {"content": logprobs or []}}]}
