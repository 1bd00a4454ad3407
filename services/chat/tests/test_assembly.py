"""A completion put together from chunks is what the same call would have answered unstreamed."""

import json
from typing import Any

import pytest

from rostra_chat.assembly import Assembly


def assembled(*chunks: dict[str, Any]) -> dict[str, Any]:
    assembly = Assembly()
    for chunk in chunks:
        assembly.add(chunk)
    return assembly.completion()


def message_of(*deltas: dict[str, Any]) -> dict[str, Any]:
    [choice] = assembled(*({"choices": [{"delta": delta}]} for delta in deltas))["choices"]
    return choice["message"]


def test_no_chunk_makes_an_answer_without_choices() -> None:
    assert assembled() == {"object": "chat.completion", "choices": []}


def test_fields_of_the_answer_are_those_told_last() -> None:
    first = {"id": "c", "created": 1, "system_fingerprint": None, "usage": None, "obfuscation": "xx", "choices": None}
    last = {"id": "c", "created": 1, "system_fingerprint": "fp", "usage": {"total_tokens": 3}, "choices": []}
    assert assembled(first, last) == {
        "id": "c",
        "created": 1,
        "object": "chat.completion",
        "system_fingerprint": "fp",
        "usage": {"total_tokens": 3},
        "choices": [],
    }


def test_choices_grow_apart_and_come_in_order() -> None:
    pieces = [(1, "b"), (0, "a"), (1, "B"), (0, "A")]
    chunks = [{"choices": [{"index": index, "delta": {"content": text}}]} for index, text in pieces]
    ends = {"choices": [{"index": index, "delta": {}, "finish_reason": "stop"} for index in (0, 1)]}
    choices = assembled(*chunks, ends)["choices"]
    assert [(each["index"], each["message"]["content"], each["finish_reason"]) for each in choices] == [
        (0, "aA", "stop"),
        (1, "bB", "stop"),
    ]


def test_refusal_has_no_content() -> None:
    message = message_of({"role": "assistant", "content": ""}, {"refusal": "I "}, {"refusal": "cannot."})
    assert message == {"role": "assistant", "content": None, "refusal": "I cannot."}


def test_empty_text_stays_one() -> None:
    message = message_of({"role": "assistant", "content": "", "refusal": ""}, {"content": ""})
    assert message == {"role": "assistant", "content": "", "refusal": None}


def test_logprobs_follow_each_other() -> None:
    a, b, c = ({"token": token, "logprob": -1.5, "bytes": None, "top_logprobs": []} for token in "abc")
    pieces = [None, {"content": [a], "refusal": None}, {"content": [b, c], "refusal": None}, None]
    [choice] = assembled(*({"choices": [{"index": 0, "logprobs": piece}]} for piece in pieces))["choices"]
    assert choice["logprobs"] == {"content": [a, b, c], "refusal": None}


def test_reasoning_grows_under_the_name_that_the_provider_has() -> None:
    assert message_of({"reasoning_content": "Let "}, {"reasoning_content": "me."})["reasoning_content"] == "Let me."


def call(name: str, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"function": {"name": name, "arguments": arguments}, **more}]}


def more_of(arguments: str, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"function": {"arguments": arguments}, **more}]}


@pytest.mark.parametrize(
    "deltas",
    [
        [call("f", "", index=0, id="1"), more_of("{", index=0), call("g", "", index=1, id="2"), more_of("}", index=0)],
        [call("f", "{", id="1", type="function"), more_of("}"), call("g", "", id="2")],
        [call("f", "{", id="1"), call("f", "}", id="1"), call("g", "", id="2")],
        [call("g", "", index=1, id="2"), call("f", "{}", index=0, id="1")],
        [{"tool_calls": [*call("f", "{}", id="1")["tool_calls"], *call("g", "", id="2")["tool_calls"]]}],
    ],
)
def test_calls_of_tools_are_put_together_however_they_are_numbered(deltas: list[dict[str, Any]]) -> None:
    message = message_of({"role": "assistant", "content": None}, *deltas)
    assert message["content"] is None
    assert message["tool_calls"] == [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "2", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]


def test_custom_tool_and_old_function_call_are_put_together() -> None:
    custom = [
        {"tool_calls": [{"index": 0, "id": "1", "type": "custom", "custom": {"name": "f", "input": ""}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "x"}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "y"}}]},
    ]
    assert message_of(*custom)["tool_calls"] == [{"id": "1", "type": "custom", "custom": {"name": "f", "input": "xy"}}]
    old = message_of({"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}})
    assert old["function_call"] == {"name": "f", "arguments": "{}"}


def test_audio_and_annotations_are_put_together() -> None:
    audio = [{"audio": {"id": "a", "transcript": "Hel"}}, {"audio": {"transcript": "lo", "expires_at": 5}}]
    assert message_of(*audio)["audio"] == {"id": "a", "transcript": "Hello", "expires_at": 5}
    notes = message_of({"annotations": [{"type": "url_citation"}]}, {"annotations": [{"type": "x"}]})
    assert notes["annotations"] == [{"type": "url_citation"}, {"type": "x"}]


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"delta": None, "logprobs": []},
        {"delta": "x", "index": "y"},
        {"delta": {"content": 5, "tool_calls": [None, "x", {}], "role": []}},
        {"delta": {"tool_calls": {"index": 0}, "content": ["x"], "function_call": 3}},
    ],
)
def test_senseless_chunks_break_nothing(choice: dict[str, Any]) -> None:
    sensible = {"choices": [{"index": 0, "delta": {"content": "x", "tool_calls": [{"id": "1"}]}}]}
    whole = assembled({"choices": [choice]}, sensible, {"choices": [choice]}, sensible)
    assert json.loads(json.dumps(whole))["choices"]
