"""An answer is counted by its provider where that makes sense, and estimated where it does not."""

from typing import Any

import pytest

from rostra_chat.providers.provider import Frame, Usage
from rostra_chat.tally import Tally, read_usage
from rostra_chat.tokens import estimate_tokens


def frame(delta: Any = None, **more: Any) -> Frame:
    return Frame(data={"choices": [{"index": 0, "delta": delta}], **more}, raw=b"")


def test_whole_usage_is_read() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    assert read_usage(usage) == Usage(10, 4, 20, 5)


@pytest.mark.parametrize("details", [None, {}, {"cached_tokens": None}, "none"])
def test_details_may_be_absent(details: Any) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": details}
    assert read_usage(usage) == Usage(input_tokens=1, output_tokens=2)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "12",
        {},
        {"prompt_tokens": 1},
        {"prompt_tokens": -1, "completion_tokens": 2},
        {"prompt_tokens": "1", "completion_tokens": 2},
        {"prompt_tokens": 1.5, "completion_tokens": 2},
    ],
)
def test_senseless_usage_counts_as_none(usage: Any) -> None:
    assert read_usage(usage) is None


def test_all_that_is_said_is_counted() -> None:
    call = {"index": 0, "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}
    tally = Tally(input_tokens=7)
    tally.add([frame({"content": "Hello "}), frame({"reasoning_content": "thinking "}), frame({"refusal": "no "})])
    tally.add([frame({"tool_calls": [call]})])
    said = 'Hello thinking no get_weather{"city": "Rome"}'
    assert tally.usage() == Usage(input_tokens=7, output_tokens=estimate_tokens(said))
    assert tally.is_estimated


def test_last_report_is_the_one_that_counts() -> None:
    tally = Tally(input_tokens=7)
    tally.add([frame({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 1}), frame(usage=None)])
    tally.add([frame({"content": "b"}, usage={"prompt_tokens": 5, "completion_tokens": 2})])
    assert tally.usage() == Usage(input_tokens=5, output_tokens=2)
    assert not tally.is_estimated


@pytest.mark.parametrize(
    "delta", [None, "text", {"content": 3}, {"tool_calls": "x"}, {"tool_calls": [1, {"function": 2}]}]
)
def test_odd_chunk_counts_for_nothing(delta: Any) -> None:
    tally = Tally(input_tokens=7)
    tally.add([frame(delta)])
    assert tally.usage().output_tokens == 0
