"""Certified thresholds: of what is decided automatically at most a stated share is wrong, at a stated confidence. Pure.

Each side (approve, and reject a label) tests a fixed sequence of thresholds, strictest first, by exact binomial bounds
(Clopper and Pearson 1934) and stops at the first that fails (Angelopoulos et al. 2021, Learn then Test). The sequence
is fixed by scores without judgements. The items judged must be a uniform sample of the traffic.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainccinv

from secondlook.common.bundle.manifest import Certificate, CertifiedThreshold, CertifiedThresholds
from secondlook.common.contract.policy import Risk

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
CANDIDATES = 40
# Times the fewest items that could certify at all: where the sequence of thresholds begins. It may begin anywhere from
# LEAST on; with more items one slip among the first does not end it.
LEAST, START = 1.5, 3.0
GROWTH = 2.0  # of the certify items since the last attempt; each attempt makes all later ones dearer
HALF, BELOW_HALF = 0.5, math.nextafter(0.5, 0)


@dataclass(frozen=True, slots=True)
class Certification:
    """The thresholds, and for each side that is off the reason, for a person to read.

    `spent`: judgements were looked at. An attempt that spent nothing does not count: its number is used again.
    """

    thresholds: CertifiedThresholds
    reasons: tuple[str, ...]
    spent: bool


@dataclass(frozen=True, slots=True)
class _Side:
    """`keys` of judged items, `wrong` if decided automatically, `reference` keys. A region is key <= threshold."""

    name: str
    epsilon: float
    limit: float
    keys: Array
    wrong: Bools
    reference: Array


@dataclass(frozen=True, slots=True)
class _Tested:
    """The last threshold that was accepted, as a key, or why none was."""

    accepted: CertifiedThreshold | None
    reason: str
    spent: bool


def certify(
    labels: Sequence[str],
    scores: NDArray[Any],
    targets: NDArray[Any],
    reference: NDArray[Any],
    risk: Risk,
    *,
    attempt: int,
    whole: Bools | None = None,
) -> Certification:
    """Thresholds for every side that can be certified.

    With probability `risk.confidence`, over all sides and all attempts j = 1, 2, … together, no certified side is wrong
    more often than the risk allows: attempt j spends 1 - confidence over 2**j, in equal parts for the sides.
    No side reaches past one half, however low the risk on average: what is more likely there is never approved, what is
    more likely not there never rejected.

    Args:
        labels: the labels of the policy; the columns of the arrays.
        scores: [n, labels], calibrated, of a uniform sample of the traffic that the model did not learn from.
        targets: [n, labels]: 1, 0, NaN unknown. What is unknown must not depend on what it would have been. A row
            counts for a label's rejection if that label is known; for approval as wrong if any label is known to be
            there, as right if all are known not to be, and else not at all, which can only overstate the risk.
        reference: [m, labels], scores of other traffic. Rows with a score that is no probability are left out,
            here and above, as the router sends them to review.
        whole: [n], the model read the text to its end; only such texts are approved. All, if not given.

    Raises:
        ValueError: shapes that do not fit, attempt < 1.
    """
    scores, reference = _as_routed(scores), _as_routed(reference)
    targets = np.asarray(targets, np.float64)
    whole = np.ones(len(scores), np.bool_) if whole is None else np.asarray(whole, np.bool_)
    if scores.shape != targets.shape or whole.shape != scores.shape[:1]:
        raise ValueError(f"scores {scores.shape}, targets {targets.shape} and whole {whole.shape} do not fit")
    if {scores.shape[1:], reference.shape[1:]} != {(len(labels),)}:
        raise ValueError(f"scores {scores.shape} and reference {reference.shape} for {len(labels)} labels")
    usable = _usable(scores)
    scores, targets, whole = scores[usable], targets[usable], whole[usable]
    reference = reference[_usable(reference)]
    delta = side_delta(risk, len(labels), attempt)

    tested = {}
    for column, label in enumerate(labels):
        known = ~np.isnan(targets[:, column])
        keys, wrong = -scores[known, column], targets[known, column] == 0
        tested[label] = _test(_Side(f"reject {label}", risk.reject, -HALF, keys, wrong, -reference[:, column]), delta)
    reject = {
        label: side.accepted.model_copy(update={"threshold": -side.accepted.threshold})
        for label, side in tested.items()
        if side.accepted
    }
    known, wrong = judge_approvals(targets)
    counted = known & whole
    keys, highest = scores[counted].max(axis=1, initial=0.0), reference.max(axis=1, initial=0.0)
    side = _test(_Side("approve", risk.approve, BELOW_HALF, keys, wrong[counted], highest), delta)
    reasons = [side.reason, *(tested[label].reason for label in labels)]
    approve = side.accepted
    spent = side.spent or any(side.spent for side in tested.values())
    return Certification(CertifiedThresholds(approve=approve, reject=reject), tuple(filter(None, reasons)), spent)


def judge_approvals(targets: Array) -> tuple[Bools, Bools]:
    """(whether it is known, whether it is wrong) bool[n] to approve items of targets[n, labels] (1, 0, NaN unknown)."""
    wrong = (targets == 1).any(axis=1)
    return wrong | ~np.isnan(targets).any(axis=1), wrong


def side_delta(risk: Risk, labels: int, attempt: int) -> float:
    """The chance of error that one side may spend in an attempt, the first being 1; ValueError below that."""
    if attempt < 1:
        raise ValueError(f"attempt {attempt}: the first is 1")
    return (1 - risk.confidence) / (1 + labels) / 2.0**attempt


def worth_trying(n_now: int, n_last: int) -> bool:
    """Whether there are twice the certify items of the last attempt, or a first one can be made."""
    return n_now > 0 and n_now >= GROWTH * n_last


def fewest(epsilon: float, delta: float) -> int:
    """The fewest items that certify `epsilon` when none of them is wrong."""
    return math.ceil(math.log(delta) / math.log1p(-epsilon))


def needed_items(least: int, within: int) -> int:
    """Where a sequence begins, if `least` could certify at all and `within` items are in reach of any threshold."""
    return max(math.ceil(LEAST * least), min(math.ceil(START * least), within // 2))


def upper_bound(k: int, n: int, delta: float) -> float:
    """The exact one-sided upper bound of a share, at confidence 1 - delta, from `k` of `n`; 1 for n = 0."""
    return float(betainccinv(k + 1, n - k, delta)) if k < n else 1.0


def most_wrong(n: int, epsilon: float, delta: float) -> int:
    """The most that may be wrong among `n` items that certify `epsilon`; -1 if even none is too many."""
    bounds = betainccinv(np.arange(n) + 1, n - np.arange(n), delta)
    return int(np.searchsorted(bounds, epsilon, side="right")) - 1


def candidates(reference: Array, first: float, limit: float) -> Array:
    """Thresholds to try, strictest first: values of reference[m], from covering a share `first` of it up to `limit`."""
    last = float(np.mean(reference <= limit)) if len(reference) else 0.0
    if last < first or last == 0:
        return np.empty(0)
    shares = np.linspace(first, last, CANDIDATES)
    ranks = np.ceil(shares * len(reference)).astype(int) - 1
    found = np.unique(np.sort(reference)[np.clip(ranks, 0, len(reference) - 1)])
    return found[found <= limit]


def _as_routed(scores: NDArray[Any]) -> Array:
    """In the precision of the classifier, as the router compares them."""
    return np.asarray(scores, np.float32).astype(np.float64)


def _usable(scores: Array) -> Bools:
    return np.asarray(((scores >= 0) & (scores <= 1)).all(axis=1))


def _test(side: _Side, delta: float) -> _Tested:
    least = fewest(side.epsilon, delta)
    order = np.argsort(side.keys)
    keys, wrong = side.keys[order], np.concatenate([[0], np.cumsum(side.wrong[order])])
    within = int(np.searchsorted(keys, side.limit, side="right"))
    needed = needed_items(least, within)
    thresholds = candidates(side.reference, needed / max(len(keys), 1), side.limit)
    reach = np.searchsorted(keys, thresholds, side="right")
    thresholds, reach = thresholds[reach >= needed], reach[reach >= needed]
    if not len(reach):
        return _Tested(None, f"{side.name}: {within} certify items in reach, {needed} needed", spent=False)
    accepted = None
    for threshold, n in zip(thresholds.tolist(), reach.tolist(), strict=True):
        k = int(wrong[n])
        bound = upper_bound(k, n, delta)
        if bound > side.epsilon:
            break
        certificate = Certificate(n=n, k=k, epsilon=side.epsilon, delta=delta, upper_bound=bound)
        accepted = CertifiedThreshold.model_construct(threshold=threshold, certificate=certificate)
    n, most = int(reach[0]), most_wrong(int(reach[0]), side.epsilon, delta)
    reason = f"{side.name}: at the strictest threshold {wrong[n]} of {n} wrong, at most {most} allowed"
    return _Tested(accepted, "" if accepted else reason, spent=True)
