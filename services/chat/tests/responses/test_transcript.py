import pytest

from rostra_chat.responses.transcript import pack, write_down
from rostra_chat.tokens import estimate_tokens
from rostra_kit.compaction import seal_summary


def test_every_kind_of_item_is_written_down_under_its_name():
    items = [
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Look"}, {"type": "input_image"}],
        },
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"at":1}'},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_file"}]},
        {"type": "compaction", "encrypted_content": seal_summary("They met.")},
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "user", "content": "plain"},
    ]
    assert list(write_down(items)) == [
        "user: Look [an image]",
        "assistant: No.",
        'assistant calls look (c1): {"at":1}',
        "output of c1: [a file]",
        "summary of what was said before: They met.",
        "user: plain",
    ]


def test_paragraphs_that_fit_together_are_one_part():
    assert pack(["one", "two"], max_tokens=100) == ["one\n\ntwo"]
    assert pack([], max_tokens=100) == []


@pytest.mark.parametrize("max_tokens", [1, 7, 100, 1000])
def test_parts_hold_what_they_may_and_lose_nothing(max_tokens):
    paragraphs = [f"user: line {number} " + "word " * number for number in range(60)] + ["語" * 300 + "x" * 3000]
    parts = pack(paragraphs, max_tokens=max_tokens)
    assert "".join(parts).replace("\n\n", "") == "".join(paragraphs)
    # A single character may be several tokens.
    assert all(estimate_tokens(part) <= max_tokens or len(part) == 1 for part in parts)
