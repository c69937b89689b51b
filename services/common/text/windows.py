"""Cutting a text into windows, so that a few bad words among many good ones still count.

Padding dilutes what a model sees of a text, and an encoder reads only so far. So a longer text is also read in windows,
and the highest score counts.
"""

import re
from collections.abc import Iterator
from itertools import islice

ALONE = 80  # characters of a text that is read as it is, only
SIZES = (80, 160, 320)  # characters of a window: the smallest that does; an encoder reads about 1,000
LEAST = 12  # characters of a sentence that is read alone; a shorter one goes with the next
MOST = 32  # windows that a text may be read in to its end, which bounds the cost of one
SAMPLED = 16  # windows of a longer text, which people review all the same
# Possessive, and from the first sign of a row only: a text of nothing but dots must cost no more than another.
_END = re.compile(r"(?<![.!?\u2026])[.!?\u2026]++(?=\s)|[\u3002\uff01\uff1f]++|\n++")
_WORD = re.compile(rf"\S{{1,{SIZES[0] // 2}}}")  # what is longer is cut


def windows(text: str) -> tuple[tuple[str, ...], bool]:
    """The windows of a text, none if it is short or one sentence, and whether they reach all of it.

    A window is a sentence, or a part of a longer one that shares about half of itself with the next. A text that makes
    more than `MOST` is cut into larger parts, whatever its sentences; of still more, `SAMPLED` are taken, from all
    over it.
    """
    if len(text) <= ALONE:
        return (), True
    sentences = (window for sentence in _sentences(text) for window in _cut(sentence, SIZES[0]))
    found = list(islice(sentences, MOST + 1))
    for size in SIZES[1:]:
        if len(found) > MOST:
            found = list(_cut(text, size))
    if len(found) <= 1:
        return (), True
    if len(found) <= MOST:
        return tuple(found), True
    chosen = [found[round(number * (len(found) - 1) / (SAMPLED - 1))] for number in range(SAMPLED)]
    return tuple(dict.fromkeys(chosen)), False


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(text):
        if match.end() - start >= LEAST and len(text) - match.end() >= LEAST:
            yield text[start : match.end()]
            start = match.end()
    yield text[start:]


def _cut(text: str, size: int) -> Iterator[str]:
    """Overlapping parts that begin and end at blanks, or the whole text if it is no longer than one."""
    spans = [match.span() for match in _WORD.finditer(text)]
    first = 0
    while first < len(spans):
        last = half = first
        start = spans[first][0]
        while last + 1 < len(spans) and spans[last + 1][1] - start <= size:
            last += 1
            if spans[last][0] - start <= size // 2:
                half = last
        yield text[start : spans[last][1]]
        if last + 1 == len(spans):
            return
        first = max(half, first + 1)
