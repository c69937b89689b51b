"""Estimates of how well the loop works, with intervals: errors, prevalence, agreement. Pure.

Exact intervals (Clopper and Pearson 1934) rest on the uniform stratum alone. The model-assisted estimate also uses the
scores of all items (Särndal, Swensson and Wretman 1992, difference estimator): narrower where the scores are good.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from secondlook.common.bundle.arrays import Array, Bools
from secondlook.common.bundle.certificates import upper_bound
from secondlook.trainer.evidence.sample import judge_approvals

CONFIDENCE = 0.95
RESAMPLES = 1_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """`value` from `n` judged items, None if they say nothing; `k` of them where it is a share, else None.

    `low` and `high` hold it at the confidence asked for.
    """

    value: float | None
    low: float
    high: float
    n: int
    k: int | None
    method: str


@dataclass(frozen=True, slots=True)
class AuditErrors:
    """Share of automatic approvals that are wrong, and of automatic rejections a label."""

    approve: Estimate
    reject: dict[str, Estimate]


def proportion(k: int, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """A share with its exact two-sided interval; [0, 1] for n = 0. ValueError unless 0 <= k <= n."""
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n}")
    tail = (1 - confidence) / 2
    low, high = 1 - upper_bound(n - k, n, tail), upper_bound(k, n, tail)
    return Estimate(k / n if n else None, low, high, n, k, "Clopper-Pearson")


def audit_errors(
    labels: Sequence[str],
    approved: Bools,
    rejected: Bools,
    targets: Array,
    uniform: Bools,
    confidence: float = CONFIDENCE,
) -> AuditErrors:
    """Errors of automatic decisions, from those in the uniform stratum that were judged.

    Args:
        approved: [n], approved automatically.
        rejected: [n, labels], rejected automatically with this label.
        targets: [n, labels]: 1, 0, NaN unknown. An approval is wrong if any label is known to be there, unknown if none
            is but some were not judged; unknown ones do not count.
        uniform: [n], in the uniform stratum.
    """
    known, wrong = judge_approvals(targets)
    approvals = approved & uniform & known
    reject = {}
    for column, label in enumerate(labels):
        judged = rejected[:, column] & uniform & ~np.isnan(targets[:, column])
        reject[label] = proportion(int((targets[judged, column] == 0).sum()), int(judged.sum()), confidence)
    return AuditErrors(proportion(int(wrong[approvals].sum()), int(approvals.sum()), confidence), reject)


def assisted_mean(scores: Array, targets: Array, inclusion: Array, confidence: float = CONFIDENCE) -> Estimate:
    """Share of all N items that have a label: mean(scores) + 1/N sum s (target - score) / inclusion.

    Unbiased whatever the scores are worth. The interval is normal, with the variance of independent draws, and too
    narrow while few items or none with an inclusion below 1 were judged; without any judged item it is [0, 1].

    Args:
        scores: [N], of every item of the traffic, judged or not.
        targets: [N]: 1, 0, NaN not judged. Every item chosen for judgement must have been judged.
        inclusion: [N], the probability with which the item was chosen, independently of the others.

    Raises:
        ValueError: shapes that do not fit, a judged item with an inclusion that is no probability above 0.
    """
    if not scores.shape == targets.shape == inclusion.shape:
        raise ValueError(f"scores {scores.shape}, targets {targets.shape}, inclusion {inclusion.shape} do not fit")
    judged = ~np.isnan(targets)
    chance = inclusion[judged]
    if not ((chance > 0) & (chance <= 1)).all():
        raise ValueError("a judged item needs an inclusion probability above 0 and up to 1")
    n, total = len(chance), len(scores)
    if n == 0:
        return Estimate(None, 0.0, 1.0, 0, None, "model-assisted")
    residuals = (targets[judged] - scores[judged]) / chance
    value = float(scores.mean() + residuals.sum() / total)
    spread = math.sqrt(float(((1 - chance) * residuals**2).sum())) / total
    half = float(norm.ppf((1 + confidence) / 2)) * spread
    low, middle, high = (min(max(x, 0.0), 1.0) for x in (value - half, value, value + half))
    return Estimate(middle, low, high, n, None, "model-assisted")


def overturn_rate(first: NDArray[Any], final: NDArray[Any], confidence: float = CONFIDENCE) -> Estimate:
    """Share of decisions [n] that a second look changed."""
    if first.shape != final.shape:
        raise ValueError(f"{first.shape} first and {final.shape} final decisions")
    return proportion(int((first != final).sum()), len(first), confidence)


def agreement(ratings: Array, confidence: float = CONFIDENCE, seed: int = 0) -> Estimate:
    """Krippendorff's alpha (2011) for nominal ratings[units, reviewers], NaN not rated; 1 full, 0 as by chance.

    Units with fewer than two ratings say nothing; `n` counts the others. The value is None where all ratings are the
    same. The interval is a percentile bootstrap over units; [-1, 1] where there is nothing to compare.
    """
    categories = np.unique(ratings[~np.isnan(ratings)])
    counts = (ratings[:, :, None] == categories).sum(axis=1)
    counts = counts[counts.sum(axis=1) >= 2]
    units = len(counts)
    alpha = _alpha(np.ones((1, units)), counts)[0]
    if np.isnan(alpha):
        return Estimate(None, -1.0, 1.0, units, None, "Krippendorff's alpha")
    draws = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), RESAMPLES)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(_alpha(draws.astype(np.float64), counts), [tail, 1 - tail])
    return Estimate(float(alpha), float(low), float(high), units, None, "Krippendorff's alpha")


def _alpha(weights: Array, counts: NDArray[np.int64]) -> Array:
    """Alpha for each row of weights[rows, units] of the units; NaN where no two ratings differ."""
    rated = counts.sum(axis=1)
    differing = (rated**2 - (counts**2).sum(axis=1)) / (rated - 1)  # ordered pairs that differ, within a unit
    totals = weights @ counts
    n = totals.sum(axis=1)
    by_chance = (n**2 - (totals**2).sum(axis=1)) / np.maximum(n - 1, 1)
    possible = np.where(by_chance > 0, by_chance, np.nan)
    return np.asarray(1 - weights @ differing / possible)
