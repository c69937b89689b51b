"""Evidence for the gate, and what its decision says."""

from typing import Any

import numpy as np
from scipy.special import expit

from secondlook.common.bundle.arrays import Array
from secondlook.common.bundle.certificates import Certificate, CertifiedThreshold, CertifiedThresholds
from secondlook.trainer.gate.decide import Check, Evidence, GateDecision

LABELS = ("hate", "spam")
NONE = np.empty((0, 2))


def drawn(n: int, seed: int = 0) -> tuple[Array, Array, np.random.Generator]:
    """Targets [n, 2], and the logits that they were drawn from."""
    rng = np.random.default_rng(seed)
    logits = np.array([-1.0, -2.0]) + 2 * rng.normal(size=(n, 2))
    return (rng.random((n, 2)) < expit(logits)).astype(float), logits, rng


def evidence(n: int = 400, *, noise: tuple[float, float] = (0.5, 0.5), seed: int = 0, **changes: Any) -> Evidence:
    """Challenger and active bundle see the logits with this much `noise`, each its own if the amounts differ."""
    targets, logits, rng = drawn(n, seed)
    shared = rng.normal(size=(n, 2))
    challenger = expit(logits + noise[0] * (shared if noise[0] == noise[1] else rng.normal(size=(n, 2))))
    given = {"targets": targets, "challenger": challenger, "active": expit(logits + noise[1] * shared), **changes}
    return Evidence(**{"labels": LABELS, "reference": NONE, **given})


def certified(approve: float | None = 0.1, epsilon: float = 0.01, **reject: float) -> CertifiedThresholds:
    certificate = Certificate(n=500, k=0, epsilon=epsilon, delta=0.01, upper_bound=epsilon)

    def at(threshold: float) -> CertifiedThreshold:
        return CertifiedThreshold(threshold=threshold, certificate=certificate)

    sides = {label: at(threshold) for label, threshold in reject.items()}
    return CertifiedThresholds(approve=None if approve is None else at(approve), reject=sides)


def in_use(n: int = 1000, **changes: Any) -> Evidence:
    """Both bundles score the same traffic the same and have the same certified thresholds."""
    scores = np.random.default_rng(1).random((n, 2))
    same = {"reference": scores, "active_reference": scores, "thresholds": certified(0.5, hate=0.8)}
    return evidence(
        **{**same, "active_thresholds": certified(0.5, hate=0.8), "certification_required": True, **changes}
    )


def check(decision: GateDecision, name: str) -> Check:
    (found,) = [check for check in decision.checks if check.name == name]
    return found


def failed(decision: GateDecision) -> set[str]:
    assert decision.promote is all(check.passed is not False for check in decision.checks)
    return {check.name for check in decision.checks if check.passed is False}
