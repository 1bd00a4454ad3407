"""Whatever JSON a client sends, it is planned or refused by name; nothing else is ever raised."""

import copy
from datetime import UTC, datetime

import orjson
from hypothesis import given
from hypothesis import strategies as st

from rostra.chat.v1.chat_service_pb2 import ResponseState
from rostra_chat.catalogue import Model
from rostra_chat.chat_request import parse_body
from rostra_chat.responses.input_items import referenced_ids
from rostra_chat.responses.plan import make_plan
from rostra_chat.responses.request import ResponseRequest
from rostra_chat.responses.store import Context
from rostra_kit.errors import InvalidArgumentError

BODY = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}], "status": "completed"},
        {"role": "user", "content": [{"type": "input_image", "image_url": "https://example.com", "detail": "low"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hm", "annotations": [], "logprobs": []}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}], "content": []},
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}", "id": "fc_1"},
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "seen"}]},
    ],
    "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["message.output_text.logprobs"],
    "metadata": {"a": "b"},
    "max_output_tokens": 5,
    "temperature": 1,
    "truncation": "auto",
    "user": "u",
}


def places(value, path=()):
    """Yield the path of everything in a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


PLACES = [path for path in places(BODY) if path]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def changed(path, value):
    body = copy.deepcopy(BODY)
    place = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return body


def plan(body):
    model = Model(id="m", provider="p", upstream_name="u", context_window=1000, create_time=datetime.now(UTC))
    request = ResponseRequest.parse(parse_body(orjson.dumps(body)))
    return make_plan(
        request,
        model=model,
        provider=None,
        context=Context(referenced=(BODY["input"][0],) * len(referenced_ids(request.input))),
        state=ResponseState(store=True),
        default_max_output_tokens=100,
    )


def test_body_is_right_before_it_is_changed():
    assert plan(BODY).body["messages"]


@given(st.sampled_from(PLACES), JSON)
def test_any_value_anywhere_is_taken_or_refused_by_name(path, value):
    refusal = None
    try:
        made = plan(changed(path, value))
        orjson.dumps([made.body, made.response, made.input_items])
    except InvalidArgumentError as error:
        refusal = error
    assert refusal is None or (refusal.param and len(refusal.message) < 500)
