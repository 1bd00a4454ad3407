"""Bodies in pieces of any size, cut into conversations; everything that is no JSON is found out."""

import json
from collections.abc import Sequence
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rostra_gateway.transfer.body_cutter import MAX_CONTAINERS, MAX_DEPTH, BodyCutter, Cutting
from rostra_kit.errors import InvalidArgumentError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=10,
)
objects = st.dictionaries(st.text(), values, max_size=3)
piece_sizes = st.lists(st.integers(1, 40), min_size=1, max_size=5)


def cut(body: bytes, sizes: Sequence[int] = (65_536,), *, max_element_bytes: int = 1_000_000) -> list[Cutting]:
    cutter = BodyCutter(max_element_bytes=max_element_bytes)
    found, position, left = [], 0, cycle(sizes)
    while position < len(body):
        size = next(left)
        found += cutter.feed(body[position : position + size])
        position += size
    return found + cutter.close()


def parsed(body: bytes, sizes: Sequence[int]) -> list[object]:
    cuttings = cut(body, sizes)
    assert [cutting.position for cutting in cuttings] == list(range(len(cuttings)))
    assert not any(cutting.fault for cutting in cuttings)
    return [json.loads(cutting.raw) for cutting in cuttings]


@settings(max_examples=150, deadline=None)
@given(
    documents=st.lists(objects, max_size=4),
    rest=objects,
    sizes=piece_sizes,
    indent=st.sampled_from([None, 1]),
    is_ascii=st.booleans(),
    space=st.sampled_from([b"", b" \n", b"\xef\xbb\xbf"]),
)
def test_any_body_is_cut_where_its_conversations_end(documents, rest, sizes, indent, is_ascii, space) -> None:
    def written(document: object) -> bytes:
        text = json.dumps(document, indent=indent, ensure_ascii=is_ascii)
        return space + text.encode(errors="replace") + b"\n"

    def read_back(document: object) -> object:
        return json.loads(written(document).decode("utf-8-sig"))

    assert parsed(written(documents), sizes) == read_back(documents)
    assert parsed(written({"a": documents}), sizes) == [read_back({"a": documents})]
    user = {"object": "user.export", "rest": rest, "conversations": documents, "responses": [rest]}
    assert parsed(written(user), sizes) == read_back(documents)


@settings(max_examples=150, deadline=None)
@given(documents=st.lists(objects, max_size=3), data=st.data())
def test_damaged_body_is_never_taken_for_a_whole_one(documents, data) -> None:
    body = bytearray(json.dumps(documents).encode())
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = [json.loads(cutting.raw.decode()) for cutting in cut(bytes(body), [7])]
    except (ValueError, InvalidArgumentError):
        return
    whole = json.loads(body.decode())
    assert found == (whole if isinstance(whole, list) else [whole])


@pytest.mark.parametrize(
    "body",
    [
        *("", " ", "[", "[1]", '["a"]', "[{}", "[{},]", "[,{}]", "[{}{}]", "[{}]]", "[{}]x", "{}{}", "{", "[{]}"),
        *("{]", "]", "[{}}", "nul", '"a"', "[{}],[{}]", "[{}][{}]", '[{"a]', '{"object":"user.export"'),
        '{"object":"user.export","conversations":[1]}',
        '{"object":"user.export","conversations":[{}]',
        '{"object":"user.export","conversations":[{},]}',
        '{"object":"user.export"} {}',
    ],
)
@pytest.mark.parametrize("size", [1, 1_000])
def test_body_of_no_known_form_is_refused(body: str, size: int) -> None:
    with pytest.raises(InvalidArgumentError, match="not valid JSON, or no export"):
        cut(body.encode(), [size])


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        ("nests deeper", '{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1)),
        ("larger than", json.dumps({"a": "b" * 600_000})),
        ("objects and arrays", json.dumps({"a": [[]] * (MAX_CONTAINERS + 1)}, separators=(",", ":"))),
    ],
)
def test_conversation_beyond_a_bound_is_named_and_the_next_is_whole(fault: str, body: str) -> None:
    bound = 500_000 if fault == "larger than" else 10_000_000
    too_much, good = cut(f'[{body},{{"b":[]}}]'.encode(), max_element_bytes=bound)
    assert fault in (too_much.fault or "")
    assert len(too_much.raw) <= bound
    assert (good.raw, good.fault, good.position) == (b'{"b":[]}', None, 1)


def test_brackets_that_only_open_are_refused_at_once() -> None:
    cutter = BodyCutter(max_element_bytes=1_000)
    for _ in range(100):
        assert cutter.feed(b"[" * 10_000) == []
    assert len(cutter._element) <= 1_000
    with pytest.raises(InvalidArgumentError):
        cutter.close()
