"""Certified thresholds: at most a stated share of automatic decisions is wrong, at a stated confidence. Pure.

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

from secondlook.common.bundle.arrays import Array, Bools, Scopes
from secondlook.common.bundle.certificates import Certificate, CertifiedThreshold, CertifiedThresholds
from secondlook.common.bundle.sides import APPROVE, Side, as_routed, in_scope, reach, reject, usable
from secondlook.common.contract.policy import Risk
from secondlook.common.text.scope import Scope

CANDIDATES = 40
# Times the fewest items that could certify at all: where the sequence of thresholds begins. It may begin anywhere from
# LEAST on; with more items one slip among the first does not end it.
LEAST, START = 1.5, 3.0
GROWTH = 2.0  # of the certify items since the last attempt; each attempt makes all later ones dearer
HALF, BELOW_HALF = 0.5, math.nextafter(0.5, 0)


@dataclass(frozen=True, slots=True)
class SideOff:
    """A side that decides nothing, and why, for a person to read."""

    side: Side
    reason: str

    def __str__(self) -> str:
        return f"{self.side}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Certification:
    """The thresholds, and the sides that are off.

    `spent`: judgements were looked at. An attempt that spent nothing does not count: its number is used again.
    """

    thresholds: CertifiedThresholds
    off: tuple[SideOff, ...]
    spent: bool

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why sides are off, each in words that name the side."""
        return tuple(map(str, self.off))


@dataclass(frozen=True, slots=True)
class _Claim:
    """That a side is wrong in at most a share `epsilon` of what it decides.

    `keys` say how far the side has to reach for each judged item, `reference` for each item of other traffic, and
    `wrong` whether it would decide the judged item wrongly. No threshold beyond `limit` is tried.
    """

    epsilon: float
    limit: float
    keys: Array
    wrong: Bools
    reference: Array


@dataclass(frozen=True, slots=True)
class _Tested:
    """The last threshold that was accepted, as a reach, or why none was."""

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
    scopes: Scopes | None = None,
) -> Certification:
    """Thresholds for every side that can be certified.

    With probability `risk.confidence`, over all sides and all attempts j = 1, 2, … together, no certified side is wrong
    more often than the risk allows: attempt j spends 1 - confidence over 2**j, in equal parts for the sides.
    No side reaches past one half, however low the risk on average: a label that is more likely present than not is
    never approved, one that is more likely absent never rejected. So no item is within reach of an approval and of a
    rejection at once, and that `sides.decisions` lets rejections go first changes no count here.

    Args:
        labels: the labels of the policy; the columns of the arrays.
        scores: [n, labels], calibrated, of a uniform sample of the traffic that the model did not learn from.
        targets: [n, labels]: 1, 0, NaN unknown. Whether an answer is unknown must not depend on the answer. A row
            counts for a label's rejection if that label is known; for approval as wrong if any label is known to be
            there, as right if all are known not to be, and else not at all, which can only overstate the risk.
        reference: [m, labels], scores of other traffic. Rows with a score that is no probability are left out,
            here and above, as the router sends them to review.
        scopes: uint8[n], whether the model was made for the text, and so which sides could decide it; for all texts,
            if not given.

    Raises:
        ValueError: shapes that do not fit, attempt < 1.
    """
    scores, reference = as_routed(scores), as_routed(reference)
    targets = np.asarray(targets, np.float64)
    scopes = np.full(len(scores), Scope.FITS, np.uint8) if scopes is None else np.asarray(scopes, np.uint8)
    if scores.shape != targets.shape or scopes.shape != scores.shape[:1]:
        raise ValueError(f"scores {scores.shape}, targets {targets.shape} and scopes {scopes.shape} do not fit")
    if {scores.shape[1:], reference.shape[1:]} != {(len(labels),)}:
        raise ValueError(f"scores {scores.shape} and reference {reference.shape} for {len(labels)} labels")
    acted_on = usable(scores)
    scores, targets, scopes = scores[acted_on], targets[acted_on], scopes[acted_on]
    reference = reference[usable(reference)]
    delta = side_delta(risk, len(labels), attempt)

    def tested(side: Side, epsilon: float, limit: float, counted: Bools, wrong: Bools) -> _Tested:
        keys, other = reach(side, labels, scores), reach(side, labels, reference)
        return _test(_Claim(epsilon, limit, keys[counted], wrong[counted], other), delta)

    known, wrong = judge_approvals(targets)
    found = {APPROVE: tested(APPROVE, risk.approve, BELOW_HALF, known & in_scope(APPROVE, scopes), wrong)}
    for column, label in enumerate(labels):
        judged = ~np.isnan(targets[:, column]) & in_scope(reject(label), scopes)
        found[reject(label)] = tested(reject(label), risk.reject, -HALF, judged, targets[:, column] == 0)
    return Certification(
        CertifiedThresholds(
            approve=found[APPROVE].accepted,
            reject={
                side.label: test.accepted.model_copy(update={"threshold": -test.accepted.threshold})
                for side, test in found.items()
                if side.label is not None and test.accepted
            },
        ),
        tuple(SideOff(side, test.reason) for side, test in found.items() if not test.accepted),
        any(test.spent for test in found.values()),
    )


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


def _test(claim: _Claim, delta: float) -> _Tested:
    least = fewest(claim.epsilon, delta)
    order = np.argsort(claim.keys)
    keys, wrong = claim.keys[order], np.concatenate([[0], np.cumsum(claim.wrong[order])])
    within = int(np.searchsorted(keys, claim.limit, side="right"))
    needed = needed_items(least, within)
    thresholds = candidates(claim.reference, needed / max(len(keys), 1), claim.limit)
    counts = np.searchsorted(keys, thresholds, side="right")
    thresholds, counts = thresholds[counts >= needed], counts[counts >= needed]
    if not len(counts):
        return _Tested(None, f"{within} certify items in reach, {needed} needed", spent=False)
    accepted = None
    for threshold, n in zip(thresholds.tolist(), counts.tolist(), strict=True):
        k = int(wrong[n])
        bound = upper_bound(k, n, delta)
        if bound > claim.epsilon:
            break
        certificate = Certificate(n=n, k=k, epsilon=claim.epsilon, delta=delta, upper_bound=bound)
        accepted = CertifiedThreshold.model_construct(threshold=threshold, certificate=certificate)
    n, most = int(counts[0]), most_wrong(int(counts[0]), claim.epsilon, delta)
    reason = f"at the strictest threshold {wrong[n]} of {n} wrong, at most {most} allowed"
    return _Tested(accepted, reason, spent=True)
