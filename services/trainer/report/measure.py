"""Scores and targets to what the charts of a report show."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from secondlook.trainer.evidence.estimates import proportion
from secondlook.trainer.report.content import Interval, LabelScores, ReliabilityBin

BINS, BARS = 10, 20


def label_scores(scores: NDArray[Any], targets: NDArray[Any]) -> LabelScores:
    """Reliability and histograms of one label from scores[n] in 0 to 1 and targets[n] (1, 0, NaN unknown: left out).

    `BINS` and `BARS` equally wide bins: of about equal counts, the few high scores that decide would share one. Empty
    reliability bins are left out.
    """
    known = ~np.isnan(np.asarray(targets, np.float64))
    p, y = np.asarray(scores, np.float64)[known], np.asarray(targets, np.float64)[known]
    if len(p) == 0:
        return LabelScores()
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    reliability = []
    for number in np.unique(bins):
        inside = bins == number
        share = exact_interval(int(y[inside].sum()), int(inside.sum()))
        reliability.append(
            ReliabilityBin(float(p[inside].mean()), share.value, share.lower, share.upper, int(inside.sum()))
        )
    yes, no = (np.histogram(p[y == answer], BARS, (0, 1))[0] for answer in (1, 0))
    return LabelScores(tuple(reliability), tuple(map(int, yes)), tuple(map(int, no)))


def exact_interval(k: int, n: int) -> Interval:
    """The share k / n with its exact two-sided 95 % interval; n ≥ 1."""
    found = proportion(k, n)
    return Interval(k / n, found.low, found.high)
