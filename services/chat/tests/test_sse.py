"""However the network cuts the bytes of a stream, the same events come out."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra_chat.errors import ProviderError
from rostra_chat.providers.sse import EventSplitter

PAYLOADS = [b'{"choices":[]}', '{"a":"déjà 🏛️"}'.encode(), b"[DONE]", b'{"n":1}']


def events_in(pieces: list[bytes]) -> list[bytes]:
    splitter = EventSplitter()
    return [event for piece in pieces for event in splitter.feed(piece)] + splitter.finish()


def wire(line_end: bytes) -> bytes:
    parts = [b": hello", b"", b"id: 1", b"event: ping", b"data: " + PAYLOADS[0], b"", b""]
    parts += [
        b"data:" + PAYLOADS[1],
        b": between",
        b"",
        b"data: " + PAYLOADS[2],
        b"",
        b"data: " + PAYLOADS[3],
        b"",
        b"",
    ]
    return line_end.join(parts)


@given(
    line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    cuts=st.lists(st.integers(min_value=0, max_value=200), max_size=30),
)
def test_any_cut_of_the_bytes_gives_the_same_events(line_end: bytes, cuts: list[int]) -> None:
    stream = wire(line_end)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(places)]
    assert events_in(pieces) == PAYLOADS


def test_single_bytes_give_the_same_events() -> None:
    assert events_in([bytes([byte]) for byte in wire(b"\r\n")]) == PAYLOADS


def test_lines_of_data_are_joined() -> None:
    assert events_in([b'data: {"a":\ndata: 1}\n\n']) == [b'{"a":\n1}']


def test_event_with_no_data_is_dropped() -> None:
    assert events_in([b"event: ping\n\n: comment\n\nid: 3\n\n"]) == []


def test_last_event_needs_no_empty_line() -> None:
    assert events_in([b"data: [DONE]"]) == [b"[DONE]"]


def test_event_longer_than_a_read_is_whole() -> None:
    event = b"x" * 300_000
    stream = b"data: " + event + b"\n\n"
    assert events_in([stream[start : start + 4096] for start in range(0, len(stream), 4096)]) == [event]


def test_event_beyond_all_measure_is_an_error() -> None:
    splitter = EventSplitter(max_event_bytes=100)
    splitter.feed(b"data: " + b"x" * 90)
    with pytest.raises(ProviderError, match="too large"):
        splitter.feed(b"x" * 90)
