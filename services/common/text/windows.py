"""Cutting a text into windows, so that a few bad words among many good ones still count.

Padding dilutes what a model sees of a text, and an encoder reads only so far. So a longer text is also read in windows,
and the highest score counts.
"""

import re
from collections.abc import Iterator
from itertools import islice

ALONE = 80  # characters of a text that is read as it is, only
WINDOW = 80  # characters; half of the encoder's tokens even if each character is one
LEAST = 12  # characters of a sentence that is read alone; a shorter one goes with the next
MOST = 32  # windows of a text, which bounds the cost of one
_END = re.compile(r"[.!?\u2026]+(?=\s)|[\u3002\uff01\uff1f]+|\n+")
_WORD = re.compile(rf"\S{{1,{WINDOW // 2}}}")  # what is longer is cut


def windows(text: str) -> tuple[tuple[str, ...], bool]:
    """The windows of a text, none if it is short or one sentence, and whether they reach all of it.

    A window is a sentence, or a part of one that has more than `WINDOW` characters: then each shares about half of
    itself with the next. Of a text with more than `MOST`, that many are spread over it evenly.
    """
    if len(text) <= ALONE:
        return (), True
    found = [window for sentence in islice(_sentences(text), 10_000) for window in _cut(sentence)]
    if len(found) <= 1:
        return (), True
    if len(found) <= MOST:
        return tuple(found), True
    chosen = [found[round(number * (len(found) - 1) / (MOST - 1))] for number in range(MOST)]
    return tuple(dict.fromkeys(chosen)), False


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(text):
        if match.end() - start >= LEAST and len(text) - match.end() >= LEAST:
            yield text[start : match.end()]
            start = match.end()
    yield text[start:]


def _cut(text: str) -> Iterator[str]:
    """A sentence in overlapping parts, or whole."""
    spans = [match.span() for match in _WORD.finditer(text)]
    first = 0
    while first < len(spans):
        last = half = first
        start = spans[first][0]
        while last + 1 < len(spans) and spans[last + 1][1] - start <= WINDOW:
            last += 1
            if spans[last][0] - start <= WINDOW // 2:
                half = last
        yield text[start : spans[last][1]]
        if last + 1 == len(spans):
            return
        first = max(half, first + 1)
