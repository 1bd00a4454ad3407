"""What of an item a share shows."""

import json
from typing import Any

import pytest

from rostra_history.domain import Item
from rostra_history.share import shown_message

CANARY = "canary-5f1e"
TEXT = {"type": "input_text", "text": "Hello."}


def item(body: Any) -> Item:
    text = body if isinstance(body, str) else json.dumps(body)
    return Item(
        id="msg_1",
        owner=f"{CANARY}-owner",
        thread_id=f"{CANARY}-thread",
        body=text,
        create_time_us=1,
        conversation_id=f"{CANARY}-conversation",
        response_id=f"{CANARY}-response",
    )


def message(**fields: Any) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "role": "user", "status": "completed", "content": [TEXT]} | fields


@pytest.mark.parametrize("role", ["user", "assistant"])
@pytest.mark.parametrize(
    "part",
    [
        TEXT,
        {"type": "output_text", "text": "Hello."},
        {"type": "text", "text": "Hello."},
        {"type": "refusal", "refusal": "No."},
    ],
    ids=lambda part: part["type"],
)
def test_words_of_user_and_assistant_are_shown(role: str, part: dict) -> None:
    shown = json.loads(shown_message(item(message(role=role, content=[part, part]))) or "")
    assert shown == {"type": "message", "id": "msg_1", "role": role, "content": [part, part]}


@pytest.mark.parametrize(
    "body",
    [
        message(role="system", content=[{"type": "input_text", "text": CANARY}]),
        message(role="developer", content=[{"type": "input_text", "text": CANARY}]),
        message(role="tool", content=[{"type": "input_text", "text": CANARY}]),
        message(role=None, content=[{"type": "input_text", "text": CANARY}]),
        message(role=["user"], content=[{"type": "input_text", "text": CANARY}]),
        message(type="item_of_another_type", content=[{"type": "input_text", "text": CANARY}]),
        {"role": "user", "content": [{"type": "input_text", "text": CANARY}]},
        {"type": "function_call", "call_id": CANARY, "name": CANARY, "arguments": CANARY},
        {"type": "function_call_output", "call_id": CANARY, "output": CANARY, "role": "user", "content": [TEXT]},
        {"type": "custom_tool_call", "input": CANARY},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": CANARY}], "encrypted_content": CANARY},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": CANARY}], "role": "assistant"},
        {"type": "web_search_call", "action": {"query": CANARY}},
        message(content=[{"type": "input_image", "image_url": CANARY, "text": CANARY}]),
        message(content=[{"type": "input_file", "file_data": CANARY, "filename": CANARY}]),
        message(content=[{"type": "input_audio", "input_audio": {"data": CANARY}}]),
        message(content=[{"type": "reasoning_text", "text": CANARY}]),
        message(content=[{"type": "summary_text", "text": CANARY}]),
        message(content=[{"type": "input_text", "text": {"nested": CANARY}}]),
        message(content=[{"type": "input_text", "text": [CANARY]}]),
        message(content=[{"type": "refusal", "text": CANARY}]),
        message(content=[{"type": ["input_text"], "text": CANARY}]),
        message(content=[CANARY]),
        message(content=CANARY),
        message(content={"type": "input_text", "text": CANARY}),
        message(content=None),
        message(content=[]),
        [CANARY],
        CANARY,
        "",
        '{"type":"message"',
        "[" * 100_000,
    ],
    ids=lambda body: json.dumps(body)[:60],
)
def test_everything_else_stays_behind(body: Any) -> None:
    assert shown_message(item(body)) is None


@pytest.mark.parametrize(
    "body",
    [
        message(metadata={"note": CANARY}),
        message(instructions=CANARY),
        message(owner=CANARY, user=CANARY, name=CANARY, phase=CANARY, status=CANARY),
        message(id=CANARY),
        message(**{CANARY: CANARY}),
        message(content=[TEXT | {"annotations": [{"type": "file_citation", "filename": CANARY}]}]),
        message(content=[TEXT | {"logprobs": [{"token": CANARY}], CANARY: {}}]),
        message(content=[TEXT | {"refusal": CANARY}]),
        message(
            content=[{"type": "input_image", "image_url": CANARY}, TEXT, {"type": "input_file", "file_id": CANARY}]
        ),
        message(content=[{"type": "reasoning_text", "text": CANARY}, TEXT]),
    ],
    ids=lambda body: json.dumps(body)[-60:],
)
def test_nothing_beside_the_words_comes_along(body: dict) -> None:
    shown = shown_message(item(body)) or ""
    assert CANARY not in shown
    assert json.loads(shown) == {"type": "message", "id": "msg_1", "role": "user", "content": [TEXT]}


def test_what_is_shown_is_json_whatever_the_words() -> None:
    text = 'nul \x00, \u2028, 🚢, </script>, "quoted" \\ and half \ud83d a pair'
    shown = shown_message(item(message(content=[{"type": "input_text", "text": text}]))) or ""
    assert json.loads(shown.encode())["content"][0]["text"] == text.replace("\ud83d", "?")
