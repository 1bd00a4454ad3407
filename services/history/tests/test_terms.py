"""Which words a text has."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra_history.terms import MAX_TERM_LENGTH, MAX_TERMS, MAX_TEXT_LENGTH, terms_of


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The Rostra, the ships' prows; 42 of snake_case!", "the rostra ships prows 42 of snake case"),
        ("Straße STRASSE strasse", "strasse"),
        ("Zoë zoe\u0308 ZOE", "zoe"),
        ("İstanbul ﬁne Ⅷ ① ½", "istanbul fine viii 1 2"),
        ("Ελλάς ΕΛΛΆΣ", "ελλασ"),
        ("ёлка й", "елка и"),
        ("东京都 東 iPhone手机", "东京 京都 東 iphone 手机"),
        ("ラーメンを食べた", "ラー ーメ メン ンを を食 食べ べた"),
        ("がか か\u3099か", "がか"),
        ("한국어 한국어", "한국 국어"),
        ("ภาษา", "ภา าษ ษา"),
        ("हिन्दी", "हिनदी"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zero width"),
        ("❤\ufe0f 1\ufe0f\u20e3 👩\u200d🚀", "1"),
        ("half \ud800 pair \x00 nul", "half pair nul"),
        ("  ...!?  ", ""),
        ("", ""),
    ],
)
def test_text_has_these_terms(text: str, terms: str) -> None:
    assert " ".join(terms_of(text)) == terms


def test_terms_are_cut_and_counted() -> None:
    assert terms_of("a" * 100) == ("a" * MAX_TERM_LENGTH,)
    assert terms_of("é" * 100) == ("e" * MAX_TERM_LENGTH,)
    many = [f"w{number}" for number in range(MAX_TERMS + 5)]
    assert terms_of(" ".join(many)) == tuple(many[:MAX_TERMS])
    assert terms_of("a " * MAX_TEXT_LENGTH + "b") == ("a",)


def test_text_that_grows_when_decomposed_costs_no_more() -> None:
    assert len(terms_of("\ufdfa" * MAX_TEXT_LENGTH)) <= MAX_TERMS


@given(st.text())
def test_terms_do_not_depend_on_how_unicode_writes_a_text(text: str) -> None:
    terms = terms_of(text)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert terms_of(unicodedata.normalize(form, text)) == terms


@given(st.text())
def test_terms_have_themselves_as_terms_and_can_be_stored(text: str) -> None:
    for term in terms_of(text):
        assert term.strip() == term != ""
        assert len(term.encode()) <= 4 * MAX_TERM_LENGTH
        assert terms_of(term)[:1] == (term,)
