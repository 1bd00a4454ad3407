"""The words of a text, in the form in which both stores index them and every query asks for them.

One rule for all languages: no dictionary, no stemming, no list of words to pass over. What differs only in case, in
accents or in how Unicode writes it is the same word.
"""

import re
import unicodedata
from collections.abc import Iterator

MAX_TERMS = 1_000
MAX_TERM_LENGTH = 40
# Reading more would keep all other calls waiting.
MAX_TEXT_LENGTH = 65_536

# Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han; and Hangul, where particles join them.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u9fff"
_UNSPACED += "\uac00-\ud7a3\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
_RUN = re.compile(rf"[{_UNSPACED}]+|[^\s{_UNSPACED}]+")
_ASCII_RUN = re.compile("[a-z0-9]+")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")


def terms_of(text: str) -> tuple[str, ...]:
    """Return the distinct words of a text, in the order in which they come first.

    A word is a run of letters and digits. Of a run in a script that does not separate words, each two neighbours are a
    term, and one that stands alone is a term itself. Terms are cut at 40 characters; of a text, its first 65,536
    characters and their first 1,000 terms count.
    """
    found: dict[str, None] = {}
    for run in _runs(text[:MAX_TEXT_LENGTH]):
        for term in _terms_of_run(run):
            found[term] = None
            if len(found) == MAX_TERMS:
                return tuple(found)
    return tuple(found)


def _runs(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_RUN.findall(text.lower())
    # A few characters decompose into many.
    decomposed = unicodedata.normalize("NFKD", text)[:MAX_TEXT_LENGTH]
    folded = unicodedata.normalize("NFKD", decomposed.casefold()).translate(_FOLDING)
    return _RUN.findall(unicodedata.normalize("NFC", folded))


def _terms_of_run(run: str) -> Iterator[str]:
    if len(run) > 1 and _IS_UNSPACED.match(run):
        for index in range(len(run) - 1):
            yield run[index : index + 2]
    else:
        yield run[:MAX_TERM_LENGTH]


class _Folding(dict[int, str | None]):
    """Maps a decomposed character to itself in a word, to nothing where it only adorns one, or else to a space.

    It learns each character when it is first asked for; there are no more of them than Unicode has.
    """

    def __missing__(self, code: int) -> str | None:
        """Return what becomes of the character."""
        self[code] = folded = _fold(chr(code))
        return folded


_FOLDING = _Folding()
# These make another letter of a kana, as no accent does.
_VOICING_MARKS = "\u3099\u309a"
_ZERO_WIDTH_SPACE = "\u200b"


def _fold(character: str) -> str | None:
    if character.isalnum() or character in _VOICING_MARKS:
        return character
    category = unicodedata.category(character)
    if category == "Mc" or (category == "Mn" and not _adorns(character)):
        # A vowel sign, as Devanagari and Thai have them.
        return character
    return None if category in ("Mn", "Me", "Cf") and character != _ZERO_WIDTH_SPACE else " "


def _adorns(mark: str) -> bool:
    """Tell whether a mark is an accent, or chooses between glyphs."""
    return unicodedata.combining(mark) != 0 or "VARIATION SELECTOR" in unicodedata.name(mark, "") or mark == "\u034f"
