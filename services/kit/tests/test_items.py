"""The normal form of items."""

import copy

import pytest

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.compaction import seal_summary
from rostra_kit.errors import InvalidArgumentError
from rostra_kit.items import normalise_item

MISSING = ErrorReason.ERROR_REASON_MISSING_REQUIRED_PARAMETER
WRONG_TYPE = ErrorReason.ERROR_REASON_INVALID_TYPE


def test_message_without_type_gets_the_whole_form() -> None:
    item = normalise_item({"role": "user", "content": "Hi"})
    assert item.pop("id").startswith("msg_")
    assert item == {
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hi"}],
    }


def test_assistant_text_becomes_output_text() -> None:
    item = normalise_item({"role": "assistant", "content": "Hello"})
    assert item["content"] == [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}]


def test_parts_keep_what_they_have() -> None:
    note = {"type": "url_citation", "url": "https://example.com"}
    item = normalise_item(
        {
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "Hello", "annotations": [note]},
                {"type": "refusal", "refusal": "No."},
                {"type": "input_image", "image_url": "data:"},
            ],
        }
    )
    text, refusal, image = item["content"]
    assert text["annotations"] == [note]
    assert refusal == {"type": "refusal", "refusal": "No."}
    assert image["detail"] == "auto"


def test_given_id_is_replaced_and_given_status_kept() -> None:
    given = {"type": "message", "id": "msg_mine", "status": "incomplete", "role": "user", "content": "", "phase": "x"}
    before = copy.deepcopy(given)
    item = normalise_item(given)
    assert item["id"] != "msg_mine"
    assert (item["status"], item["phase"]) == ("incomplete", "x")
    assert given == before


@pytest.mark.parametrize(
    ("item", "prefix"),
    [
        ({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}, "fc_"),
        ({"type": "function_call_output", "call_id": "c", "output": "1"}, "fco_"),
        ({"type": "reasoning", "summary": []}, "rs_"),
        ({"type": "compaction", "encrypted_content": seal_summary("Said before.")}, "cmp_"),
        ({"type": "web_search_call", "status": "searching", "action": {"deep": [1]}}, "item_"),
    ],
)
def test_item_of_another_type_keeps_its_fields(item: dict, prefix: str) -> None:
    normal = normalise_item(item)
    assert normal.pop("id").startswith(prefix)
    if item["type"].startswith("function_call"):
        assert normal.pop("status") == "completed"
    assert normal == item


@pytest.mark.parametrize(
    ("item", "param", "reason"),
    [
        ("text", "items[2]", WRONG_TYPE),
        (None, "items[2]", WRONG_TYPE),
        ({}, "items[2].type", MISSING),
        ({"type": 3}, "items[2].type", WRONG_TYPE),
        ({"type": "message", "content": "x"}, "items[2].role", MISSING),
        ({"role": ["user"], "content": "x"}, "items[2].role", ErrorReason.ERROR_REASON_INVALID_VALUE),
        ({"role": "wizard", "content": "x"}, "items[2].role", ErrorReason.ERROR_REASON_INVALID_VALUE),
        ({"role": "user", "content": "", "status": 5}, "items[2].status", ErrorReason.ERROR_REASON_INVALID_VALUE),
        ({"role": "user"}, "items[2].content", MISSING),
        ({"role": "user", "content": 7}, "items[2].content", WRONG_TYPE),
        ({"role": "user", "content": ["x"]}, "items[2].content[0]", WRONG_TYPE),
        ({"role": "user", "content": [{"text": "x"}]}, "items[2].content[0].type", MISSING),
        ({"role": "user", "content": [{"type": {}}]}, "items[2].content[0].type", WRONG_TYPE),
        ({"role": "user", "content": [{"type": "input_text"}]}, "items[2].content[0].text", MISSING),
        ({"type": "function_call", "call_id": "c", "name": 5}, "items[2].name", WRONG_TYPE),
        ({"type": "function_call_output", "call_id": "c"}, "items[2].output", MISSING),
        ({"type": "function_call_output", "call_id": "c", "output": 1}, "items[2].output", WRONG_TYPE),
        ({"type": "compaction"}, "items[2].encrypted_content", MISSING),
        ({"type": "compaction", "encrypted_content": 5}, "items[2].encrypted_content", WRONG_TYPE),
        (
            {"type": "compaction", "encrypted_content": "rostra1.xx"},
            "items[2].encrypted_content",
            ErrorReason.ERROR_REASON_INVALID_VALUE,
        ),
        ({"type": "item_reference", "id": "msg_1"}, "items[2].type", ErrorReason.ERROR_REASON_UNSUPPORTED_VALUE),
    ],
)
def test_impossible_item_is_refused_by_name(item: object, param: str, reason: ErrorReason) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        normalise_item(item, param="items[2]")
    assert (caught.value.param, caught.value.reason) == (param, reason)
