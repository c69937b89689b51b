"""Evidence that few of a side's decisions are wrong, which may be read at any moment. Pure.

For k wrong of n items the evidence against "more than a share ε is wrong" is the mean, over the `RATES`, of the
likelihood of k of n at that share of ε, against the likelihood at ε (Robbins 1970). As long as each item is wrong with
a chance above ε given those before it, that mean is a supermartingale that starts at 1, so the chance that it ever
reaches 1/δ is at most δ (Ville 1939): whoever looks after every item, and stops at the best one, gains nothing. An item
that counts as wrong though it is right, or a right one that is left out, only lowers the evidence.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Array

RATES = (0.02, 0.2, 0.4, 0.6, 0.8)  # as shares of the risk that is allowed
BISECTIONS = 60


def evidence(k: NDArray[Any], n: NDArray[Any], epsilon: float) -> Array:
    """Log of the evidence that at most a share `epsilon` is wrong, for k wrong of n, arrays of one shape."""
    wrong, right = np.asarray(k, np.float64), np.asarray(n, np.float64) - np.asarray(k, np.float64)
    rates = np.asarray(RATES)
    for_wrong, for_right = np.log(rates), np.log1p(-rates * epsilon) - math.log1p(-epsilon)
    each = np.multiply.outer(wrong, for_wrong) + np.multiply.outer(right, for_right)
    highest = each.max(axis=-1)
    return np.asarray(highest + np.log(np.exp(each - highest[..., None]).mean(axis=-1)))


def enough(delta: float) -> float:
    """The log of the evidence that it takes where a chance `delta` of being misled is allowed."""
    return -math.log(delta)


def risk_bound(k: int, n: int, delta: float) -> float:
    """The smallest risk that k wrong of n are enough evidence for; 1 if there is none below it."""
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n}")
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):  # evidence grows with the risk that is allowed
        middle = (low + high) / 2
        if 0 < middle < 1 and float(evidence(np.array(k), np.array(n), middle)) >= enough(delta):
            high = middle
        else:
            low = middle
    return high


def fewest(epsilon: float, delta: float) -> int:
    """The fewest items that are enough evidence for `epsilon` when none of them is wrong."""
    return least(0.0, epsilon, delta) or 0


def least(rate: float, epsilon: float, delta: float, most: int = 10_000_000) -> int | None:
    """The fewest items that are enough evidence for `epsilon` if a share `rate` of them is wrong, rounded up; None if
    `most` are not enough.
    """
    sizes = np.unique(np.geomspace(1, most, 2_000).astype(np.int64))
    reached = np.flatnonzero(evidence(np.ceil(rate * sizes), sizes, epsilon) >= enough(delta))
    if not len(reached):
        return None
    last = int(reached[0])
    around = np.arange(int(sizes[last - 1]) if last else 1, int(sizes[last]) + 1)
    return int(around[evidence(np.ceil(rate * around), around, epsilon) >= enough(delta)][0])
