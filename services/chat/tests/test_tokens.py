import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra_chat.tokens import (
    IMAGE_TOKENS,
    LOW_DETAIL_IMAGE_TOKENS,
    estimate_request_tokens,
    estimate_tokens,
)

ENGLISH_AND_CODE = {"prose", "code", "log"}
JOIN_TOKENS = 8  # how much a cut more or less where two texts meet may cost
ANY_TEXT = st.text(st.characters(codec=None))  # lone surrogates too: JSON can carry them


class Sample(NamedTuple):
    name: str
    family: str
    text: str
    tokens: int


def load_samples() -> list[Sample]:
    counted = json.loads((Path(__file__).parent / "data" / "token_counts.json").read_text(encoding="utf-8"))
    return [
        Sample(entry["name"], entry["family"], entry["text"], max(entry["o200k_base"], entry["cl100k_base"]))
        for entry in counted["texts"]
    ]


SAMPLES = load_samples()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_known_text_is_not_undercounted(sample: Sample) -> None:
    least = 0.8 if sample.family == "latin" else 0.9  # Italian looks like English, and costs more
    assert estimate_tokens(sample.text) >= least * sample.tokens


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_known_text_is_not_grossly_overcounted(sample: Sample) -> None:
    assert estimate_tokens(sample.text) <= 1.6 * sample.tokens


@pytest.mark.parametrize("family", ["prose", "code", "log", "noise"])
def test_family_is_overcounted_by_a_fifth_at_most(family: str) -> None:
    samples = [sample for sample in SAMPLES if sample.family == family]
    tokens = sum(sample.tokens for sample in samples)
    assert tokens <= sum(estimate_tokens(sample.text) for sample in samples) <= 1.2 * tokens


def test_samples_in_one_text_are_counted_as_well_as_apart() -> None:
    samples = [sample for sample in SAMPLES if sample.family in ENGLISH_AND_CODE]
    tokens = sum(sample.tokens for sample in samples)
    assert tokens <= estimate_tokens("\n\n".join(sample.text for sample in samples)) <= 1.2 * tokens


def test_empty_text_is_free() -> None:
    assert estimate_tokens("") == 0


@pytest.mark.parametrize("text", ["a", "7", "?", " ", "\n", "é", "中", "🙂", "\ud800", "\x00"])
def test_single_character_costs_something(text: str) -> None:
    assert 1 <= estimate_tokens(text) <= 4


@given(ANY_TEXT)
def test_any_text_has_an_estimate(text: str) -> None:
    assert 0 <= estimate_tokens(text) <= 4 * len(text)


@given(ANY_TEXT, ANY_TEXT)
def test_longer_text_costs_no_less(text: str, more: str) -> None:
    assert estimate_tokens(text + more) >= estimate_tokens(text) - 1


@given(ANY_TEXT, ANY_TEXT)
def test_joined_texts_cost_their_sum(first: str, second: str) -> None:
    apart = estimate_tokens(first) + estimate_tokens(second)
    assert abs(estimate_tokens(first + second) - apart) <= JOIN_TOKENS


@pytest.mark.parametrize(
    "unit", ["a", " ", "\n", "a1 .", "A", "aB", "'", "é", "中", "🙂", "".join(map(chr, range(0xD7FF)))]
)
def test_megabyte_of_anything_is_counted_quickly(unit: str) -> None:
    text = unit * (1_000_000 // len(unit.encode()))
    start = time.perf_counter()
    estimate_tokens(text)
    assert time.perf_counter() - start < 1  # some 20 ms; anything worse than linear would take minutes


def request(*contents: object, **parameters: object) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content} for content in contents], **parameters}


def test_empty_request_costs_its_priming() -> None:
    assert estimate_request_tokens({}) == 3
    assert estimate_request_tokens({"messages": []}) == 3


def test_message_costs_its_text_and_overhead() -> None:
    text = "How many islands does Greece have?"
    assert estimate_request_tokens(request(text)) == 3 + 4 + estimate_tokens(text)
    assert estimate_request_tokens(request(None)) == 3 + 4


def test_many_messages_cost_their_overhead_each() -> None:
    assert estimate_request_tokens(request(*["hello"] * 1000)) >= 1000 * (4 + 0.5)


def test_text_parts_cost_as_much_as_one_string() -> None:
    parts = [{"type": "text", "text": "one two three"}, {"type": "refusal", "refusal": "four five"}]
    assert estimate_request_tokens(request(parts)) == estimate_request_tokens(request("one two three\nfour five"))


def test_named_message_costs_its_name() -> None:
    named = {"messages": [{"role": "user", "content": "Hi", "name": "alice"}]}
    assert estimate_request_tokens(named) > estimate_request_tokens(request("Hi"))


@pytest.mark.parametrize(
    ("image_url", "tokens"),
    [
        ({"url": "data:image/png;base64," + "A" * 100_000}, IMAGE_TOKENS),
        ({"url": "https://example.com/cat.png", "detail": "high"}, IMAGE_TOKENS),
        ({"url": "https://example.com/cat.png", "detail": "low"}, LOW_DETAIL_IMAGE_TOKENS),
        (None, IMAGE_TOKENS),
    ],
)
def test_image_costs_a_fixed_price(image_url: object, tokens: int) -> None:
    assert estimate_request_tokens(request([{"type": "image_url", "image_url": image_url}])) == 3 + 4 + tokens


def test_audio_costs_far_less_than_its_base64() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "UklG" * 16_000, "format": "wav"}}
    assert 100 <= estimate_request_tokens(request([audio])) <= 1000


def test_unknown_content_part_costs_its_json() -> None:
    words = "several words of an unknown part " * 100
    assert estimate_request_tokens(request([{"type": "novelty", "payload": [words]}])) > estimate_tokens(words)


def test_tool_calls_and_their_results_are_counted() -> None:
    arguments = json.dumps({"city": "Lisbon", "days": [1, 2, 3]})
    call = {"id": "call_1", "type": "function", "function": {"name": "forecast", "arguments": arguments}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Sunny, 24 degrees"},
    ]
    least = estimate_tokens(arguments) + estimate_tokens("Sunny, 24 degrees") + 3 + 2 * 4
    assert least < estimate_request_tokens({"messages": messages}) < least + 30


@pytest.mark.parametrize("parameter", ["tools", "functions", "response_format"])
def test_schema_is_counted(parameter: str) -> None:
    schema = {"type": "object", "properties": {f"field_{number}": {"type": "string"} for number in range(50)}}
    more = estimate_request_tokens(request("Hi", **{parameter: [schema]})) - estimate_request_tokens(request("Hi"))
    assert more >= estimate_tokens(json.dumps(schema, separators=(",", ":")))


def test_parameters_that_no_model_reads_are_free() -> None:
    assert estimate_request_tokens(request("Hi", temperature=0, metadata={"a": "b" * 500})) == (
        estimate_request_tokens(request("Hi"))
    )


def deep_list(depth: int) -> list[object]:
    nested: list[object] = ["word " * 100]
    for _ in range(depth):
        nested = [nested]
    return nested


def circular_list() -> list[object]:
    items: list[object] = ["word " * 100]
    items.append(items)
    return items


@pytest.mark.parametrize(
    "value",
    [deep_list(100_000), circular_list(), {"text": "word " * 100, "n": 10**10_000}, [b"word " * 100, 1, None]],
    ids=["deep", "circular", "huge_integer", "bytes"],
)
def test_value_that_is_no_json_is_counted_all_the_same(value: object) -> None:
    for body in (request(value), request([value]), request("Hi", tools=value), {"messages": value}):
        assert estimate_request_tokens(body) > 50


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "input_audio", "function", "refusal"]) | JSON_VALUES},
    optional=dict.fromkeys(("text", "image_url", "input_audio", "function", "refusal"), JSON_VALUES),
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "tool"]) | JSON_VALUES,
        "name": JSON_VALUES,
        "content": JSON_VALUES | st.lists(PARTS | JSON_VALUES, max_size=3),
        "tool_calls": JSON_VALUES | st.lists(PARTS | JSON_VALUES, max_size=3),
    },
)


@given(st.lists(MESSAGES | JSON_VALUES, max_size=3) | JSON_VALUES, JSON_VALUES, JSON_VALUES)
def test_odd_request_has_an_estimate(messages: object, tools: object, response_format: object) -> None:
    body = {"messages": messages, "tools": tools, "response_format": response_format}
    assert estimate_request_tokens(body) >= 3
