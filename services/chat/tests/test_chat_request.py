"""What a chat-completions request can come to."""

from datetime import UTC, datetime

import pytest

from rostra_chat.catalogue import Model
from rostra_chat.chat_request import measure

MODEL = Model(
    id="m",
    provider="p",
    upstream_name="m",
    context_window=0,
    max_output_tokens=0,
    input_price_micros=0,
    cached_input_price_micros=0,
    output_price_micros=0,
    capabilities=frozenset(),
    create_time=datetime(2026, 1, 1, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("bounds", "most"),
    [
        ({}, 100),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 7}, 7),
        ({"max_completion_tokens": 1, "max_tokens": 5000}, 5000),
        ({"max_completion_tokens": 5000, "max_tokens": 1}, 5000),
        ({"max_tokens": 7, "n": 3}, 21),
    ],
)
def test_most_that_any_server_could_produce_is_reserved(bounds: dict[str, int], most: int) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], **bounds}
    assert measure(MODEL, body, default_max_output_tokens=100).max_output_tokens == most
