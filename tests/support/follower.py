"""A client that follows a background response as bytes, leaves, comes back, and goes on wherever its stream broke."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import orjson

ENDED = ("completed", "failed", "incomplete", "cancelled")

_RETRY_SECONDS = 0.1
_BREAKS = (httpx.TransportError,)


class Follower:
    """Follows one response from a point to its end, each time through a gateway that it is told.

    Args:
        response_id: The response.
        next_client: Chooses a client of a gateway for each stream.
        starting_after: The number of the event after which it begins; -1 for all events.
        next_stay: Chooses for each stream after how many frames the follower leaves it; `None` for never.

    Attributes:
        frames: What it has seen, a frame for each event.
        breaks: How often and why a stream did not come to the end.
        refusal: The code of the error that says why there is nothing more to follow; `None` at the response's end.
    """

    def __init__(
        self,
        response_id: str,
        *,
        next_client: Callable[[], httpx.AsyncClient],
        starting_after: int = -1,
        next_stay: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.response_id = response_id
        self.starting_after = starting_after
        self.frames: list[bytes] = []
        self.breaks: Counter[str] = Counter()
        self.refusal: str | None = None
        self._next_client = next_client
        self._next_stay = next_stay

    async def run(self) -> "Follower":
        """Follow to the end, however often the stream breaks, and return itself."""
        while True:
            why = await self._read()
            if why is None:
                return self
            self.breaks[why] += 1
            if why != "left":
                await asyncio.sleep(_RETRY_SECONDS)

    def has_heard(self, word: str) -> bool:
        """Tell whether a frame has the word, of however many the frame has."""
        return any(f"{word} ".encode() in frame for frame in self.frames)

    async def _read(self) -> str | None:
        """Read a stream, and return why it is not the last one."""
        seen = self.starting_after + len(self.frames)
        params = {"stream": "true"} | ({"starting_after": str(seen)} if seen >= 0 else {})
        try:
            async with self._next_client().stream("GET", f"/v1/responses/{self.response_id}", params=params) as answer:
                if answer.status_code >= 500:
                    return str(answer.status_code)
                if answer.status_code != 200:
                    self.refusal = orjson.loads(await answer.aread())["error"]["code"]
                    return None
                return await self._take(answer, stay=self._next_stay())
        except _BREAKS as error:
            return type(error).__name__

    async def _take(self, answer: httpx.Response, *, stay: int | None) -> str | None:
        rest, taken = b"", 0
        async for data in answer.aiter_raw():
            *whole, rest = (rest + data).split(b"\n\n")
            for frame in whole:
                if frame.startswith(b"event: error\n"):
                    return self._note(orjson.loads(frame.partition(b"\ndata: ")[2])["code"])
                if not frame.startswith(b":"):
                    self.frames.append(frame)
                    taken += 1
            if stay is not None and taken >= stay:
                return "left"
        assert not rest
        return None

    def _note(self, code: str) -> str | None:
        """Take note of an error in a stream, and return it unless it is the end."""
        if code != "events_not_kept":
            return code
        self.refusal = code
        return None


def parsed(frames: Sequence[bytes]) -> list[dict[str, Any]]:
    """Return the events in frames."""
    return [orjson.loads(frame.partition(b"\ndata: ")[2]) for frame in frames]


def assert_told(frames: Sequence[bytes], response: dict[str, Any]) -> None:
    """Check that `frames` are all events of a response, each once, in order, and say what is stored of it."""
    events = parsed(frames)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events if event["type"].removeprefix("response.") in ENDED] == [
        f"response.{response['status']}"
    ]
    assert events[-1]["response"] == response
    deltas = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert deltas == text_of(response)


def text_of(response: dict[str, Any]) -> str:
    """Return what a response says."""
    messages = [item for item in response["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in messages for part in item["content"])
