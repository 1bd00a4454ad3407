"""The items of an answer while a model is writing them: a message, a piece of reasoning, a function's call."""

from collections.abc import Sequence
from typing import Any

from rostra_chat.responses.events import EventWriter
from rostra_chat.responses.growing_text import ARGUMENTS, GrowingText, TextKind
from rostra_chat.responses.store import Item


class OutputItem:
    """One item of the output, from its first sign to its end.

    Args:
        item_type: `message` or `reasoning`.
        writer: Where its events go.
        item_id: Its name.
        output_index: Its position in the output.
    """

    def __init__(self, item_type: str, writer: EventWriter, *, item_id: str, output_index: int) -> None:
        self.type = item_type
        self.id = item_id
        self.is_open = True
        self._writer = writer
        self._output_index = output_index
        self._status = "in_progress"
        self._texts: list[GrowingText] = []
        self._wants_new_part = False
        writer.write("response.output_item.added", output_index=output_index, item=self.snapshot())

    def text(self, kind: TextKind) -> GrowingText:
        """Return the text that fragments of this kind belong to; a change of kind ends the one before."""
        if self._texts and self._texts[-1].kind is kind and not self._wants_new_part:
            return self._texts[-1]
        if self._texts:
            self._texts[-1].finish()
        self._wants_new_part = False
        text = GrowingText(
            kind, self._writer, item_id=self.id, output_index=self._output_index, position=len(self._texts)
        )
        self._texts.append(text)
        return text

    def part_here(self) -> None:
        """Have the next fragment begin a part of its own, whatever its kind."""
        self._wants_new_part = bool(self._texts)

    def finish(self, *, status: str = "completed") -> None:
        """Write that the item is done."""
        self._finish_text()
        self.abandon(status=status)
        self._writer.write("response.output_item.done", output_index=self._output_index, item=self.snapshot())

    def abandon(self, *, status: str = "incomplete") -> None:
        """Leave the item as it is, without a word to clients: what is broken must not look done."""
        self.is_open = False
        self._status = status

    @property
    def texts(self) -> Sequence[GrowingText]:
        """Return the texts in it, the one that grows last."""
        return self._texts

    def snapshot(self) -> Item:
        """Return OpenAI's item as it is now."""
        return {"id": self.id, "type": self.type, "status": self._status, **self._content()}

    def _finish_text(self) -> None:
        if self._texts:
            self._texts[-1].finish()

    def _content(self) -> dict[str, Any]:
        parts = [text.part() for text in self._texts]
        return {"summary": parts} if self.type == "reasoning" else {"role": "assistant", "content": parts}


class FunctionCall(OutputItem):
    """A function's call.

    Args:
        writer: Where its events go.
        item_id: Its name.
        output_index: Its position in the output.
        call_id: What the provider calls it.
        name: The function's name.
    """

    def __init__(self, writer: EventWriter, *, item_id: str, output_index: int, call_id: str, name: str) -> None:
        self.call_id = call_id
        self._name = name
        super().__init__("function_call", writer, item_id=item_id, output_index=output_index)

    def _finish_text(self) -> None:
        self.text(ARGUMENTS).finish(name=self._name)

    def _content(self) -> dict[str, Any]:
        arguments = self._texts[0].text if self._texts else ""
        return {"call_id": self.call_id, "name": self._name, "arguments": arguments}
