"""Calibration: logits to probabilities. Platt scaling, and isotonic regression where enough data favours it."""

import warnings

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from secondlook.common.bundle.arrays import Array
from secondlook.common.head.calibration import Isotonic, Platt

ISOTONIC_MINIMUM = 2_000
ISOTONIC_EACH = 1_000  # of each class: with fewer, a label that the model knows well loses its ranking to the few steps
_ISOTONIC_GAIN = 0.01  # of the log loss; less is not worth the ties that steps bring
_MIN_SLOPE = 0.01


def calibrate(logits: Array, targets: Array, weights: Array | None = None) -> Platt | Isotonic:
    """The calibration of one label from logits[n] that the head did not train on; targets[n] are 0 or 1, both occur.

    Isotonic is taken from `ISOTONIC_MINIMUM` points and `ISOTONIC_EACH` of each class on, if it lowers the log loss of
    held-out halves by 1 %.
    """
    weights = np.ones(len(logits)) if weights is None else weights
    rarer = min(targets.sum(), len(targets) - targets.sum())
    if len(logits) >= ISOTONIC_MINIMUM and rarer >= ISOTONIC_EACH:
        losses = np.zeros(2)
        half = np.random.default_rng(0).permutation(len(logits)) % 2 == 0
        for train, test in ((half, ~half), (~half, half)):
            part = logits[train], targets[train], weights[train]
            curves: list[Platt | Isotonic] = [fit_platt(*part), fit_isotonic(*part)]
            for i, curve in enumerate(curves):
                losses[i] += _log_loss(curve.apply(logits[test]), targets[test], weights[test])
        if losses[1] < (1 - _ISOTONIC_GAIN) * losses[0]:
            return fit_isotonic(logits, targets, weights)
    return fit_platt(logits, targets, weights)


def fit_platt(logits: Array, targets: Array, weights: Array) -> Platt:
    """Platt (1999) with his smoothed targets: a logistic regression without penalty, on one number.

    The slope is kept positive: a label whose logits say nothing gets nearly its base rate, and ranks are never turned.
    """
    positive, negative = float(weights @ targets), float(weights @ (1 - targets))
    smoothed = np.where(targets == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    centre, spread = float(logits.mean()), float(logits.std()) or 1.0
    # scikit-learn takes no target between 0 and 1: each row counts as both, in parts.
    x = np.tile((logits - centre) / spread, 2)[:, None]
    y = np.repeat([1, 0], len(logits))
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-9, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)  # logits that are all alike: it goes over to L-BFGS
        model.fit(x, y, sample_weight=np.concatenate([weights * smoothed, weights * (1 - smoothed)]))
    slope = max(float(model.coef_[0, 0]) / spread, _MIN_SLOPE)
    return Platt(slope=slope, intercept=float(model.intercept_[0]) - slope * centre)


def fit_isotonic(logits: Array, targets: Array, weights: Array) -> Isotonic:
    """Isotonic regression, kept off 0 and 1 by one imagined error in n + 2."""
    margin = 1 / (len(logits) + 2)
    curve = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip")
    curve.fit(logits, targets, sample_weight=weights)
    knots, first = np.unique(curve.X_thresholds_, return_index=True)
    return Isotonic(logits=tuple(map(float, knots)), probabilities=tuple(map(float, curve.y_thresholds_[first])))


def _log_loss(p: Array, targets: Array, weights: Array) -> float:
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return -float(weights @ (targets * np.log(p) + (1 - targets) * np.log1p(-p)))
