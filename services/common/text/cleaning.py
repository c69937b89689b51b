"""Cleaning: the text as every part of the model reads it."""

import re
import sys
import unicodedata

# Every character of category Cf lies in these planes; planes 2 to 13 hold ideographs and nothing yet.
_PLANES = (range(0x20000), range(0xE0000, 0xE1000))
_INVISIBLE = {c: None for plane in _PLANES for c in plane if unicodedata.category(chr(c)) == "Cf"}
# Marks of one letter are sorted in time that grows with the square of their number; no language needs more (UAX 15).
_MOST_MARKS = 30
_MARKS = "".join(c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.combining(c))
_PILED = re.compile(f"([{_MARKS}]{{{_MOST_MARKS}}})[{_MARKS}]+")
# Characters that show nothing though Unicode counts them as letters or symbols: Hangul fillers, the empty braille cell.
_EMPTY = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def clean(text: str) -> str:
    """The text in NFKC, without format characters, lone surrogates replaced. Never fails.

    NFKC folds full-width and mathematical letters into plain ones; format characters (zero width, bidi marks, soft
    hyphens) serve to break words apart. Both are ways to write around a filter.
    """
    if text.isascii():
        return text
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return compose(whole.translate(_INVISIBLE))


def compose(text: str) -> str:
    """The text in NFKC; of the marks that are piled on one letter, the first 30. Takes time linear in its length."""
    return unicodedata.normalize("NFKC", _PILED.sub(r"\1", text))


def blank(text: str) -> bool:
    """Whether there is nothing to see: only blanks, control and format characters, marks on nothing, and what Unicode
    has not assigned or leaves to others.
    """
    return not any(_shows(character) for character in text)


def _shows(character: str) -> bool:
    return unicodedata.category(character)[0] not in "ZCM" and character not in _EMPTY
