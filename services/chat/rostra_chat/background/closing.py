"""Ends the log of a response that ended in history alone: it was cancelled in the queue, or its runner just died."""

from collections.abc import Sequence
from typing import Any

from rostra_chat.background.replay import Replay, text_chunk
from rostra_chat.responses.reducer import ChunkReducer

_PARTS = {
    "summary_text": ("reasoning_content", "text"),
    "output_text": ("content", "text"),
    "refusal": ("refusal",) * 2,
}


def closing_frames(frames: Sequence[bytes], response: dict[str, Any]) -> list[bytes]:
    """Return the frames that bring a log to the end that history knows.

    Whoever makes them, they are the same: they follow from the log and the response.

    Args:
        frames: What the log holds, one frame for each event.
        response: The response object, with a final status and its output.

    Raises:
        InternalError: The log cannot be read.
    """
    output = response["output"]
    replay = Replay(frames, item_ids=[item["id"] for item in output])
    if output or response["status"] in ("completed", "incomplete"):
        replay.begin(response)
    published = replay.reducer.output()
    for index, item in enumerate(output):
        _complete(replay.reducer, index, item, published[index] if index < len(published) else None)
    if response["status"] in ("completed", "incomplete"):
        replay.reducer.incomplete_reason = (response["incomplete_details"] or {}).get("reason")
        replay.reducer.finish()
    replay.writer.write(f"response.{response['status']}", response=response)
    return [event.frame() for event in replay.writer.take()]


def _complete(reducer: ChunkReducer, index: int, item: dict[str, Any], published: dict[str, Any] | None) -> None:
    """Bring an item to its end from where it was published."""
    if item["type"] == "function_call":
        function = {"name": item["name"], "arguments": item["arguments"]}
        call = {"index": index, "id": item["call_id"], "function": function}
        reducer.feed([{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}])
        return
    known = _parts(published) if published is not None else []
    for place, part in enumerate(_parts(item)):
        field, name = _PARTS[part["type"]]
        before = len(known[place][name]) if place < len(known) else 0
        beyond = len(known[place].get("logprobs", ())) if place < len(known) else 0
        if place and place >= len(known):
            reducer.resume()
        if text := part[name][before:]:
            reducer.feed([text_chunk(field, text, part.get("logprobs", ())[beyond:])])


def _parts(item: dict[str, Any]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = item["summary"] if item["type"] == "reasoning" else item["content"]
    return parts
