"""Model and reviewers together: how good their joint decisions are when people review a part of the items. Pure.

Collaborative accuracy and review efficiency as Kivlichan, Lin, Liu and Vasserman (2021) define them, and the
risk-coverage curve. All values are exact expectations over how equal scores are ordered, never the luck of a sort.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Array
from secondlook.common.contract.fields import Outcome

FRACTIONS = (0.05, 0.10, 0.15, 0.20)
STRATEGIES: tuple["Strategy", ...] = ("uncertainty", "toxicity")
_TIE_DECIMALS = 6  # scores are float32: 0.3 and 0.7 are as far from 0.5

Strategy = Literal["uncertainty", "toxicity"]


@dataclass(frozen=True, slots=True)
class Collaboration:
    """`accuracy` of all decisions when `fraction` of the items is reviewed by reviewers who are right so often.

    `efficiency` is the share of the reviewed items that the model had wrong; None if nothing is reviewed.
    """

    strategy: Strategy
    fraction: float
    reviewer_accuracy: float
    accuracy: float
    efficiency: float | None


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """At `threshold`, `coverage` of all items is decided automatically, and `risk` of those `n` wrongly."""

    threshold: float
    coverage: float
    risk: float
    n: int


def collaborate(
    scores: NDArray[Any],
    targets: NDArray[Any],
    fractions: Sequence[float] = FRACTIONS,
    reviewer_accuracy: float = 1.0,
    threshold: float = 0.5,
) -> tuple[Collaboration, ...]:
    """Every strategy at every review fraction, from scores[n] and targets[n] (1, 0, NaN unknown: left out).

    The model says yes from `threshold` on. `uncertainty` reviews what is closest to the threshold, `toxicity` the
    highest scores. A budget of 2.5 items is two and half of the third. Empty without a judged item.

    Raises:
        ValueError: a fraction or the reviewer's accuracy outside 0 to 1, or shapes that differ.
    """
    if not all(0 <= share <= 1 for share in (*fractions, reviewer_accuracy)):
        raise ValueError("fractions and the accuracy of reviewers lie between 0 and 1")
    scores, targets = _judged(scores, targets)
    if len(scores) == 0:
        return ()
    right = (scores >= threshold) == (targets == 1)
    found = []
    for strategy in STRATEGIES:
        last = np.abs(scores - threshold) if strategy == "uncertainty" else -scores
        for fraction in fractions:
            reviewed = review_probability(last, fraction)
            accuracy = float(np.mean(np.where(right, 1 - reviewed, 0) + reviewed * reviewer_accuracy))
            efficiency = float(reviewed[~right].sum() / reviewed.sum()) if fraction > 0 else None
            found.append(Collaboration(strategy, fraction, reviewer_accuracy, accuracy, efficiency))
    return tuple(found)


def review_probability(order: Array, fraction: float) -> Array:
    """The probability float[n] that an item is among the `fraction` with the lowest `order`; equals share alike.

    The probabilities add up to fraction · n.
    """
    _, group, sizes = np.unique(np.round(order, _TIE_DECIMALS), return_inverse=True, return_counts=True)
    before = np.cumsum(sizes) - sizes
    return np.asarray(np.clip((fraction * len(order) - before) / sizes, 0, 1)[group], np.float64)


def risk_coverage(
    scores: NDArray[Any], targets: NDArray[Any], outcome: Outcome, most: int = 200
) -> tuple[RiskPoint, ...]:
    """The risk-coverage curve of a side, strictest threshold first, from scores[n] and targets[n] (1, 0, NaN unknown).

    It looks at the side alone, as `sides.reach` does, and takes every text as read to its end. `approve` decides what
    scores at most the threshold, and is wrong about a yes; `reject` what scores at least the threshold, and is wrong
    about a no. Thresholds are scores that occur, at most `most` (≥ 2) of them, evenly spread over the items and with
    the first and the last. These are observed shares, no promise: see certificates for that.
    """
    scores, targets = _judged(scores, targets)
    if len(scores) == 0:
        return ()
    order = np.argsort(scores if outcome == "approve" else -scores, kind="stable")
    ordered, wrong = scores[order], (targets[order] == 1) == (outcome == "approve")
    ends = np.append(np.flatnonzero(np.diff(ordered) != 0), len(ordered) - 1)  # the last item of each distinct score
    if len(ends) > most:
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, most).round().astype(int))]
    errors = np.cumsum(wrong)
    return tuple(
        RiskPoint(float(ordered[i]), float((i + 1) / len(ordered)), float(errors[i] / (i + 1)), int(i + 1))
        for i in ends
    )


def _judged(scores: NDArray[Any], targets: NDArray[Any]) -> tuple[Array, Array]:
    scores, targets = np.asarray(scores, np.float64), np.asarray(targets, np.float64)
    if scores.shape != targets.shape or scores.ndim != 1:
        raise ValueError(f"scores {scores.shape} for targets {targets.shape}")
    known = ~np.isnan(targets)
    return scores[known], targets[known]
