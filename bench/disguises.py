"""Twelve ways to write a text so that a filter reads something else than a person. Each is fixed by the text."""

import html
import random
from collections.abc import Callable, Mapping

FRIENDLY = (
    "The weather was lovely this morning and we walked along the river for an hour.",
    "I made pancakes for breakfast and the children loved them very much.",
    "Our neighbours are planning a small garden party for the weekend.",
    "Thank you so much for all your help with the moving boxes.",
    "See you tomorrow at the station, I will bring the tickets and some snacks.",
)
_LOOKS = dict(zip("aceijopsxyABCEHIKMOPSTX", (
    "\u0430\u0441\u0435\u0456\u0458\u043e\u0440\u0455\u0445\u0443"
    "\u0410\u0412\u0421\u0415\u041d\u0406\u041a\u041c\u041e\u0420\u0405\u0422\u0425"
), strict=True))  # fmt: skip
_GREEK = dict(zip("aeiknoptuvx", "\u03b1\u03b5\u03b9\u03ba\u03b7\u03bf\u03c1\u03c4\u03c5\u03bd\u03c7", strict=True))
_DIGITS = {"a": "4", "e": "3", "i": "1", "o": "0", "s": "5", "t": "7", "b": "8", "g": "9"}


def _letters(table: Mapping[str, str], text: str, share: float = 1.0) -> str:
    chance = random.Random(text)
    return "".join(table.get(c, table.get(c.lower(), c)) if chance.random() < share else c for c in text)


def _between(text: str, separator: str) -> str:
    return " ".join(separator.join(word) for word in text.split())


def _repeated(text: str) -> str:
    chance = random.Random(text)
    return "".join(c * chance.choice((3, 4)) if c.isalpha() and chance.random() < 0.4 else c for c in text)


def _separated(text: str) -> str:
    chance = random.Random(text)
    return _between(text, chance.choice((".", "-", "_", "*", "~")))


def _padding(text: str, sentences: int) -> str:
    return " ".join(random.Random(text).choices(FRIENDLY, k=sentences))


DISGUISES: Mapping[str, Callable[[str], str]] = {
    "look_alikes": lambda text: _letters(_LOOKS, text),
    "zero_width": lambda text: "\u200b".join(text),
    "digits": lambda text: _letters(_DIGITS, text),
    "spacing": lambda text: "   ".join(" ".join(word) for word in text.split()),
    "separators": _separated,
    "padding_before": lambda text: f"{_padding(text, 3)} {text}",
    "padding_after": lambda text: f"{text} {_padding(text, 3)}",
    "repeats": _repeated,
    "mixed_scripts": lambda text: _letters(_GREEK, text, 0.5),
    "capitals": str.upper,
    "entities": lambda text: "".join(f"&#{ord(c)};" if c.isalpha() else html.escape(c) for c in text),
    "beyond_256_tokens": lambda text: f"{_padding(text, 20)} {text} {_padding(text[::-1], 5)}",
}
