"""The part of a text that shows why it was found."""

import re
import unicodedata

from rostra_history.terms import MAX_TEXT_LENGTH, terms_of

_LENGTH = 160
_BEFORE = 50
_MOST_MOVED = 24
# None of these is ever part of a word, whatever becomes of it when it is normalised.
_PIECE = re.compile(r"[^\s\u3001\u3002\uff01\uff0c\uff1f]+")


def snippet_of(text: str, term: str) -> str:
    """Return about 160 characters of `text`, on one line, around the first word whose term is `term`.

    It begins and ends between words where it can, with an ellipsis where something is left out. It is plain text: what
    stands in it is what was written, and must be escaped like any.
    """
    line = re.sub(r"\s+", " ", text[:MAX_TEXT_LENGTH]).strip()
    line = line.encode(errors="replace").decode()
    start = max(0, _place_of(term, line) - _BEFORE)
    end = min(len(line), start + _LENGTH)
    start = max(0, min(start, end - _LENGTH))
    if start:
        space = line.find(" ", start, start + _MOST_MOVED)
        start = space + 1 if space >= 0 else start
    if end < len(line):
        space = line.rfind(" ", end - _MOST_MOVED, end + 1)
        end = space if space >= 0 else end
    return ("…" if start else "") + line[start:end] + ("…" if end < len(line) else "")


def _place_of(term: str, line: str) -> int:
    """Return where the first word of this term begins; 0 where none is found."""
    for piece in _PIECE.finditer(line):
        if term in terms_of(piece[0]):
            return piece.start() + _place_in_piece(term, piece[0])
    return 0


def _place_in_piece(term: str, piece: str) -> int:
    """Return where the term is complete for the first time, less its length; near enough in a piece without spaces."""
    low, high = 1, len(piece)
    while low < high:
        middle = (low + high) // 2
        # A term that a longer word begins with counts as well: what matters is that its place is in view.
        if any(found.startswith(term) for found in terms_of(piece[:middle])):
            high = middle
        else:
            low = middle + 1
    start = max(0, low - len(term))
    while start and unicodedata.combining(piece[start]):
        start -= 1
    return start
