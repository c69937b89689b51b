import sys
import unicodedata

import pytest
import regex

from secondlook.common.text.cleaning import blank
from secondlook.common.text.scripts import mixed_word, script_of, scripts

ALIKE = {"cjk": "han", "ol": "ol_chiki", "old": None, "canadian": "canadian_aboriginal"}


@pytest.mark.parametrize("name", [
    "Latin", "Greek", "Cyrillic", "Armenian", "Hebrew", "Arabic", "Devanagari", "Bengali", "Tamil", "Telugu", "Thai",
    "Lao", "Georgian", "Ethiopic", "Cherokee", "Khmer", "Hiragana", "Katakana", "Hangul", "Bopomofo", "Han", "Myanmar",
])  # fmt: skip
def test_scripts_are_those_of_unicode(name: str) -> None:
    """Against the Script property: every letter that has one, where both know the character."""
    pattern = regex.compile(rf"\p{{Script={name}}}")
    letters = [
        c for c in map(chr, range(0x20000)) if unicodedata.category(c) in ("Lu", "Ll", "Lo") and pattern.match(c)
    ]
    wrong = [c for c in letters if ALIKE.get(found := script_of(c) or "", found) != name.lower()]
    assert len(wrong) <= 0.02 * len(letters), [f"{ord(c):x} {script_of(c)}" for c in wrong[:10]]


@pytest.mark.parametrize("text", [
    "p\u0430ypal", "\u0440aypal", "m\u03b9xed", "\u0391pple", "\u0561bc", "Pr\u0456vet", "kill\u0443ou and plain words",
    "\u043f\u0440\u0438vet", "\u05d0bc", "\u13aalpha",
])  # fmt: skip
def test_words_of_several_scripts_are_seen(text: str) -> None:
    assert mixed_word(text)


@pytest.mark.parametrize("text", [
    "plain", "caf\u00e9", "\u043f\u0440\u0438\u0432\u0435\u0442 hello", "\u03ba\u03b1\u03bb\u03b7\u03bc",
    "T\u30b7\u30e3\u30c4", "\u65e5\u672c\u8a9eOK\u3067\u3059", "\ud55c\uad6d\uc5b4abc",
    "5\u03bcm \u0394t k\u03a9", "\u00b5g",
    "SMS-\u043a\u0430", "iPhone\u0e04\u0e23\u0e31\u0e1a", "\u0440\u0443\u0441_latin", "", "123 !?",
])  # fmt: skip
def test_ordinary_words_are_not(text: str) -> None:
    assert not mixed_word(text)


@pytest.mark.parametrize("text", [
    "", " ", "\t\r\n", "\u00a0\u2003\u3000", "\u200b\u200c\u200d\u2060\ufeff", "\u00ad", "\u202e\u2066", "\x01\x02",
    "\u3164", "\u115f\u1160", "\uffa0", "\u2800 \u2800", "\ufe0f", "\U000e0041\U000e007f", "\ue000\U000f0000", "\u0301",
    "\U000e0100", "\u034f", "\u180e", "\u0378", "\ufffe", "\ud800", "\u2028\u2029",
])  # fmt: skip
def test_what_shows_nothing_is_blank(text: str) -> None:
    assert blank(text)


@pytest.mark.parametrize("text", [
    "a", ".", "0", "\U0001f44d", "\u2801", "\u4f60", "\u200ba\u200b", "\u0e01", "\u20ac", "a\u0301", "\u1100",
])  # fmt: skip
def test_what_shows_something_is_not(text: str) -> None:
    assert not blank(text)


def test_no_character_fails() -> None:
    for code in range(0, sys.maxunicode + 1, 7):
        blank(chr(code))
        scripts(chr(code))
