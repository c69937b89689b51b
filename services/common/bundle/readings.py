"""The readings of a text: as it is, and by features of version 2 also unmasked and in windows.

Readings are texts, so whatever scores, embeds or keeps texts can do so with readings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Array, Bools
from secondlook.common.bundle.features import FeatureSpec
from secondlook.common.text.folding import fold
from secondlook.common.text.windows import windows

SHORT = 320  # characters that every encoder reads at once
FIRST = 20_000  # characters of the first reading; what is longer was refused before version 2


@dataclass(frozen=True, slots=True)
class Readings:
    """`rows` are m readings of n texts, the first readings of all texts first. `owners` int[m]: the text of each.

    `parts` bool[m]: the readings that together are all of a text, if it is `covered` bool[n]. `glimpses` bool[m]: the
    windows of a short text, whose first reading sees all of it. `disguised` float64[n]: the share of its letters that
    stand in disguised words.
    """

    rows: tuple[str, ...]
    owners: NDArray[np.intp]
    parts: Bools
    covered: Bools
    glimpses: Bools
    disguised: Array

    def highest(self, logits: NDArray[Any]) -> NDArray[Any]:
        """Of logits[m, labels] the highest of each text's readings, [n, labels].

        A glimpse counts only where its label is more likely than not: bad words among many good ones are. Lower ones
        would make clean texts of several sentences score higher, and all texts harder to tell apart.
        """
        n = len(self.covered)
        if len(self.rows) == n:
            return logits
        found, others = logits[:n].copy(), logits[n:]
        counts = ~self.glimpses[n:, None] | (others > 0)
        np.maximum.at(found, self.owners[n:], np.where(counts, others, -np.inf).astype(logits.dtype))
        return found

    def whole(self, read: Bools) -> Bools:
        """bool[n]: whether a text was read to its end, if each reading of `read` bool[m] was."""
        missed = np.zeros(len(self.covered), np.bool_)
        missed[self.owners[self.parts & ~read]] = True
        return np.asarray(self.covered & ~missed, np.bool_)


def readings(texts: Sequence[str], spec: FeatureSpec) -> Readings:
    """Read the texts as the spec says. Most texts have one reading."""
    rows, owners = [text[:FIRST] for text in texts], list(range(len(texts)))
    parts, glimpses = [True] * len(texts), [False] * len(texts)
    covered, disguised = [len(text) <= FIRST for text in texts], [0.0] * len(texts)
    for number, text in enumerate(texts if spec.version > 1 else ()):
        cut, reached = windows(text)
        covered[number] &= reached  # blanks make no windows, but nothing behind so many of them is looked at
        parts[number] = not cut
        folded = fold(rows[number])
        disguised[number] = folded.share
        windowed = [reading for window in cut for reading in fold(window).readings] if covered[number] else []
        whole = dict.fromkeys(folded.readings)
        more = [*cut, *whole, *dict.fromkeys(reading for reading in windowed if reading not in whole)]
        rows += more
        owners += [number] * len(more)
        parts += [place < len(cut) for place in range(len(more))]
        glimpses += [len(text) <= SHORT and reading not in whole for reading in more]
    return Readings(
        tuple(rows), np.array(owners, np.intp), np.array(parts, np.bool_), np.array(covered, np.bool_),
        np.array(glimpses, np.bool_), np.array(disguised, np.float64),
    )  # fmt: skip
