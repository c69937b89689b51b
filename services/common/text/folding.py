"""Unmasking: what a text that was written to get around a filter says to a person.

Letters that look alike (UTS 39), marks piled on letters, HTML entities, digits and symbols for letters, letters drawn
apart by separators, and letters repeated. The result is read beside the text, never in its place.
"""

import html
import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from secondlook.common.text.cleaning import clean

_ENTITY = re.compile(r"&(?:#\w+|[A-Za-z]\w*);?")
_NESTED = re.compile(r"&(?:amp;)+(?=#)")
_ROUNDS = 3  # of entities within entities
# Of scripts that put blanks between words: in others a separator between letters is nothing special.
_LETTER = r"[^\W\d_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
_APART = rf"(?<!\w){_LETTER}(?:\s{{1,3}}{_LETTER}(?!\w|['\u2019]{_LETTER})){{3,}}"  # k i l l, but not "u r a"
_SPELT = re.compile(rf"(?<!\w){_LETTER}(?:(?!\s+\w)[\W_]{{1,3}}{_LETTER}(?!\w|['\u2019]{_LETTER})){{2,}}|{_APART}")
_SEPARATOR = r"(?:[^\w\s'\u2019&@#$!|+\u20ac\u00a3]+|_+)"
_INNER = re.compile(rf"(?<={_LETTER}){_SEPARATOR}(?={_LETTER})")
_REPEATED = re.compile(rf"({_LETTER})\1{{2,}}")
_ADDRESS = re.compile(r"[^\w\s@/~$]*+(?:https?:|www\.|[\w.+-]+@[\w-]+\.|[@/~])", re.IGNORECASE)
_DIGITS = str.maketrans("013456789@$!|+\u20ac\u00a3\u00a1\u00a5\u00b2\u00b3", "oieasgtbgasilteliyze")
_ONE_IS_L = str.maketrans("1!|", "lll")
_LIKE_LETTERS = r"[013456789@$!|+\u20ac\u00a3\u00a1\u00a5\u00b2\u00b3]"
_LEET = rf"{_LETTER}{_LIKE_LETTERS}+{_LETTER}|(?<!\w)[013456789@$]{_LETTER}{{3}}"
_IN_WORD = re.compile(_LEET)
_QUANTITY = re.compile(rf"[\W\d]*\d{_LETTER}{{1,3}}\W*|\W*{_LETTER}+\d+\W*")  # 4th, 10pm; covid19
_SUSPECT = re.compile(
    rf"{_ENTITY.pattern}|<[/!A-Za-z]|{_SPELT.pattern}|{_LETTER}{_SEPARATOR}{_LETTER}|({_LETTER})\1{{2,}}|{_LEET}"
)
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")  # letters that show nothing
_TAG = re.compile(r"<(?:/?[A-Za-z][^<>]{0,200}|!--.{0,200}?--)>")
_LATIN = re.compile(r"[a-z]", re.IGNORECASE)
_MARKED = 0.25  # of Latin letters with accents; more is no orthography but Vietnamese
_SHORT_PART = 3.0  # letters between separators, on average: `ki.ll`, not `self-harm`


@dataclass(frozen=True, slots=True)
class Folding:
    """`readings` are at most two, none where a text folds to itself; `share` in [0, 1]: of its letters, those in words
    that were disguised."""

    readings: tuple[str, ...] = ()
    share: float = 0.0


PLAIN = Folding()


def fold(text: str) -> Folding:
    """Unmask a text. Folding a reading again changes nothing that was hidden."""
    if text.isascii() and not _SUSPECT.search(text):
        return PLAIN
    plain = clean(text)
    shown = _marks(_look_alikes(clean(_unescaped(text))))
    if shown == plain and not _SUSPECT.search(shown):
        return PLAIN
    joined, apart = _joined(shown)
    found, touched, letters = [], apart, 0
    words = [_word(word) for word in joined.split()]
    for one, other, changed in words:
        count = sum(map(str.isalpha, one))
        letters += count
        touched += count if changed else 0
        found.append((one, other))
    hidden = _hidden(text, plain, shown)
    letters = max(letters, 1)
    known = _tokens(_ENTITY.sub(_sign, plain))
    readings = dict.fromkeys(" ".join(part) for part in zip(*found, strict=True)) if found else {}
    kept = tuple(reading for reading in readings if _tokens(reading) != known)
    return Folding(kept, min(1.0, max(touched / letters, hidden)))


def _sign(entity: re.Match[str]) -> str:
    """An entity for a sign is no word; one for a letter hides a word."""
    shown = html.unescape(entity[0])
    return entity[0] if any(map(str.isalnum, shown)) else f" {shown} "


def _tokens(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _hidden(text: str, plain: str, shown: str) -> float:
    """The share of words that look-alikes, marks, tags or entities inside of them disguise."""
    if plain == shown:
        return 0.0
    before = set(map(_core, _ENTITY.sub(_sign, _NESTED.sub("&", clean(text))).casefold().split()))
    after = [core for word in shown.casefold().split() if (core := _core(word))]
    changed = sum(_LATIN.search(core) is not None and core not in before for core in after)
    return changed / max(len(after), 1)


def _core(word: str) -> str:
    return "".join(each for each in word if each.isalnum() or unicodedata.category(each)[0] == "M")


def _unescaped(text: str) -> str:
    for _ in range(_ROUNDS):
        if not _ENTITY.search(text):
            break
        text = html.unescape(text)
    return _TAG.sub("", text)


def _look_alikes(text: str) -> str:
    """Words of look-alikes in Latin letters, if that leaves no letter of another script in them."""
    if text.isascii():
        return text
    table = _table()
    turned = text.translate(table)
    if turned == text:
        return text
    return re.sub(r"\S+", lambda word: _as_latin(word[0], table), text)


def _as_latin(word: str, table: dict[int, str]) -> str:
    turned = word.translate(table)
    return (
        turned
        if all(each.isascii() or "LATIN" in unicodedata.name(each, "") for each in turned if each.isalpha())
        else word
    )


@cache
def _table() -> dict[int, str]:
    lines = files(__package__).joinpath("lookalikes.jsonl").read_text(encoding="utf-8").splitlines()
    return {ord(c): row["letter"] for row in map(json.loads, lines) for c in row["look_alikes"]}


def _marks(text: str) -> str:
    """Latin letters without what is hidden on or behind them, and without accents if very many letters have some."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFD", text)
    bare, kept, latin, letters, accents = [], [], False, 0, 0
    for each in apart:
        if latin and _hides(each):
            accents += 1
            kept += [each] if "\u0300" <= each <= "\u0328" else []  # one that makes a letter of some alphabet
            continue
        latin = each.isascii() and each.isalpha()
        letters += latin
        bare.append(each)
        kept.append(each)
    if accents > _MARKED * letters:
        return "".join(bare)
    return unicodedata.normalize("NFC", "".join(kept))


def _hides(character: str) -> bool:
    """Marks, and letters that show nothing or only change others."""
    return unicodedata.category(character) in ("Mn", "Mc", "Me", "Lm") or character in _FILLERS


def _joined(text: str) -> tuple[str, int]:
    """The text with its spelt-out words in one piece, and how many letters they have."""
    count = 0

    def join(spelt: re.Match[str]) -> str:
        nonlocal count
        letters = re.findall(_LETTER, spelt[0])
        gaps = re.findall(r"[\W_]+", spelt[0])
        usual = min(gaps, key=len)
        count += len(letters)
        parts = [letters[0]]
        for gap, letter in zip(gaps, letters[1:], strict=True):
            parts.append((" " if len(gap) > len(usual) else "") + letter)
        return "".join(parts)

    return _SPELT.sub(join, text), count


def _word(word: str) -> tuple[str, str, bool]:
    """Two readings of a word between blanks, and whether it was disguised."""
    if _ADDRESS.match(word) or not _SUSPECT.search(word):
        return word, word, False
    one = word
    parts = _INNER.split(one)
    if len(parts) > 1 and sum(map(len, parts)) / len(parts) <= _SHORT_PART:
        one = "".join(parts)
    other = one
    if _IN_WORD.search(one) and not _QUANTITY.fullmatch(one):
        other = one.translate(_ONE_IS_L).translate(_DIGITS)
        one = one.translate(_DIGITS)
    masked = one != word
    if len(set(one.casefold())) == 1:  # xxx
        return one, other, masked
    one, other = _REPEATED.sub(r"\1", one), _REPEATED.sub(r"\1\1", other)
    return one, other, masked or len(one) < 0.6 * len(word)
