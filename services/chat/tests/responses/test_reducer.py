import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra_chat.responses.events import EventWriter
from rostra_chat.responses.reducer import ChunkReducer


def delta(**fields):
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def ends(reason="stop"):
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def piece(index, *, call_id=None, name=None, arguments=None):
    """Return a chunk with a piece of a function's call."""
    call = {"id": call_id} if call_id else {}
    function = {key: value for key, value in {"name": name, "arguments": arguments}.items() if value is not None}
    numbered = {} if index is None else {"index": index}
    return delta(tool_calls=[{**numbered, **call, "function": function}])


def reduce(*reads):
    """Return the reducer after these reads, and the events of the whole answer."""
    writer = EventWriter()
    reducer = ChunkReducer(writer)
    for read in reads:
        reducer.feed(read if isinstance(read, list) else [read])
    reducer.finish()
    return reducer, [event.data for event in writer.take()]


def short(events):
    """Return the events' types, with what grew or is done."""
    shown = []
    for event in events:
        kind = event["type"].removeprefix("response.")
        word = next((event[key] for key in ("delta", "text", "refusal", "arguments") if key in event), None)
        shown.append(kind if word is None else f"{kind}={word}")
    return shown


def test_text_is_a_message_with_one_part():
    reducer, events = reduce(delta(role="assistant", content=""), delta(content="Hello "), delta(content="you"), ends())

    assert short(events) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta=Hello ",
        "output_text.delta=you",
        "output_text.done=Hello you",
        "content_part.done",
        "output_item.done",
    ]
    assert [event["sequence_number"] for event in events] == list(range(7))
    (item,) = reducer.output()
    assert events[0]["item"] == {**item, "status": "in_progress", "content": []}
    assert events[-1]["item"] == item
    assert item == {
        "id": item["id"],
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Hello you", "annotations": [], "logprobs": []}],
    }


def test_deltas_of_one_read_become_one_event():
    _, events = reduce([delta(content="a"), delta(content="b"), delta(content="c"), ends()])

    assert "output_text.delta=abc" in short(events)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_an_item_of_its_own_before_the_message(name):
    reducer, events = reduce(delta(**{name: "Hm, "}), delta(**{name: "yes"}), delta(content="Yes."), ends())

    assert short(events) == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta=Hm, ",
        "reasoning_summary_text.delta=yes",
        "reasoning_summary_text.done=Hm, yes",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta=Yes.",
        "output_text.done=Yes.",
        "content_part.done",
        "output_item.done",
    ]
    reasoning, _ = reducer.output()
    assert reasoning["summary"] == [{"type": "summary_text", "text": "Hm, yes"}]
    assert reasoning["id"].startswith("rs_")


def test_refusal_after_text_is_a_second_part():
    reducer, events = reduce(delta(content="Well."), delta(refusal="No."), ends())

    assert short(events)[3:8] == [
        "output_text.done=Well.",
        "content_part.done",
        "content_part.added",
        "refusal.delta=No.",
        "refusal.done=No.",
    ]
    assert events[5]["content_index"] == 1
    assert [part["type"] for part in reducer.output()[0]["content"]] == ["output_text", "refusal"]


def test_call_after_text_is_an_item_after_the_message():
    reducer, events = reduce(
        delta(content="I look."),
        piece(0, call_id="call_a", name="look", arguments=""),
        piece(0, arguments='{"at":'),
        piece(0, arguments='"me"}'),
        ends("tool_calls"),
    )

    assert short(events)[5:] == [
        "output_item.done",
        "output_item.added",
        'function_call_arguments.delta={"at":',
        'function_call_arguments.delta="me"}',
        'function_call_arguments.done={"at":"me"}',
        "output_item.done",
    ]
    assert events[-2]["name"] == "look"
    call = reducer.output()[1]
    assert call == {
        "id": call["id"],
        "type": "function_call",
        "status": "completed",
        "call_id": "call_a",
        "name": "look",
        "arguments": '{"at":"me"}',
    }


def arguments_of(reducer):
    return [(item["call_id"], item["arguments"]) for item in reducer.output()]


@pytest.mark.parametrize(
    "reads",
    [
        pytest.param(
            [
                piece(0, call_id="a", name="f", arguments=""),
                piece(1, call_id="b", name="f", arguments=""),
                piece(0, arguments="{1"),
                piece(1, arguments="{2"),
                piece(0, arguments="}"),
                piece(1, arguments="}"),
            ],
            id="interleaved",
        ),
        pytest.param(
            [
                piece(0, call_id="a", name="f", arguments="{1"),
                piece(0, arguments="}"),
                piece(0, call_id="b", name="f", arguments="{2"),
                piece(0, arguments="}"),
            ],
            id="all numbered 0",
        ),
        pytest.param(
            [
                piece(None, call_id="a", name="f", arguments="{1"),
                piece(None, call_id="a", arguments="}"),
                piece(None, call_id="b", name="f", arguments="{2}"),
            ],
            id="not numbered",
        ),
    ],
)
@pytest.mark.parametrize("in_one_read", [True, False])
def test_parallel_calls_are_kept_apart(reads, in_one_read):
    reducer, events = reduce(reads) if in_one_read else reduce(*reads)

    assert arguments_of(reducer) == [("a", "{1}"), ("b", "{2}")]
    grown = {}
    for event in events:
        if event["type"].endswith(".delta"):
            grown[event["output_index"]] = grown.get(event["output_index"], "") + event["delta"]
    assert grown == {0: "{1}", 1: "{2}"}


def test_call_without_an_id_gets_one():
    reducer, _ = reduce(piece(0, name="f", arguments="{}"), ends())

    assert reducer.output()[0]["call_id"].startswith("call_")


def test_arguments_that_are_an_object_become_json():
    reducer, _ = reduce(delta(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": {"a": 1}}}]), ends())

    assert reducer.output()[0]["arguments"] == '{"a":1}'


def test_call_without_arguments_is_done_with_none():
    _, events = reduce(piece(0, call_id="a", name="f"), ends())

    assert short(events) == ["output_item.added", "function_call_arguments.done=", "output_item.done"]


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_cut_answer_leaves_what_was_growing_incomplete(finish, reason):
    reducer, events = reduce(
        piece(0, call_id="a", name="f", arguments="{}"), piece(1, call_id="b", name="f", arguments="{"), ends(finish)
    )

    assert reducer.incomplete_reason == reason
    assert [item["status"] for item in reducer.output()] == ["completed", "incomplete"]
    assert events[-1]["item"]["status"] == "incomplete"


def test_call_that_is_cut_before_its_arguments_is_incomplete():
    reducer, _ = reduce(delta(content="I look."), piece(0, call_id="a", name="f", arguments=""), ends("length"))

    assert [item["status"] for item in reducer.output()] == ["completed", "incomplete"]


def test_broken_answer_is_left_without_a_word():
    writer = EventWriter()
    reducer = ChunkReducer(writer)
    reducer.feed([piece(0, call_id="a", name="f", arguments='{"a')])
    writer.take()

    reducer.abandon()

    assert writer.take() == []
    assert [(item["status"], item["arguments"]) for item in reducer.output()] == [("incomplete", '{"a')]


def test_logprobs_are_carried_with_all_their_fields():
    entry = {"token": "Hi", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "Hi", "logprob": -0.5}]}
    read = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": {"content": [entry]}}]}

    reducer, events = reduce(read, ends())

    shown = [
        {"token": "Hi", "logprob": -0.5, "bytes": [], "top_logprobs": [{"token": "Hi", "logprob": -0.5, "bytes": []}]}
    ]
    assert next(event for event in events if event["type"].endswith("text.delta"))["logprobs"] == shown
    assert reducer.output()[0]["content"][0]["logprobs"] == shown


def test_other_choices_and_empty_chunks_are_passed_over():
    reducer, _ = reduce(
        {"choices": [{"index": 1, "delta": {"content": "no"}}]}, {"choices": []}, {}, delta(content="yes")
    )

    assert [part["text"] for part in reducer.output()[0]["content"]] == ["yes"]


def test_service_tier_is_noted():
    reducer, _ = reduce({"choices": [], "service_tier": "flex"})

    assert reducer.service_tier == "flex"


# A part of an answer: what it is, and its fragments.
SPEECHES = st.tuples(st.sampled_from(["reasoning_content", "content", "refusal"]), st.lists(st.text(), min_size=1))
CALLS = st.tuples(st.just("call"), st.lists(st.text(), min_size=1))


@st.composite
def answers(draw):
    """Return an answer's chunks, and the same split differently into chunks and reads."""
    parts = draw(st.lists(st.one_of(SPEECHES, CALLS), max_size=6))
    return _chunks(parts, draw, split=False), _chunks(parts, draw, split=True)


def _chunks(parts, draw, *, split):
    chunks = []
    for number, (kind, fragments) in enumerate(parts):
        text = "".join(fragments)
        pieces = fragments if split else [text]
        if kind == "call":
            chunks.append(piece(number, call_id=f"call_{number}", name="f", arguments=""))
        chunks += [piece(number, arguments=word) if kind == "call" else delta(**{kind: word}) for word in pieces]
    chunks.append(ends())
    if not split:
        return [[chunk] for chunk in chunks]
    reads = []
    for chunk in chunks:
        if reads and draw(st.booleans()):
            reads[-1].append(chunk)
        else:
            reads.append([chunk])
    return reads


def without_ids(items):
    return [{name: value for name, value in item.items() if name != "id"} for item in items]


@given(answers())
def test_any_split_of_an_answer_gives_the_same_output(split_in_two_ways):
    whole, split = split_in_two_ways

    assert without_ids(reduce(*whole)[0].output()) == without_ids(reduce(*split)[0].output())


@given(answers())
def test_deltas_add_up_to_what_is_done(split_in_two_ways):
    _, events = reduce(*split_in_two_ways[1])

    grown = {}
    for event in events:
        key = (event.get("item_id"), event.get("content_index"), event.get("summary_index"))
        if event["type"].endswith(".delta"):
            grown[key] = grown.get(key, "") + event["delta"]
        elif event["type"].endswith(("text.done", "refusal.done", "arguments.done")):
            whole = next(event[name] for name in ("text", "refusal", "arguments") if name in event)
            assert grown.pop(key, "") == whole
    assert grown == {}
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


@given(answers())
def test_every_item_is_added_once_and_done_as_the_output_has_it(split_in_two_ways):
    reducer, events = reduce(*split_in_two_ways[1])

    added = [event for event in events if event["type"] == "response.output_item.added"]
    done = {event["output_index"]: event["item"] for event in events if event["type"] == "response.output_item.done"}
    assert [event["output_index"] for event in added] == list(range(len(reducer.output())))
    assert [done[index] for index in sorted(done)] == reducer.output()
