"""The thresholds of a side that are tried, fixed by scores before any judgement is looked at. Pure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Scopes
from secondlook.common.bundle.certificates import BELOW_HALF, HALF
from secondlook.common.bundle.sides import Side, as_routed, in_scope, reach, usable

CANDIDATES = 24
LEAST = 20  # items in reach of a side; with fewer, its thresholds are not fixed yet


def limit_of(side: Side) -> float:
    """How far a side may reach: no side reaches past one half, however low the risk on average.

    So a label that is more likely present than not is never approved, one that is more likely absent never rejected,
    and no item is within reach of an approval and of a rejection at once.
    """
    return BELOW_HALF if side.label is None else -HALF


def grid(side: Side, labels: Sequence[str], scores: NDArray[Any], scopes: Scopes | None = None) -> tuple[float, ...]:
    """At most `CANDIDATES` reaches, strictest first, that cut other traffic of scores[m, labels] into even parts.

    Empty where fewer than `LEAST` of it are in the side's reach: ask again with more.
    """
    scores = as_routed(scores)
    able = usable(scores) if scopes is None else usable(scores) & in_scope(side, scopes)
    keys = reach(side, labels, scores[able])
    keys = np.sort(keys[keys <= limit_of(side)])
    if len(keys) < LEAST:
        return ()
    ranks = np.ceil(np.linspace(0, 1, CANDIDATES + 1)[1:] * len(keys)).astype(int) - 1
    return tuple(np.unique(keys[ranks]).tolist())
