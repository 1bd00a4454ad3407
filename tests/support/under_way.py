"""Work that is under way while something else happens, for tests on a real cluster."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import httpx
from openai import APIConnectionError, APIStatusError, OpenAI, omit

T = TypeVar("T")

# What the model `echo` takes twenty seconds to say.
LONG = " ".join(f"word-{number}" for number in range(1000))
_LAST = "word-999"
_WAIT_SECONDS = 300


def in_background(work: Callable[[], T]) -> Callable[[], T]:
    """Run `work` in a thread, and return what waits for its result."""
    result: list[T] = []
    thread = threading.Thread(target=lambda: result.append(work()), daemon=True)
    thread.start()

    def wait() -> T:
        thread.join(_WAIT_SECONDS)
        assert result, "it did not end, or it failed"
        return result[0]

    return wait


def complete(client: OpenAI) -> bool:
    """Stream a chat completion, and tell whether it came to its end."""
    chunks = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": LONG}], stream=True)
    return _LAST in "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def respond(client: OpenAI) -> bool:
    """Stream a response, and tell whether it came to its end and is stored as it was said."""
    text, response_id = "", ""
    for event in client.responses.create(model="echo", input=LONG, stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.completed":
            response_id = event.response.id
    return _LAST in text and client.responses.retrieve(response_id).output_text == text


def follow(client: OpenAI, response_id: str) -> bool:
    """Follow a background response to its end through all breaks; tell whether no event is missing or double."""
    numbers: list[int] = []
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            after = numbers[-1] if numbers else omit
            for event in client.responses.retrieve(response_id, stream=True, starting_after=after):
                numbers.append(event.sequence_number)
                if event.type == "response.completed":
                    return _LAST in event.response.output_text and numbers == list(range(len(numbers)))
        except (APIConnectionError, httpx.TransportError):
            pass
        except APIStatusError as error:
            if error.status_code < 500:
                raise
        time.sleep(0.5)
    return False
