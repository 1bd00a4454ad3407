"""Turns the chunks of a chat completion into the output of a response, and into the events that tell of it.

The reducer knows nothing of providers, clients or stores: chunks go in, and events come out of its writer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from rostra_chat.responses.chunk import CallFragment, Choice, first_choice
from rostra_chat.responses.events import EventWriter
from rostra_chat.responses.growing_text import (
    ARGUMENTS,
    OUTPUT_TEXT,
    REASONING_SUMMARY,
    REFUSAL,
    GrowingText,
    Logprob,
    TextKind,
)
from rostra_chat.responses.output_item import FunctionCall, OutputItem
from rostra_chat.responses.store import Item
from rostra_kit.ids import new_id
from rostra_kit.items import new_item_id

ItemT = TypeVar("ItemT", bound=OutputItem)

_CUTS = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ChunkReducer:
    """Collects an answer, chunk by chunk.

    One message or piece of reasoning grows at a time, and another one ends it; functions' calls may grow side by side,
    and end with the answer.

    Args:
        writer: Where the events go.
        name_item: Names the items by their types.

    Attributes:
        service_tier: What the provider says the answer was served as.
        incomplete_reason: What cut the answer: `max_output_tokens`, `content_filter` or nothing.
    """

    def __init__(self, writer: EventWriter, *, name_item: Callable[[str], str] = new_item_id) -> None:
        self.service_tier: str | None = None
        self.incomplete_reason: str | None = None
        self._writer = writer
        self._name_item = name_item
        self._is_reasoning_muted = False
        self._items: list[OutputItem] = []
        self._calls: dict[int | None, FunctionCall] = {}
        self._speech: OutputItem | None = None
        self._last_item: OutputItem | None = None
        self._last_text: GrowingText | None = None

    def feed(self, chunks: Iterable[Mapping[str, Any]]) -> None:
        """Take chunks that came together; what they add to one text becomes one delta."""
        for chunk in chunks:
            self.service_tier = chunk.get("service_tier") or self.service_tier
            if choice := first_choice(chunk):
                self._read(choice)
        self._flush()

    @property
    def has_calls(self) -> bool:
        """Tell whether functions' calls are among the items."""
        return bool(self._calls)

    @property
    def said(self) -> str:
        """Return the words of the messages, without the reasoning."""
        messages = (item for item in self._items if item.type == "message")
        return "".join(text.text for item in messages for text in item.texts)

    def resume(self) -> None:
        """Expect another call of the model to go on from here.

        It reasons anew: that becomes a further part of reasoning that was broken off, and is passed over where a
        message was, for nothing may come between its two halves.
        """
        if self._speech is not None and self._speech.type == "reasoning":
            self._speech.part_here()
        self._is_reasoning_muted = self._speech is not None and self._speech.type == "message"

    def finish(self) -> None:
        """End all that is still open; of a cut answer the item that was growing stays incomplete."""
        for item in self._items:
            if item.is_open:
                is_cut = self.incomplete_reason is not None and item is self._last_item
                item.finish(status="incomplete" if is_cut else "completed")

    def abandon(self) -> None:
        """Leave all that is still open as it is, without events."""
        for item in self._items:
            if item.is_open:
                item.abandon()

    def output(self) -> list[Item]:
        """Return the items as they are now."""
        return [item.snapshot() for item in self._items]

    def _read(self, choice: Choice) -> None:
        if (reasoning := choice.reasoning) and not self._is_reasoning_muted:
            self._speak("reasoning", REASONING_SUMMARY, reasoning)
        if content := choice.content:
            self._speak("message", OUTPUT_TEXT, content, choice.logprobs())
        if refusal := choice.refusal:
            self._speak("message", REFUSAL, refusal)
        for fragment in choice.calls():
            self._call(fragment)
        if reason := choice.finish_reason:
            self.incomplete_reason = _CUTS.get(reason)

    def _speak(self, item_type: str, kind: TextKind, fragment: str, logprobs: Sequence[Logprob] = ()) -> None:
        if self._speech is None or self._speech.type != item_type:
            self._end_speech()
            item_id = self._name_item(item_type)
            self._speech = self._open(
                OutputItem(item_type, self._writer, item_id=item_id, output_index=len(self._items))
            )
        self._append(self._speech, kind, fragment, logprobs)

    def _call(self, fragment: CallFragment) -> None:
        call = self._calls.get(fragment.index)
        # Some servers number every call 0, or none: then a new id tells a new call.
        if call is None or fragment.call_id not in ("", call.call_id):
            self._end_speech()
            call = self._open(
                FunctionCall(
                    self._writer,
                    item_id=self._name_item("function_call"),
                    output_index=len(self._items),
                    call_id=fragment.call_id or new_id("call"),
                    name=fragment.name,
                )
            )
            self._calls[fragment.index] = call
        if fragment.arguments:
            self._append(call, ARGUMENTS, fragment.arguments)

    def _open(self, item: ItemT) -> ItemT:
        self._items.append(item)
        self._last_item = item
        return item

    def _append(self, item: OutputItem, kind: TextKind, fragment: str, logprobs: Sequence[Logprob] = ()) -> None:
        """Let a text of an item grow; the deltas before it go first, so that events keep the order of the chunks."""
        text = item.text(kind)
        if self._last_text is not text:
            self._flush()
        self._last_item, self._last_text = item, text
        text.append(fragment, logprobs)

    def _end_speech(self) -> None:
        self._flush()
        if self._speech is not None:
            self._speech.finish()
        self._speech = None

    def _flush(self) -> None:
        if self._last_text is not None:
            self._last_text.flush()
