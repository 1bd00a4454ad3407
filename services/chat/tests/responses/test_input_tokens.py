"""The count is what a run reserves, and asking for it touches nothing."""

import orjson
import pytest

from rostra.chat.v1.chat_service_pb2 import CountInputTokensRequest, ResponseState
from rostra_chat.errors import ModelNotFound
from rostra_chat.responses.input_tokens import InputTokens
from rostra_chat.responses.store import Context
from rostra_kit.compaction import seal_summary
from rostra_kit.errors import InvalidArgumentError

TOOL = {"type": "function", "name": "look", "description": "Looks around.", "parameters": {"type": "object"}}
SCHEMA = {"type": "json_schema", "name": "n", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}
BEFORE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello before"}]}


async def count(bench, *, state=None, **body):
    counting = InputTokens(models=bench, store=bench.store)
    return (await counting.count(CountInputTokensRequest(body=orjson.dumps(body), state=state))).input_tokens


@pytest.mark.parametrize(
    "body",
    [
        {"input": "Hello"},
        {"input": "Hello", "instructions": "Be brief."},
        {"input": "Hello", "tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
        {"input": "Hello", "text": {"format": SCHEMA}, "reasoning": {"effort": "low"}},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:,", "detail": "low"}]}]},
        {"input": [{"type": "compaction", "encrypted_content": seal_summary("They met.")}]},
        {
            "input": [{"role": "user", "content": "word " * 9000}, {"role": "user", "content": "Hi"}],
            "truncation": "auto",
        },
    ],
)
async def test_count_is_what_a_run_reserves(bench, body):
    bench.store.context = Context(items=(BEFORE,))
    state = ResponseState(previous_response_id="resp_1")
    counted = await count(bench, state=state, model="scripted", **body)
    await bench.create(state=state, **body)
    assert counted == bench.meter.reserved[0]["input_tokens"] > 0


async def test_without_a_model_the_count_is_the_same(bench):
    assert await count(bench, input="Hello") == await count(bench, input="Hello", model="scripted")


async def test_nothing_is_reserved_stored_or_called(bench):
    await count(bench, input="Hello", model="scripted")
    assert bench.journal == []


async def test_what_fits_no_model_is_counted(bench):
    assert await count(bench, input="word " * 50_000, model="scripted") > bench.model.context_window


async def test_nothing_at_all_is_a_few_tokens(bench):
    assert 0 < await count(bench) < 10


async def test_unknown_model_is_not_found(bench):
    with pytest.raises(ModelNotFound):
        await count(bench, input="Hello", model="unknown")


async def test_damaged_compaction_is_refused_by_name(bench):
    items = [{"role": "user", "content": "x"}, {"type": "compaction", "encrypted_content": "rostra1.x"}]
    with pytest.raises(InvalidArgumentError) as caught:
        await count(bench, input=items)
    assert caught.value.param == "input[1].encrypted_content"
