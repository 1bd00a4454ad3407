"""Which part of a text is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra_history.item_text import text_of, text_of_body
from rostra_history.snippet import snippet_of
from rostra_history.terms import terms_of

FILLING = "and so on it goes " * 30


def test_short_text_is_shown_whole_on_one_line() -> None:
    assert snippet_of(" Ships\n\tand  prows ", "prows") == "Ships and prows"


def test_long_text_is_shown_around_its_word_and_cut_between_words() -> None:
    snippet = snippet_of(f"{FILLING}<b>Rostra</b> & more {FILLING}", "rostra")
    assert "<b>Rostra</b> & more" in snippet
    assert snippet[0] == snippet[-1] == "…"
    assert 120 <= len(snippet) <= 162
    assert set(snippet[1:-1].split()) <= set(f"{FILLING}<b>Rostra</b> & more".split())


def test_word_at_either_end_is_shown_with_one_ellipsis() -> None:
    beginning = snippet_of(f"Rostra {FILLING}", "rostra")
    assert beginning.startswith("Rostra and")
    assert beginning.endswith("…")
    end = snippet_of(f"{FILLING}Rostra", "rostra")
    assert end.startswith("…")
    assert end.endswith("goes Rostra")


def test_whole_word_is_shown_and_not_one_that_begins_like_it() -> None:
    assert "an art." in snippet_of(f"article {FILLING} an art. {FILLING}", "art")


@pytest.mark.parametrize("word", ["東京", "\uff32\uff2f\uff2d\uff21", "Z\u0308oe", "한국"])
def test_word_in_a_text_without_spaces_is_shown(word: str) -> None:
    assert word in snippet_of("文字" * 300 + word + "文字" * 300, terms_of(word)[0])


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert snippet_of("half \ud800 pair", "pair") == "half ? pair"


@given(st.text(max_size=400), st.data())
def test_snippet_is_bounded_and_shows_the_word(text: str, data: st.DataObject) -> None:
    terms = terms_of(text)
    term = data.draw(st.sampled_from(terms)) if terms else "absent"
    snippet = snippet_of(text, term)
    assert len(snippet) <= 162
    assert "\n" not in snippet


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}, "a"),
        ({"type": "message", "role": "user", "content": "a"}, "a"),
        (
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "a"},
                    {"type": "refusal", "refusal": "b"},
                    {"type": "input_image", "text": "c", "image_url": "d"},
                    {"type": "output_text", "text": 1},
                    {"type": ["output_text"]},
                    7,
                ],
            },
            "a\nb",
        ),
        ({"type": "message", "role": "system", "content": "a"}, ""),
        ({"type": "message", "role": ["user"], "content": "a"}, ""),
        ({"type": "message", "role": "user", "content": 5}, ""),
        ({"type": "function_call_output", "output": "a"}, ""),
        ({"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]}, ""),
        ([], ""),
    ],
)
def test_text_of_an_item_is_what_people_said(item: object, text: str) -> None:
    assert text_of(item) == text


@pytest.mark.parametrize("body", ["", "{", "[" * 100_000, '"a"'])
def test_body_that_is_no_message_has_no_text(body: str) -> None:
    assert text_of_body(body) == ""
