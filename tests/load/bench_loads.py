"""What `make bench` asks of the systems that it compares."""

from collections.abc import Mapping
from dataclasses import dataclass

MODEL, QUESTION = "bench-50-0", "Say something about the Roman forum."
BODY = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}
STORED_BODY = {"model": MODEL, "input": QUESTION, "store": True}
_STREAM = {**BODY, "stream": True}
_PACED = {**_STREAM, "model": "bench-50-20"}


@dataclass(frozen=True, eq=False, slots=True)
class Load:
    """What callers ask for, each again and again.

    Attributes:
        spread_seconds: Over what time they begin.
        stored: Whether it is responses that are stored, not chat completions.
    """

    name: str
    callers: int
    body: Mapping[str, object]
    spread_seconds: float = 0.0
    stored: bool = False


ONE = Load("one caller", 1, BODY)
MANY = Load("64 callers", 64, BODY)
BURST = Load("64 streams that burst", 64, _STREAM)
PACED = Load("100 streams paced at 20 ms", 100, _PACED, spread_seconds=1.0)
PACED_MANY = Load("400 streams paced at 20 ms", 400, _PACED, spread_seconds=1.0)
STORED_ONE = Load("one caller, stored responses", 1, STORED_BODY, stored=True)
STORED = Load("16 callers, stored responses", 16, STORED_BODY, stored=True)

LOADS = (ONE, MANY, BURST, PACED, PACED_MANY, STORED_ONE, STORED)
# Those before the first round, since peers get faster for some seconds.
WARM_UP = (MANY, BURST, STORED)
