"""Long inputs become short ones: what stays, what the model is asked, and what it costs in every ending."""

import asyncio
from dataclasses import replace

import orjson
import pytest

from rostra.chat.v1.chat_service_pb2 import CompactResponseRequest, ResponseState
from rostra_chat.errors import ContextLengthExceeded, ProviderUnavailable
from rostra_chat.responses.compaction import Compactions
from rostra_chat.responses.store import Context
from rostra_chat.tokens import estimate_request_tokens
from rostra_kit.compaction import open_summary
from rostra_kit.errors import InvalidArgumentError, ResourceExhaustedError

TURNS = [
    {"role": "developer", "content": "Be polite."},
    {"role": "user", "content": "My name is Livia."},
    {"role": "assistant", "content": "Salve, Livia."},
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "the forum"},
    {"role": "user", "content": "Where am I?"},
]


async def compact(bench, *, state=None, **body):
    compactions = Compactions(models=bench, meter=bench.meter, store=bench.store, default_max_output_tokens=256)
    body = {"model": "scripted", "input": TURNS, **body}
    request = CompactResponseRequest(model="scripted", body=orjson.dumps(body), state=state)
    answer = await compactions.compact(request)
    assert answer.limits
    return orjson.loads(answer.body)


def texts(items):
    return [(item["role"], item["content"][0]["text"]) for item in items if item["type"] == "message"]


def summary(answer):
    return open_summary(answer["output"][-1]["encrypted_content"], param="")


async def test_users_messages_stay_and_one_item_stands_for_the_rest(bench):
    answer = await compact(bench)
    assert (answer["object"], answer["id"][:5]) == ("response.compaction", "resp_")
    *messages, last = answer["output"]
    kept = [("developer", "Be polite."), ("user", "My name is Livia."), ("user", "Where am I?")]
    assert texts(messages) == kept
    assert (last["type"], last["id"][:4]) == ("compaction", "cmp_")
    assert summary(answer) == "Hello there"
    assert answer["usage"]["total_tokens"] == 10


async def test_model_is_asked_for_a_summary_of_everything(bench):
    await compact(bench, instructions="Speak Latin.", prompt_cache_key="key", service_tier="flex")
    [body] = bench.provider.bodies
    system, user = body["messages"]
    assert "Speak Latin." in system["content"]
    assert user["content"].split("\n\n") == [
        "developer: Be polite.",
        "user: My name is Livia.",
        "assistant: Salve, Livia.",
        "assistant calls look (c1): {}",
        "output of c1: the forum",
        "user: Where am I?",
    ]
    assert (body["prompt_cache_key"], body["service_tier"], body["max_tokens"]) == ("key", "flex", 256)


async def test_what_it_continues_is_summarised_too(bench):
    before = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Ave."}]}
    bench.store.context = Context(items=(before,))
    answer = await compact(bench, input=None, state=ResponseState(previous_response_id="resp_1"))
    assert texts(answer["output"]) == [("user", "Ave.")]
    assert bench.store.loads[0]["previous_response_id"] == "resp_1"


async def test_newest_messages_stay_while_they_fit_a_quarter_of_the_window(bench):
    long = [{"role": "user", "content": f"{number} " + "word " * 1200} for number in range(5)]
    answer = await compact(bench, input=[{"role": "system", "content": "Be brief."}, *long])
    assert [(role, text.split()[0]) for role, text in texts(answer["output"])] == [
        *[("system", "Be")],
        *[("user", "3"), ("user", "4")],
    ]


async def test_older_message_that_would_fit_does_not_stay_without_the_one_after_it(bench):
    items = [{"role": "user", "content": "short"}, {"role": "user", "content": "word " * 5000}]
    answer = await compact(bench, input=[*items, {"role": "user", "content": "last"}])
    assert texts(answer["output"]) == [("user", "last")]


async def test_compacted_input_is_understood_again(bench):
    answer = await compact(bench)
    await bench.create(input=[*answer["output"], {"role": "user", "content": "Who am I?"}])
    messages = bench.provider.bodies[-1]["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "user", "user", "user"]
    assert messages[3]["content"].endswith("\n\nHello there")
    assert "summary" in messages[3]["content"]
    [stored] = [item for item in bench.store.inputs[bench.store.only["id"]] if item["type"] == "compaction"]
    assert stored["encrypted_content"] == answer["output"][-1]["encrypted_content"]


async def test_compaction_of_a_compaction_holds_both(bench):
    answer = await compact(bench)
    await compact(bench, input=[*answer["output"], {"role": "user", "content": "Go on."}])
    assert "summary of what was said before: Hello there" in bench.provider.bodies[-1]["messages"][1]["content"]


async def test_what_is_too_long_for_the_model_is_read_in_parts(bench, chunks):
    calls = []
    play = bench.provider.stream

    async def numbered(model, body):
        calls.append(body["messages"][1]["content"])
        bench.provider.script = chunks.says(f"summary {len(calls)}")
        async for frames in play(model, body):
            yield frames

    bench.provider.stream = numbered
    answer = await compact(bench, input="7 " * 20_000)
    assert len(calls) > 2
    assert sum(part.count("7") for part in calls) == 20_000
    assert "summary 1\n\n" in calls[1]
    assert summary(answer) == f"summary {len(calls)}"
    assert answer["usage"]["input_tokens"] == 7 * len(calls)
    [reserved], [ending] = bench.meter.reserved, bench.meter.ends
    assert reserved["max_output_tokens"] == 256 * len(calls)
    assert ending == ("FINISHED", 7 * len(calls), 3 * len(calls), False)


async def test_reservation_covers_every_part_with_the_summary_before_it(bench, chunks):
    bench.provider.script = [chunks.one({"content": "word " * 220}), chunks.one({}, "stop")]
    await compact(bench, input="word " * 30_000)
    asked = sum(estimate_request_tokens(body) for body in bench.provider.bodies)
    assert bench.meter.reserved[0]["input_tokens"] >= asked
    assert all(estimate_request_tokens(body) + 256 <= 10_000 for body in bench.provider.bodies)


@pytest.mark.parametrize(("window", "words"), [(10_000, 400_000), (500, 10)])
async def test_what_cannot_be_read_even_in_parts_costs_nothing(bench, window, words):
    bench.model = replace(bench.model, context_window=window)
    with pytest.raises(ContextLengthExceeded) as caught:
        await compact(bench, input="word " * words, instructions="word " * 200)
    assert caught.value.param == "input"
    assert bench.journal == []


async def test_model_of_unknown_window_reads_everything_at_once(bench):
    bench.model = replace(bench.model, context_window=0)
    await compact(bench, input="word " * 30_000)
    assert len(bench.provider.bodies) == 1


async def test_nothing_to_compact_is_refused(bench):
    with pytest.raises(InvalidArgumentError) as caught:
        await compact(bench, input=[])
    assert caught.value.param == "input"
    assert bench.journal == []


async def test_refusal_by_a_limit_reaches_no_provider(bench):
    bench.meter.error = ResourceExhaustedError("Too much.")
    with pytest.raises(ResourceExhaustedError):
        await compact(bench)
    assert bench.journal == []


@pytest.mark.parametrize("script", [[ProviderUnavailable("away")], []])
async def test_provider_that_does_not_answer_costs_nothing(bench, script):
    bench.provider.script = script
    with pytest.raises(Exception, match=r"away|nothing"):
        await compact(bench)
    assert bench.meter.ends == [("GIVEN BACK",)]


async def test_provider_that_breaks_is_paid_for_what_it_said(bench, chunks):
    bench.provider.script = [chunks.one({"content": "Hello there"}), ProviderUnavailable("broke")]
    with pytest.raises(ProviderUnavailable):
        await compact(bench)
    [(outcome, input_tokens, output_tokens, estimated)] = bench.meter.ends
    assert (outcome, estimated) == ("FAILED", True)
    assert input_tokens > 50
    assert output_tokens > 0


async def test_answer_of_nothing_is_an_error_and_settled(bench, chunks):
    bench.provider.script = chunks.says("  ")
    with pytest.raises(Exception, match="nothing"):
        await compact(bench)
    assert [end[0] for end in bench.meter.ends] == ["FAILED"]


async def test_failure_in_a_later_part_settles_the_parts_before(bench, chunks):
    play, calls = bench.provider.stream, []

    async def failing_later(model, body):
        calls.append(body)
        if len(calls) == 2:
            raise ProviderUnavailable("away")
        async for frames in play(model, body):
            yield frames

    bench.provider.stream = failing_later
    with pytest.raises(ProviderUnavailable):
        await compact(bench, input="word " * 30_000)
    assert bench.meter.ends == [("FAILED", 7, 3, False)]


@pytest.mark.parametrize("said", [[], ["Hello"]])
async def test_client_that_leaves_cuts_the_call_and_pays_for_what_was_asked(bench, chunks, said):
    bench.provider.script = [*[chunks.one({"content": word}) for word in said], asyncio.Event()]
    task = asyncio.create_task(compact(bench))
    await bench.provider.stalled.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [(outcome, input_tokens, output_tokens, estimated)] = bench.meter.ends
    assert (outcome, output_tokens > 0, estimated) == ("CANCELLED", bool(said), True)
    assert input_tokens > 50
    assert "provider closed" in bench.journal
