"""A text that a model is writing, and the events in which clients see it grow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rostra_chat.responses.events import EventWriter

Logprob = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextKind:
    """How one kind of text shows in events.

    Attributes:
        event: What the events of the text itself are called, without `.delta` and `.done`.
        field: Where the whole text stands, in events and in the item.
        part_event: What the events of the item's part are called, without `.added` and `.done`; `None` for no part.
        part_type: The type of that part.
        index_field: Where the part's position stands in events.
    """

    event: str
    field: str = "text"
    part_event: str | None = None
    part_type: str = ""
    index_field: str = ""


OUTPUT_TEXT = TextKind(
    event="response.output_text",
    part_event="response.content_part",
    part_type="output_text",
    index_field="content_index",
)
REFUSAL = TextKind(
    event="response.refusal",
    field="refusal",
    part_event="response.content_part",
    part_type="refusal",
    index_field="content_index",
)
# Of OpenAI's two ways to show reasoning, the summary is the one that the SDKs and Open Responses agree on.
REASONING_SUMMARY = TextKind(
    event="response.reasoning_summary_text",
    part_event="response.reasoning_summary_part",
    part_type="summary_text",
    index_field="summary_index",
)
ARGUMENTS = TextKind(event="response.function_call_arguments", field="arguments")


class GrowingText:
    """One text of an output item, from its first fragment to its end.

    Args:
        kind: What text it is.
        writer: Where its events go.
        item_id: The item that the text is in.
        output_index: The item's position in the output.
        position: The text's position among the item's parts.
    """

    def __init__(self, kind: TextKind, writer: EventWriter, *, item_id: str, output_index: int, position: int) -> None:
        self.kind = kind
        self._writer = writer
        self._fragments: list[str] = []
        self._logprobs: list[Logprob] = []
        self._unsent: list[str] = []
        self._unsent_logprobs: list[Logprob] = []
        self._place: dict[str, Any] = {"item_id": item_id, "output_index": output_index}
        if kind.part_event:
            self._place[kind.index_field] = position
            writer.write(f"{kind.part_event}.added", **self._place, part=self.part())

    def append(self, fragment: str, logprobs: Sequence[Logprob] = ()) -> None:
        """Let the text grow; no event tells of it before `flush`."""
        self._unsent.append(fragment)
        self._unsent_logprobs.extend(logprobs)

    def flush(self) -> None:
        """Write what was appended since the last time as one delta."""
        if not self._unsent:
            return
        delta, logprobs = "".join(self._unsent), self._unsent_logprobs
        self._fragments.append(delta)
        self._logprobs.extend(logprobs)
        self._unsent, self._unsent_logprobs = [], []
        self._writer.write(f"{self.kind.event}.delta", **self._place, delta=delta, **self._with_logprobs(logprobs))

    def finish(self, **more: Any) -> None:
        """Write that the text is done, and its part with it; `more` are further fields of the text's event."""
        self.flush()
        whole = {self.kind.field: self.text, **self._with_logprobs(self._logprobs)}
        self._writer.write(f"{self.kind.event}.done", **self._place, **whole, **more)
        if self.kind.part_event:
            self._writer.write(f"{self.kind.part_event}.done", **self._place, part=self.part())

    @property
    def text(self) -> str:
        """Return all of the text that events have told of."""
        return "".join(self._fragments)

    def part(self) -> dict[str, Any]:
        """Return the part of the item as it is now."""
        part: dict[str, Any] = {"type": self.kind.part_type, self.kind.field: self.text}
        if self.kind is OUTPUT_TEXT:
            part |= {"annotations": [], "logprobs": list(self._logprobs)}
        return part

    def _with_logprobs(self, logprobs: list[Logprob]) -> dict[str, Any]:
        return {"logprobs": list(logprobs)} if self.kind is OUTPUT_TEXT else {}
