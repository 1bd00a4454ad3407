"""Titles made of what is said first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra_history.titles import LENGTH, title_of


def said(*texts: str, role: str = "user") -> dict:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text} for text in texts]}


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello.", "Hello."),
        ("\n\n  Two\t words \nand a line", "Two words"),
        ("\x00nul\x07 and\x1b[1m", "nul and [1m"),
        ("a" * 60, "a" * 60),
        ("a" * 61, "a" * 60 + "…"),
        ("word " * 12 + "word", "word " * 11 + "word…"),
        ("x " + "a" * 80, "x " + "a" * 58 + "…"),
        ("line\u2028separator", "line"),
        (" \n\t ", ""),
        ("", ""),
    ],
)
def test_title_is_the_first_line_cut_at_a_word(text: str, title: str) -> None:
    assert title_of([said(text)]) == title
    assert title_of([{"role": "user", "content": text}]) == title


def test_title_is_of_the_first_text_of_a_user() -> None:
    image = {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "x"}]}
    items = [said("Be kind.", role="system"), image, {"type": "reasoning", "role": "user"}, said("", "Hi"), said("No")]
    assert title_of(items) == "Hi"
    assert title_of([said("I", role="assistant")]) == ""


@pytest.mark.parametrize("item", [None, 1, "x", [], {}, {"role": "user"}, {"role": "user", "content": [1, {}]}])
def test_item_without_a_text_gives_no_title(item: object) -> None:
    assert title_of([item]) == ""


@given(st.text())
def test_any_text_gives_one_short_line(text: str) -> None:
    title = title_of([said(text)])
    assert len(title) <= LENGTH + 1
    assert title == " ".join(title.split())
    assert not any(ord(character) < 32 for character in title)
