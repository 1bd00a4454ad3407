"""ChatGPT's conversations: every branch and every text is kept, and what is left behind is named."""

import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from rostra_gateway.transfer.chatgpt_message import message_item
from rostra_gateway.transfer.import_chatgpt import read_chatgpt_conversation
from rostra_gateway.transfer.incoming import Incoming, NotImported


def message(text: str = "", role: str = "user", **fields: Any) -> dict[str, Any]:
    return {
        "author": {"role": role},
        "content": {"content_type": "text", "parts": [text]},
        "metadata": {},
        "recipient": "all",
    } | fields


def node(parent: str | None = None, text: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"message": None if text is None else message(text, **fields), "parent": parent, "children": []}


def conversation(mapping: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"title": "Rome", "mapping": mapping} | fields


def tree(incoming: Incoming) -> list[tuple[str, str]]:
    """Return the text of each item with that of the one before."""
    texts = {"": ""} | {
        item.key: "".join(part["text"] for part in json.loads(item.body)["content"]) for item in incoming.request.items
    }
    return [(texts[item.key], texts[item.parent_key]) for item in incoming.request.items]


def read_content(content: Any, role: str = "assistant", **fields: Any) -> tuple[list[str], dict[str, int]]:
    """Return the texts that are kept of a message, and what is skipped."""
    skipped: Counter[str] = Counter()
    item = message_item({"author": {"role": role}, "content": content, **fields}, skipped)
    parts = item.get("content") or item.get("summary") if item else []
    return [part["text"] for part in parts], dict(skipped)


def test_branches_times_and_the_shown_one_are_kept() -> None:
    read = read_chatgpt_conversation(
        conversation(
            {
                "root": node(),
                "q": node("root", "Hello", create_time=Decimal("1700000001.25")),
                "b": node("q", "second answer", role="assistant", create_time=1700000003),
                "a": node("q", "first answer", role="assistant", create_time=1700000002),
                "next": node("a", "and?", create_time=None),
            },
            current_node="a",
            create_time=Decimal("1700000000.5"),
            update_time=1700000009,
            is_archived=True,
            conversation_id="c-1",
        )
    )
    request = read.request
    assert tree(read) == [
        ("Hello", ""),
        ("first answer", "Hello"),
        ("and?", "first answer"),
        ("second answer", "Hello"),
    ]
    assert request.active_key == "1"
    assert [item.create_time.ToMicroseconds() for item in request.items] == [
        *(1_700_000_001_250_000, 1_700_000_002_000_000, 1_700_000_002_000_000, 1_700_000_003_000_000)
    ]
    assert (request.create_time.ToMicroseconds(), request.update_time.seconds) == (1_700_000_000_500_000, 1_700_000_009)
    assert (request.title, request.archived) == ("Rome", True)
    assert request.metadata == {"imported_from": "chatgpt", "chatgpt_id": "c-1"}
    assert read.skipped == {}


def test_nodes_without_a_text_are_left_out_and_what_follows_moves_up() -> None:
    read = read_chatgpt_conversation(
        conversation(
            {
                "root": node(),
                "system": node("root", "", role="system"),
                "secret": node("system", "hidden rules", metadata={"is_visually_hidden_from_conversation": True}),
                "q": node("secret", "Hello"),
                "picture": {"parent": "q", "message": message(content=_image(), role="tool")},
                "a": node("picture", "Hi", role="assistant"),
            },
            current_node="picture",
        )
    )
    assert tree(read) == [("Hello", ""), ("Hi", "Hello")]
    assert read.request.active_key == "0"
    assert read.skipped == {"hidden_message": 1, "image_asset_pointer": 1}


def _image() -> dict[str, Any]:
    part = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    return {"content_type": "multimodal_text", "parts": [part]}


@pytest.mark.parametrize(
    ("content", "texts", "skipped"),
    [
        ({"content_type": "text", "parts": ["one", "", "two"]}, ["one", "two"], {}),
        ({"content_type": "code", "language": "python", "text": "a = 1"}, ["```python\na = 1\n```"], {}),
        ({"content_type": "code", "language": "unknown", "text": "```"}, ["````\n```\n````"], {}),
        (
            {"content_type": "multimodal_text", "parts": [_image()["parts"][0], "What is this?"]},
            ["What is this?"],
            {"image_asset_pointer": 1},
        ),
        (
            {"content_type": "multimodal_text", "parts": [{"content_type": "audio_transcription", "text": "spoken"}]},
            ["spoken"],
            {},
        ),
        (
            {"content_type": "thoughts", "thoughts": [{"summary": "Plan", "content": "think"}, {"content": "more"}]},
            ["**Plan**\n\nthink", "more"],
            {},
        ),
        ({"content_type": "reasoning_recap", "content": "Thought for 5s"}, ["Thought for 5s"], {}),
        ({"content_type": "tether_quote", "title": "T", "url": "https://x", "text": "q"}, ["T\nhttps://x\nq"], {}),
        ({"content_type": "of_tomorrow", "data": 1}, [], {"of_tomorrow": 1}),
        ({"content_type": "user_editable_context", "user_profile": "me"}, [], {"user_editable_context": 1}),
        ({"content_type": "text", "parts": ["a\ud800b"]}, ["a?b"], {"broken_character": 1}),
        ({"content_type": "text", "parts": [None, 1, {}]}, [], {"unknown": 3}),
        ({"content_type": "text", "parts": {"a": 1}}, [], {"text": 1}),
        ({"parts": ["no type"]}, ["no type"], {}),
        ("text", [], {}),
        (None, [], {}),
    ],
)
def test_content_of_any_type_keeps_its_texts(content: Any, texts: list[str], skipped: dict[str, int]) -> None:
    assert read_content(content) == (texts, skipped)


def test_output_of_a_tool_is_kept_as_code() -> None:
    assert read_content({"content_type": "execution_output", "text": "42"}, role="tool") == (["```\n42\n```"], {})
    item = message_item(message("x", role="tool"), Counter())
    assert item is not None
    assert item["role"] == "assistant"


def test_attachments_and_citations_are_named() -> None:
    metadata = {"attachments": [{"name": "a.pdf"}], "citations": [], "content_references": [{}]}
    content = {"content_type": "text", "parts": ["see"]}
    assert read_content(content, metadata=metadata) == (["see"], {"attachments": 1, "content_references": 1})


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        ({}, "no message"),
        ({"a": node()}, "no message"),
        ({"a": node("b", "x"), "b": node("a", "y")}, "circle"),
        ({"a": node("a", "x")}, "circle"),
        ({"r": node(None, "fine"), "a": node("b", "x"), "b": node("a", "y")}, "circle"),
        ({"a": "text"}, "is an object"),
        ({"a": None}, "is an object"),
    ],
)
def test_nodes_that_make_no_tree_are_refused(mapping: dict[str, Any], why: str) -> None:
    with pytest.raises(NotImported, match=why):
        read_chatgpt_conversation(conversation(mapping))


def test_several_roots_and_a_missing_parent_stand_at_the_beginning() -> None:
    mapping = {"a": node(None, "one"), "b": node(None, "two"), "c": node("gone", "three"), "d": node(7, "four")}
    read = read_chatgpt_conversation(conversation(mapping))
    assert tree(read) == [("one", ""), ("two", ""), ("three", ""), ("four", "")]
    assert read.skipped == {"missing_parent": 2}
    assert not read.request.HasField("active_key")


def test_chain_of_twenty_thousand_nodes_is_read_without_recursion() -> None:
    mapping = {str(n): node(str(n - 1) if n else None, f"t{n}") for n in reversed(range(20_000))}
    read = read_chatgpt_conversation(conversation(mapping, current_node="19999"))
    assert [item.parent_key for item in read.request.items] == ["", *map(str, range(19_999))]
    assert read.request.active_key == "19999"


@pytest.mark.parametrize("time", [None, "yesterday", -1, True, Decimal("1e999999999"), 10**30, {}, []])
def test_time_that_cannot_be_is_left_out(time: Any) -> None:
    mapping = {"a": node(None, "x", create_time=time)}
    read = read_chatgpt_conversation(conversation(mapping, create_time=time, update_time=time))
    assert not read.request.HasField("create_time")
    assert not read.request.items[0].HasField("create_time")


@pytest.mark.parametrize(
    ("title", "kept", "skipped"),
    [
        (None, "", {}),
        (5, "", {}),
        ("a\x00b\n c", "a b c", {}),
        ("👩\u200d🚀", "👩\u200d🚀", {}),
        ("x" * 300, "x" * 200, {"end_of_title": 1}),
        ("\ud800", "?", {}),
    ],
)
def test_title_is_made_one_that_can_be(title: Any, kept: str, skipped: dict[str, int]) -> None:
    read = read_chatgpt_conversation(conversation({"a": node(None, "x")}, title=title))
    assert (read.request.title, dict(read.skipped)) == (kept, skipped)
