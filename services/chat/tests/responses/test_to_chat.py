from datetime import UTC, datetime

import pytest

from rostra_chat.catalogue import Model
from rostra_chat.responses.request import ResponseRequest
from rostra_chat.responses.to_chat import to_chat
from rostra_kit.errors import InvalidArgumentError
from rostra_kit.items import normalise_item

FUNCTION = {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}}
OTHER = {"type": "function", "name": "listen", "parameters": {"type": "object"}, "strict": True}
CHAT_FUNCTION = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}},
}
CHAT_OTHER = {"type": "function", "function": {"name": "listen", "parameters": {"type": "object"}, "strict": True}}


def chat(*items, capabilities=(), **body):
    model = Model(
        id="m", provider="p", upstream_name="u", capabilities=frozenset(capabilities), create_time=datetime.now(UTC)
    )
    request = ResponseRequest.parse({"model": "m", "input": list(items) or "Hi", **body})
    return to_chat(request, [normalise_item(item) for item in request.input], model=model)


def call(call_id, **more):
    return {"type": "function_call", "call_id": call_id, "name": "look", "arguments": "{}", **more}


def output(call_id, text="seen"):
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def chat_call(call_id):
    return {"id": call_id, "type": "function", "function": {"name": "look", "arguments": "{}"}}


def test_plain_request_says_nothing_that_was_not_asked():
    assert chat() == {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def test_parameters_pass_by_name():
    given = {
        "temperature": 0.5,
        "top_p": 0.9,
        "presence_penalty": 1.0,
        "frequency_penalty": -1.0,
        "service_tier": "flex",
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
    }

    body = chat(**given)

    assert {name: body[name] for name in given} == given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_output_tokens": 9}, {"max_tokens": 9}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "text"}}}, {}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True, "top_logprobs": 0}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {}),
        ({"metadata": {"a": "b"}, "store": True, "stream": True}, {}),
    ],
)
def test_parameter_is_said_in_the_words_of_a_chat(given, said):
    body = chat(**given)

    assert {name: value for name, value in body.items() if name not in ("model", "messages")} == said


def test_reasoning_models_are_limited_by_the_name_that_they_accept():
    assert chat(capabilities=["reasoning"], max_output_tokens=9)["max_completion_tokens"] == 9


def test_json_schema_becomes_a_response_format():
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}

    said = {"name": "n", "schema": {"type": "object"}, "strict": True}
    assert chat(text={"format": form})["response_format"] == {"type": "json_schema", "json_schema": said}


@pytest.mark.parametrize(
    ("choice", "tools", "said"),
    [
        ("required", [CHAT_FUNCTION, CHAT_OTHER], "required"),
        (
            {"type": "function", "name": "look"},
            [CHAT_FUNCTION, CHAT_OTHER],
            {"type": "function", "function": {"name": "look"}},
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "listen"}]},
            [CHAT_OTHER],
            "required",
        ),
    ],
)
def test_tools_and_the_choice_among_them_are_said(choice, tools, said):
    body = chat(tools=[FUNCTION, OTHER], tool_choice=choice, parallel_tool_calls=False)

    assert body["tools"] == tools
    assert body["tool_choice"] == said
    assert body["parallel_tool_calls"] is False


def test_leading_instructions_become_one_system_message():
    messages = chat(
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Stop."},
        instructions="Be brief.",
    )["messages"]

    assert messages == [
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Stop."},
    ]


def test_calls_join_the_text_before_them_and_outputs_follow():
    messages = chat(
        {"role": "user", "content": "Look twice"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
        {"role": "assistant", "content": "I look."},
        call("a"),
        call("b"),
        output("a"),
        output("b", [{"type": "input_text", "text": "again"}]),
    )["messages"]

    assert messages[1:] == [
        {"role": "assistant", "content": "I look.", "tool_calls": [chat_call("a"), chat_call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
        {"role": "tool", "tool_call_id": "b", "content": "again"},
    ]


def test_text_after_a_call_does_not_part_it_from_its_output():
    messages = chat(call("a"), {"role": "assistant", "content": "Wait."}, output("a"))["messages"]

    assert messages == [
        {"role": "assistant", "content": "Wait.", "tool_calls": [chat_call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
    ]


def test_call_that_was_cut_off_is_passed_over():
    assert chat({"role": "user", "content": "Hi"}, call("a", status="incomplete"))["messages"] == [
        {"role": "user", "content": "Hi"}
    ]


@pytest.mark.parametrize("items", [[call("a")], [output("a")], [call("a"), output("b")]])
def test_call_and_output_need_each_other(items):
    with pytest.raises(InvalidArgumentError, match=r"No tool (call|output) found") as caught:
        chat(*items)

    assert caught.value.param == "input"


def test_content_parts_become_chat_parts():
    parts = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:;base64,AA"},
    ]

    assert chat({"role": "user", "content": parts})["messages"][0]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:;base64,AA"}},
    ]


def test_refusal_is_said_as_the_text_that_it_was():
    refused = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}

    assert chat({"role": "user", "content": "Do"}, refused)["messages"][1] == {"role": "assistant", "content": "No."}


def test_items_that_only_a_conversation_knows_are_passed_over():
    model = Model(id="m", provider="p", upstream_name="u", create_time=datetime.now(UTC))
    request = ResponseRequest.parse({"model": "m", "input": "Hi"})
    kept = [{"type": "wonder", "id": "item_1"}, *(normalise_item(item) for item in request.input)]

    assert to_chat(request, kept, model=model)["messages"] == [{"role": "user", "content": "Hi"}]
