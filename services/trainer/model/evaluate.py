"""Quality of calibrated scores on a hold-out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from secondlook.common.bundle.manifest import LabelMetrics

BINS = 10


def evaluate(labels: Sequence[str], scores: NDArray[Any], targets: NDArray[Any]) -> dict[str, LabelMetrics]:
    """Metrics of every label from scores[n, labels] and targets[n, labels] (1, 0, NaN unknown).

    A label without judged rows gets none, one with a single class neither AUROC nor AUPRC.
    """
    scores, targets = np.asarray(scores, np.float64), np.asarray(targets, np.float64)
    return {label: _label(scores[:, i], targets[:, i]) for i, label in enumerate(labels)}


def _label(scores: NDArray[np.float64], targets: NDArray[np.float64]) -> LabelMetrics:
    known = ~np.isnan(targets)
    p, y = scores[known], targets[known]
    n, positives = len(y), int(y.sum())
    if n == 0:
        return LabelMetrics(n=0, positives=0)
    both = 0 < positives < n
    safe = np.clip(p, 1e-7, 1 - 1e-7)
    return LabelMetrics(
        n=n,
        positives=positives,
        auroc=_share(roc_auc_score(y, p)) if both else None,
        auprc=_share(average_precision_score(y, p)) if both else None,
        log_loss=float(-np.mean(y * np.log(safe) + (1 - y) * np.log1p(-safe))),
        brier=float(np.mean((p - y) ** 2)),
        ece=expected_calibration_error(p, y),
    )


def _share(value: float) -> float:
    return min(float(value), 1.0)  # rounding can leave a perfect ranking a hair above


def expected_calibration_error(scores: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """Mean distance of score and frequency, weighted by count; n >= 1.

    At most `BINS` bins of about equal counts, cut at quantiles, so that equal scores share a bin.
    """
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, scores, side="right")
    return float(np.abs(np.bincount(bins, weights=scores - targets)).sum() / len(scores))
