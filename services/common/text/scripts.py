"""The script of a letter, and words that mix scripts.

Python knows no scripts; the first word of a letter's Unicode name is one. `tests/unit/test_scripts.py` compares it with
the Script property (UAX 24) of a library. Which scripts may stand in one word follows UTS 39, level "highly
restrictive", and adds the scripts that put no blanks between words.
"""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

LATIN = "latin"
# Any of these may stand beside Latin letters, without a blank, in ordinary text.
_SPACELESS = frozenset({"cjk", "hiragana", "katakana", "bopomofo", "hangul", "thai", "lao", "khmer", "myanmar"})
_SAME = {"micro": "greek", "ohm": "greek", "kelvin": LATIN, "angstrom": LATIN, "feminine": LATIN, "masculine": LATIN,
         "kangxi": "cjk", "hentaigana": "hiragana",
         "ideographic": "cjk", "halfwidth": "katakana", "fullwidth": LATIN}  # fmt: skip
_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f])*")
_UNIT = 3  # letters of a word with one Greek letter in it, at most: µm, kΩ, Δt


@lru_cache(maxsize=65_536)
def script_of(letter: str) -> str | None:
    """The script of a character, in lower case; None if it is no letter, or one of all scripts."""
    if unicodedata.category(letter) not in ("Lu", "Ll", "Lt", "Lo"):
        return None
    first = unicodedata.name(letter, "").partition(" ")[0].partition("-")[0].lower()
    return _SAME.get(first, first) or None


def scripts(text: str) -> Counter[str]:
    """How many letters of each script the text has."""
    if text.isascii():
        return Counter({LATIN: sum(map(str.isalpha, text))})
    return Counter(found for each in text if (found := script_of(each)) is not None)


def mixed_word(text: str) -> bool:
    """Whether one word has letters of scripts that no ordinary word mixes."""
    return not text.isascii() and any(_mixed(word) for word in _WORD.findall(text))


def _mixed(word: str) -> bool:
    if word.isascii():
        return False
    found = Counter(script for each in word if (script := script_of(each)) is not None and script not in _SPACELESS)
    unit = len(word) <= _UNIT and set(found) == {LATIN, "greek"} and found["greek"] == 1
    return len(found) > 1 and not unit
