"""Rebuilding an answer from its events, and ending a log from what is stored."""

from typing import Any

import pytest

from rostra_chat.background.beginning import queued_events
from rostra_chat.background.closing import closing_frames
from rostra_chat.background.replay import Replay, text_chunk
from rostra_chat.responses.response_object import Ending, ended
from rostra_kit.errors import InternalError

RESPONSE: dict[str, Any] = {"id": "resp_1", "status": "queued", "service_tier": None, "output": []}
LOGPROBS = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
CALL = {"index": 0, "id": "call_1", "function": {"name": "look", "arguments": "{}"}}
SCRIPTS: dict[str, list[dict[str, Any]]] = {
    "text": [text_chunk("content", word) for word in ("One ", "two ", "three.")],
    "log probabilities": [text_chunk("content", word, LOGPROBS) for word in ("One ", "two.")],
    "refusal after text": [
        text_chunk("content", "Well. "),
        text_chunk("refusal", "I "),
        text_chunk("refusal", "won't."),
    ],
    "reasoning and text": [text_chunk("reasoning_content", "Hm. "), text_chunk("content", "Yes.")],
    "reasoning between texts": [
        text_chunk("content", "First. "),
        text_chunk("reasoning_content", "Hm."),
        text_chunk("content", "Second."),
    ],
    "calls after text": [
        text_chunk("content", "Let me see."),
        {"choices": [{"index": 0, "delta": {"tool_calls": [CALL]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [CALL | {"index": 1, "id": "call_2"}]}}]},
    ],
}


def queued() -> list[bytes]:
    return [event.frame() for event in queued_events(RESPONSE)]


def played(chunks: list[dict[str, Any]]) -> tuple[list[bytes], Replay]:
    """Return the frames of a run that was fed `chunks`, and the run's answer."""
    replay = Replay(queued())
    replay.begin(RESPONSE)
    for chunk in chunks:
        replay.reducer.feed([chunk])
    return replay.frames + [event.frame() for event in replay.writer.take()], replay


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name != "calls after text"])
def test_answer_is_rebuilt_from_every_point_of_its_log(name):
    chunks = SCRIPTS[name]
    for count in range(len(chunks) + 1):
        frames, run = played(chunks[:count])
        rebuilt = Replay(frames)
        assert rebuilt.reducer.output() == run.reducer.output()
        assert rebuilt.writer.next_number == len(frames)
        assert rebuilt.writer.take() == []
        for chunk in chunks[count:]:
            rebuilt.reducer.feed([chunk])
            run.reducer.feed([chunk])
        assert len(rebuilt.reducer.output()) == len(run.reducer.output())
        assert rebuilt.reducer.said == run.reducer.said


def test_reasoning_of_several_attempts_is_rebuilt_with_all_its_parts():
    begun, run = played([])
    for words in (["Let ", "me"], ["Let ", "us "], ["So"]):
        run.reducer.resume()
        for word in words:
            run.reducer.feed([text_chunk("reasoning_content", word)])
    frames = begun + [event.frame() for event in run.writer.take()]

    rebuilt = Replay(frames)

    (item,) = rebuilt.reducer.output()
    assert [part["text"] for part in item["summary"]] == ["Let me", "Let us ", "So"]
    assert item == run.reducer.output()[0]


@pytest.mark.parametrize("name", SCRIPTS)
def test_log_is_ended_from_every_point_as_its_runner_would_have(name):
    frames, run = played(SCRIPTS[name])
    run.reducer.finish()
    response = ended(RESPONSE, Ending(status="completed", output=run.reducer.output()))
    run.writer.write("response.completed", response=response)
    whole = frames + [event.frame() for event in run.writer.take()]
    # The events that end the text before a call are published with the call.
    spoken = [chunk for chunk in SCRIPTS[name] if "tool_calls" not in chunk["choices"][0]["delta"]]
    published = len(played(spoken)[0])

    closed = frames[:published] + closing_frames(frames[:published], response)
    rebuilt = [Replay.parse(frame)["type"] for frame in closed]
    assert rebuilt == [Replay.parse(frame)["type"] for frame in whole]
    assert closed[-1] == whole[-1]
    for count in range(2, published):
        if b".delta" in frames[count]:  # what came together is in the log together, and ends with a delta
            assert deltas(frames[: count + 1] + closing_frames(frames[: count + 1], response)) == deltas(whole)


def deltas(frames: list[bytes]) -> dict[str, str]:
    """Return the text of every part, by where it stands."""
    texts: dict[str, str] = {}
    for frame in frames:
        event = Replay.parse(frame)
        if event["type"].endswith(".delta"):
            place = f"{event['item_id']} {event.get('content_index', event.get('summary_index'))}"
            texts[place] = texts.get(place, "") + event["delta"]
    return texts


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_log_of_a_broken_answer_ends_with_its_missing_words(status):
    frames, run = played(SCRIPTS["text"])
    run.reducer.abandon()
    response = ended(RESPONSE, Ending(status=status, output=run.reducer.output()))
    published = frames[:-2]

    closed = closing_frames(published, response)

    assert [Replay.parse(frame)["type"] for frame in closed] == ["response.output_text.delta", f"response.{status}"]
    assert Replay.parse(closed[0])["delta"] == "two three."


def test_log_of_a_response_that_never_ran_ends_with_the_last_event_alone():
    (frame,) = closing_frames(queued(), RESPONSE | {"status": "cancelled"})

    assert (Replay.parse(frame)["type"], Replay.parse(frame)["sequence_number"]) == ("response.cancelled", 2)


def test_log_with_an_unknown_event_is_refused():
    with pytest.raises(InternalError):
        Replay([*queued(), b'event: response.other\ndata: {"type":"response.other"}\n\n'])
