import pytest

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_chat.responses.request import ResponseRequest
from rostra_kit.errors import InvalidArgumentError

MISSING = ErrorReason.ERROR_REASON_MISSING_REQUIRED_PARAMETER
TYPE = ErrorReason.ERROR_REASON_INVALID_TYPE
VALUE = ErrorReason.ERROR_REASON_INVALID_VALUE
UNSUPPORTED = ErrorReason.ERROR_REASON_UNSUPPORTED_VALUE

FUNCTION = {"type": "function", "name": "look", "parameters": {"type": "object"}}


def parse(**body):
    return ResponseRequest.parse({"model": "echo", "input": "Hi", **body})


@pytest.mark.parametrize(
    ("body", "param", "reason"),
    [
        ({"model": None}, "model", MISSING),
        ({"model": 5}, "model", TYPE),
        ({"input": 5}, "input", TYPE),
        ({"input": ["Hi"]}, "input[0]", TYPE),
        ({"input": [{"role": "wizard", "content": "Hi"}]}, "input[0].role", VALUE),
        ({"input": [{"type": "message", "content": "Hi"}]}, "input[0].role", MISSING),
        ({"input": [{"role": "user"}]}, "input[0].content", MISSING),
        ({"input": [{"role": "user", "content": 1}]}, "input[0].content", TYPE),
        ({"input": [{"role": "user", "content": ["Hi"]}]}, "input[0].content[0]", TYPE),
        ({"input": [{"role": "user", "content": [{"text": "Hi"}]}]}, "input[0].content[0].type", MISSING),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}, "input[0].content[0].type", VALUE),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text", MISSING),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].image_url",
            MISSING,
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}]},
            "input[0].content[0].file_id",
            UNSUPPORTED,
        ),
        ({"input": [{"type": "wonder"}]}, "input[0].type", VALUE),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id", MISSING),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "input[0].arguments", MISSING),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output", MISSING),
        ({"input": [{"type": "item_reference"}]}, "input[0].id", MISSING),
        ({"input": [{"type": "reasoning", "summary": "no"}]}, "input[0].summary", TYPE),
        ({"tools": {}}, "tools", TYPE),
        ({"tools": [{"name": "f"}]}, "tools[0].type", MISSING),
        ({"tools": [FUNCTION, {"type": "web_search"}]}, "tools[1].type", UNSUPPORTED),
        ({"tools": [{"type": "custom", "name": "f"}]}, "tools[0].type", UNSUPPORTED),
        ({"tools": [{"type": "function"}]}, "tools[0].name", MISSING),
        ({"tools": [{**FUNCTION, "parameters": "none"}]}, "tools[0].parameters", TYPE),
        ({"tool_choice": "sometimes"}, "tool_choice", VALUE),
        ({"tool_choice": 5}, "tool_choice", TYPE),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name", MISSING),
        ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice", VALUE),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice.type", UNSUPPORTED),
        ({"text": {"format": {}}}, "text.format.type", MISSING),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type", VALUE),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema", MISSING),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name", MISSING),
        ({"max_output_tokens": 0}, "max_output_tokens", VALUE),
        ({"max_output_tokens": -5}, "max_output_tokens", VALUE),
        ({"max_output_tokens": 1.5}, "max_output_tokens", TYPE),
        ({"max_output_tokens": True}, "max_output_tokens", TYPE),
        ({"max_output_tokens": 1e30}, "max_output_tokens", TYPE),
        ({"max_output_tokens": 2**63}, "max_output_tokens", VALUE),
        ({"temperature": 3}, "temperature", VALUE),
        ({"temperature": "hot"}, "temperature", TYPE),
        ({"top_p": -0.1}, "top_p", VALUE),
        ({"top_logprobs": 21}, "top_logprobs", VALUE),
        ({"parallel_tool_calls": "yes"}, "parallel_tool_calls", TYPE),
        ({"reasoning": "much"}, "reasoning", TYPE),
        ({"truncation": "middle"}, "truncation", VALUE),
        ({"include": "all"}, "include", TYPE),
        ({"metadata": {"key": 5}}, "metadata.key", TYPE),
        ({"metadata": {"key": None}}, "metadata.key", TYPE),
        ({"metadata": {"key": "x" * 513}}, "metadata.key", VALUE),
        ({"metadata": {"k" * 65: ""}}, "metadata", VALUE),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata", VALUE),
        ({"background": "yes"}, "background", TYPE),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", UNSUPPORTED),
        ({"previous_response_id": "resp_1", "conversation": "conv_1"}, "previous_response_id", VALUE),
    ],
)
def test_wrong_value_is_refused_by_name(body, param, reason):
    with pytest.raises(InvalidArgumentError) as caught:
        parse(**body)

    assert caught.value.param == param
    assert caught.value.reason == reason


def test_long_value_is_not_repeated_in_the_message():
    with pytest.raises(InvalidArgumentError) as caught:
        parse(truncation="x" * 100_000)

    assert len(caught.value.message) < 300


def test_string_input_is_a_message_of_the_user():
    assert parse().input == ({"type": "message", "role": "user", "content": "Hi"},)


def test_absent_input_is_no_item():
    assert parse(input=None).input == ()


def test_type_of_messages_and_references_may_be_left_out():
    items = parse(input=[{"role": "user", "content": "Hi"}, {"id": "msg_1"}]).input

    assert [item["type"] for item in items] == ["message", "item_reference"]


def test_unknown_parameters_and_keys_pass():
    request = parse(brand_new=1, input=[{"role": "user", "content": "Hi", "brand_new": 1}])

    assert request.input[0]["brand_new"] == 1


def test_metadata_at_its_limits_passes():
    metadata = {f"{number:064}": "x" * 512 for number in range(16)}

    assert parse(metadata=metadata).metadata == metadata


def test_allowed_tools_are_kept_as_functions():
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]}

    assert parse(tools=[FUNCTION], tool_choice=choice).tool_choice == choice
