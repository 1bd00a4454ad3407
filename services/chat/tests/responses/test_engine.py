import asyncio

import pytest

from rostra.chat.v1.chat_service_pb2 import ResponseState, StreamResponseRequest
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_chat.errors import ContextLengthExceeded, LeaseLost, ModelNotFound, ProviderError, ProviderUnavailable
from rostra_chat.responses.store import Context
from rostra_kit.context import RequestContext, current_request, set_current_request
from rostra_kit.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)

BROKEN = ProviderUnavailable("The provider is away.")


async def test_answer_is_stored_and_settled_before_it_is_called_completed(bench):
    events = await bench.events()

    assert events[-1]["type"] == "response.completed"
    assert bench.journal[:3] == ["reserved", "stored in_progress", "provider"]
    assert sorted(bench.journal[-3:-1]) == ["settled", "stored completed"]
    assert bench.store.only["output"] == events[-1]["response"]["output"]
    assert bench.meter.ends == [("FINISHED", 7, 3, False)]


async def test_limits_go_with_the_first_message_alone(bench):
    request = StreamResponseRequest(
        model="scripted", body=b'{"model": "scripted", "input": "Hi"}', state=ResponseState(store=True)
    )
    messages = [message async for message in bench.engine.stream(request)]

    assert [len(message.limits) for message in messages] == [1] + [0] * (len(messages) - 1)


async def test_answer_without_a_stream_is_the_finished_response(bench):
    response = await bench.create(metadata={"a": "b"})

    assert response["status"] == "completed"
    assert response["output"][0]["content"][0]["text"] == "Hello there"
    assert response["usage"]["total_tokens"] == 10
    assert response == bench.store.only


async def test_response_that_is_not_to_be_stored_is_not(bench):
    response = await bench.create(state=ResponseState(store=False))

    assert response["status"] == "completed"
    assert response["store"] is False
    assert bench.store.responses == {}


async def test_usage_that_the_provider_does_not_report_is_estimated(bench, chunks):
    bench.provider.script = chunks.says("Hello")[:-1]

    response = await bench.create()

    ((outcome, input_tokens, output_tokens, is_estimated),) = bench.meter.ends
    assert (outcome, is_estimated) == ("FINISHED", True)
    assert response["usage"]["input_tokens"] == input_tokens > 0
    assert response["usage"]["output_tokens"] == output_tokens > 0


async def test_input_is_stored_in_its_normal_form_under_new_ids(bench):
    await bench.create(input=[{"role": "user", "content": "Hi", "id": "msg_mine"}])

    ((item,),) = bench.store.inputs.values()
    assert item["content"] == [{"type": "input_text", "text": "Hi"}]
    assert item["id"].startswith("msg_")
    assert item["id"] != "msg_mine"


async def test_context_comes_before_the_input(bench):
    said = {"type": "message", "id": "msg_1", "role": "user", "content": [{"type": "input_text", "text": "Before"}]}
    bench.store.context = Context(items=(said,), branch_point=b"point")

    await bench.create(state=ResponseState(store=True, previous_response_id="resp_1"), instructions="Be brief")

    assert list(bench.store.branch_points.values()) == [b"point"]

    assert bench.provider.bodies[0]["messages"] == [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "Before"},
        {"role": "user", "content": "Hi"},
    ]
    names = {"previous_response_id": "resp_1", "conversation_id": "", "item_ids": (), "response_id": ""}
    assert bench.store.loads == [names]


async def test_request_that_continues_nothing_asks_history_nothing(bench):
    await bench.create()

    assert bench.store.loads == []


async def test_reference_becomes_a_copy_under_a_new_id(bench):
    said = {"type": "message", "id": "msg_1", "role": "user", "content": [{"type": "input_text", "text": "Said"}]}
    bench.store.context = Context(referenced=(said,))

    await bench.create(input=[{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "Hi"}])

    ((copy, _),) = bench.store.inputs.values()
    assert copy["content"] == said["content"]
    assert copy["id"] != "msg_1"
    assert [message["content"] for message in bench.provider.bodies[0]["messages"]] == ["Said", "Hi"]
    assert bench.store.loads[0]["item_ids"] == ("msg_1",)


async def test_conversation_is_shown_in_the_response(bench):
    response = await bench.create(state=ResponseState(store=True, conversation_id="conv_1"))

    assert response["conversation"] == {"id": "conv_1"}
    assert response["previous_response_id"] is None


async def test_empty_input_with_nothing_before_it_is_missing(bench):
    with pytest.raises(InvalidArgumentError) as caught:
        await bench.create(input=[])

    assert caught.value.param == "input"
    assert caught.value.reason == ErrorReason.ERROR_REASON_MISSING_REQUIRED_PARAMETER


async def test_unknown_model_is_refused_before_any_cost(bench):
    with pytest.raises(ModelNotFound):
        await bench.create(model="unknown")

    assert bench.journal == []


async def test_input_beyond_the_window_is_refused_before_any_cost(bench):
    with pytest.raises(ContextLengthExceeded) as caught:
        await bench.create(input="many words " * 10_000)

    assert caught.value.param == "input"
    assert bench.journal == []


async def test_unknown_context_is_refused_before_any_cost(bench):
    bench.store.failures["load"] = NotFoundError("No such response.")

    with pytest.raises(NotFoundError):
        await bench.create(state=ResponseState(store=True, previous_response_id="resp_x"))

    assert bench.journal == []


async def test_reached_limit_leaves_nothing_behind(bench):
    bench.meter.error = ResourceExhaustedError("Too much.")

    with pytest.raises(ResourceExhaustedError):
        await bench.events()

    assert bench.journal == []


async def test_store_that_is_away_at_the_beginning_gives_the_reservation_back(bench):
    bench.store.failures["create"] = UnavailableError("History is away.")

    with pytest.raises(UnavailableError):
        await bench.events()

    assert bench.journal == ["reserved", "given back"]


@pytest.mark.parametrize("failure", [BROKEN, ValueError("nobody foresaw it")])
async def test_failure_before_the_first_frame_is_raised_stored_and_free(bench, failure):
    bench.provider.script = [failure]

    with pytest.raises(type(failure)):
        await bench.events()

    assert bench.meter.ends == [("GIVEN BACK",)]
    assert bench.store.only["status"] == "failed"
    assert bench.store.only["error"]["code"] == "server_error"
    assert "nobody" not in bench.store.only["error"]["message"]


async def test_answer_of_nothing_is_a_failure(bench):
    bench.provider.script = []

    with pytest.raises(ProviderError):
        await bench.events()

    assert bench.store.only["status"] == "failed"


@pytest.mark.parametrize("failure", [BROKEN, ValueError("nobody foresaw it")])
async def test_failure_after_the_first_frame_is_the_last_event(bench, chunks, failure):
    bench.provider.script = [chunks.one({"content": "Hello"}), failure]

    events = await bench.events()

    kinds = [event["type"] for event in events]
    assert kinds[-2:] == ["response.output_text.delta", "response.failed"]
    response = events[-1]["response"]
    assert response["error"]["code"] == "server_error"
    assert response["output"][0]["status"] == "incomplete"
    assert response["output"][0]["content"][0]["text"] == "Hello"
    assert response == bench.store.only
    ((outcome, _, output_tokens, is_estimated),) = bench.meter.ends
    assert (outcome, is_estimated) == ("FAILED", True)
    assert output_tokens > 0


async def test_failure_after_the_first_frame_without_a_stream_is_raised(bench, chunks):
    bench.provider.script = [chunks.one({"content": "Hello"}), BROKEN]

    with pytest.raises(ProviderUnavailable):
        await bench.create()

    assert bench.store.only["status"] == "failed"
    assert [end[0] for end in bench.meter.ends] == ["FAILED"]


async def test_store_that_is_away_at_the_end_leaves_no_completed_event(bench):
    bench.store.failures["finish"] = UnavailableError("History is away.")

    events = await bench.events()

    assert events[-1]["type"] == "error"
    assert events[-1]["code"] == "service_unavailable"
    assert events[-1]["sequence_number"] == len(events) - 1
    assert "response.completed" not in bench.journal
    assert bench.meter.ends == [("FINISHED", 7, 3, False)]


async def test_store_that_is_away_at_the_end_is_an_error_without_a_stream(bench):
    bench.store.failures["finish"] = UnavailableError("History is away.")

    with pytest.raises(UnavailableError):
        await bench.create()


@pytest.mark.parametrize("error", [UnavailableError("History restarts."), DeadlineExceededError("It is stopped.")])
async def test_store_that_is_back_soon_gets_the_end(bench, error):
    bench.store.failures["finish"] = error
    asyncio.get_running_loop().call_later(0.05, bench.store.failures.clear)

    assert (await bench.events())[-1]["type"] == "response.completed"
    assert bench.store.only["status"] == "completed"


async def test_answer_whose_lease_was_lost_is_an_error_that_no_sdk_repeats(bench):
    bench.store.failures["finish"] = LeaseLost("It is another runner's.")

    with pytest.raises(UnavailableError, match="too late to be stored") as caught:
        await bench.create()

    assert caught.value.retry_after_seconds is None


async def test_response_that_is_deleted_while_it_runs_completes(bench):
    bench.store.failures["finish"] = NotFoundError("No such response.")

    assert (await bench.events())[-1]["type"] == "response.completed"


async def test_cut_answer_is_incomplete(bench, chunks):
    bench.provider.script = chunks.says("Hello", finish_reason="length")

    events = await bench.events()

    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert events[-1]["response"]["output"][0]["status"] == "incomplete"
    assert bench.store.only["status"] == "incomplete"
    assert bench.meter.ends == [("FINISHED", 7, 3, False)]


async def test_client_that_leaves_mid_stream_pays_what_was_produced(bench, chunks):
    bench.provider.script = [chunks.one({"content": "Hello"}), asyncio.Event()]
    stream = bench.stream()
    seen = [await anext(stream) for _ in range(5)]
    await bench.provider.stalled.wait()

    await stream.aclose()
    await bench.engine.__aexit__(None, None, None)

    assert seen[-1]["delta"] == "Hello"
    assert "provider closed" in bench.journal
    assert bench.store.only["status"] == "cancelled"
    assert bench.store.only["output"][0]["content"][0]["text"] == "Hello"
    ((outcome, _, output_tokens, is_estimated),) = bench.meter.ends
    assert (outcome, is_estimated) == ("CANCELLED", True)
    assert output_tokens > 0


@pytest.mark.parametrize("streams", [True, False])
async def test_cancelled_call_is_cancelled_and_its_response_too(bench, streams):
    bench.provider.script = [asyncio.Event()]
    call = asyncio.create_task(bench.events() if streams else bench.create())
    await bench.provider.stalled.wait()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await bench.engine.__aexit__(None, None, None)

    assert bench.store.only["status"] == "cancelled"
    ((outcome, input_tokens, output_tokens, _),) = bench.meter.ends
    assert (outcome, output_tokens) == ("CANCELLED", 0)
    assert input_tokens > 0


async def test_client_that_leaves_while_the_beginning_is_stored_pays_nothing(bench):
    blocked = asyncio.Event()
    reached = asyncio.Event()

    async def create(response, **_more):
        bench.store.responses[response["id"]] = response
        reached.set()
        await blocked.wait()

    bench.store.create = create
    call = asyncio.create_task(bench.create())
    await reached.wait()

    call.cancel()
    await asyncio.wait({call})
    await bench.engine.__aexit__(None, None, None)

    assert bench.store.only["status"] == "cancelled"
    assert bench.meter.ends == [("GIVEN BACK",)]


async def test_client_that_leaves_while_the_end_is_stored_does_not_stop_that(bench):
    blocked = asyncio.Event()
    reached = asyncio.Event()
    finish = bench.store.finish

    async def slow_finish(response):
        reached.set()
        await blocked.wait()
        await finish(response)

    bench.store.finish = slow_finish
    call = asyncio.create_task(bench.create())
    await reached.wait()

    call.cancel()
    await asyncio.wait({call})
    blocked.set()
    await bench.engine.__aexit__(None, None, None)

    assert bench.store.only["status"] == "completed"
    assert bench.meter.ends == [("FINISHED", 7, 3, False)]


async def test_slow_listener_makes_the_provider_wait(bench, chunks):
    bench.provider.script = [*(chunks.one({"content": "word "}) for _ in range(100)), asyncio.Event()]
    stream = bench.stream()
    await anext(stream)
    for _ in range(300):
        await asyncio.sleep(0)

    assert not bench.provider.stalled.is_set()
    await stream.aclose()


async def test_deadline_of_the_call_does_not_reach_what_is_stored_after_it(bench):
    seen = []
    finish = bench.store.finish

    async def observed(response):
        seen.append(current_request())
        await finish(response)

    bench.store.finish = observed
    set_current_request(RequestContext(request_id="req_1", caller=b"caller", deadline=0.0))

    await bench.create()

    assert seen == [RequestContext(request_id="req_1", caller=b"caller", deadline=None)]
