"""Certified thresholds: at most a stated share of automatic decisions is wrong, at a stated confidence. Pure.

Each side (approve, and reject a label) tests a fixed sequence of thresholds, strictest first, by exact binomial bounds
(Clopper and Pearson 1934) and stops at the first that fails (Angelopoulos et al. 2021, Learn then Test). The sequence
is fixed by scores without judgements. The items judged must be a uniform sample of the traffic.

No certificate rests on one person: a threshold passes only if it does without the judgements of any one of them. So the
promise holds whatever one person said, as long as what they said did not choose the items that others judged.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainccinv

from secondlook.common.bundle.arrays import Array, Bools, Scopes
from secondlook.common.bundle.certificates import (
    BELOW_HALF,
    HALF,
    Certificate,
    CertifiedThreshold,
    CertifiedThresholds,
    side_delta,
    upper_bound,
)
from secondlook.common.bundle.sides import APPROVE, Side, as_routed, in_scope, reach, reject, usable
from secondlook.common.contract.policy import Risk
from secondlook.common.text.scope import Scope

CANDIDATES = 40
# Times the fewest items that could certify at all: where the sequence of thresholds begins. It may begin anywhere from
# LEAST on; with more items one slip among the first does not end it.
LEAST, START = 1.5, 3.0
GROWTH = 2.0  # of the certify items since the last attempt; each attempt makes all later ones dearer


@dataclass(frozen=True, slots=True)
class Strictest:
    """What the strictest threshold of a side decided: `k` of `n` wrong."""

    k: int
    n: int


@dataclass(frozen=True, slots=True)
class SideOff:
    """A side that decides nothing, and why, for a person to read.

    `within` certify items are in reach of some threshold, `needed` is how many the first one takes. `tested` is None
    where there were too few to test any.
    """

    side: Side
    reason: str
    within: int = 0
    needed: int = 0
    tested: Strictest | None = None

    def __str__(self) -> str:
        return f"{self.side}: {self.reason}"


@dataclass(frozen=True, slots=True, eq=False)
class Witnesses:
    """`sole` int[n, labels]: the person on whose word alone a target rests, negative for nobody's. `others`
    [n, labels]: the target without that person, NaN where nobody else judged it.
    """

    sole: NDArray[np.int64]
    others: NDArray[Any]

    def versions(self, targets: Array) -> list[Array]:
        """The targets, and the targets without each person's judgements. One person alone is not left out."""
        people = np.unique(self.sole[self.sole >= 0]).tolist()
        judged = ~np.isnan(targets)
        if len(people) == 1 and np.all(self.sole[judged] >= 0) and np.isnan(self.others[judged]).all():
            return [targets]
        return [targets, *(np.where(self.sole == person, self.others, targets) for person in people)]


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

    `samples`: the judged items, once with all judgements and once without each person's. `reference` says how far the
    side has to reach for each item of other traffic. No threshold beyond `limit` is tried.
    """

    epsilon: float
    limit: float
    samples: tuple["_Sample", ...]
    reference: Array


@dataclass(frozen=True, slots=True)
class _Sample:
    """`keys`, ascending, say how far the side has to reach for each judged item; `wrong[i]` counts the items among the
    first i that it would decide wrongly."""

    keys: Array
    wrong: NDArray[np.int64]

    @classmethod
    def of(cls, keys: Array, wrong: Bools) -> "_Sample":
        order = np.argsort(keys)
        return cls(keys[order], np.concatenate([[0], np.cumsum(wrong[order])]))

    def reached(self, thresholds: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(items, wrong ones among them) that the side decides at each threshold."""
        n = np.searchsorted(self.keys, thresholds, side="right")
        return n, self.wrong[n]


@dataclass(frozen=True, slots=True)
class _Tested:
    """The last threshold that was accepted, as a reach, or why none was."""

    accepted: CertifiedThreshold | None
    reason: str
    within: int
    needed: int
    strictest: Strictest | None = None

    @property
    def spent(self) -> bool:
        return self.strictest is not None


def certify(
    labels: Sequence[str],
    scores: NDArray[Any],
    targets: NDArray[Any],
    reference: NDArray[Any],
    risk: Risk,
    *,
    attempt: int,
    scopes: Scopes | None = None,
    people: Witnesses | None = None,
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
        people: on whose word alone the targets rest. Not given, or one person's alone: the certificates rest on them.

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
    reference = reference[usable(reference)]
    delta = side_delta(risk, len(labels), attempt)
    versions = [each[acted_on] for each in ([targets] if people is None else people.versions(targets))]
    scores, scopes = scores[acted_on], scopes[acted_on]

    def tested(side: Side, epsilon: float, limit: float) -> _Tested:
        keys, other = reach(side, labels, scores), reach(side, labels, reference)
        samples = []
        for version in versions:
            counted, wrong = _decided(side, labels, version, scopes)
            samples.append(_Sample.of(keys[counted], wrong[counted]))
        return _test(_Claim(epsilon, limit, tuple(samples), other), delta)

    found = {APPROVE: tested(APPROVE, risk.approve, BELOW_HALF)}
    for label in labels:
        found[reject(label)] = tested(reject(label), risk.reject, -HALF)
    approve = found[APPROVE].accepted
    return Certification(
        CertifiedThresholds(
            approve=approve and approve.model_copy(update={"labels": tuple(labels)}),
            reject={
                side.label: test.accepted.model_copy(update={"threshold": -test.accepted.threshold})
                for side, test in found.items()
                if side.label is not None and test.accepted
            },
        ),
        tuple(
            SideOff(side, test.reason, test.within, test.needed, test.strictest)
            for side, test in found.items()
            if not test.accepted
        ),
        any(test.spent for test in found.values()),
    )


def _decided(side: Side, labels: Sequence[str], targets: Array, scopes: Scopes) -> tuple[Bools, Bools]:
    """(whether it counts, whether it is wrong) bool[n] if the side decides each item of targets[n, labels]."""
    if side.label is None:
        known, wrong = judge_approvals(targets)
        return known & in_scope(side, scopes), wrong
    answers = targets[:, labels.index(side.label)]
    return ~np.isnan(answers) & in_scope(side, scopes), answers == 0


def judge_approvals(targets: Array) -> tuple[Bools, Bools]:
    """(whether it is known, whether it is wrong) bool[n] to approve items of targets[n, labels] (1, 0, NaN unknown)."""
    wrong = (targets == 1).any(axis=1)
    return wrong | ~np.isnan(targets).any(axis=1), wrong


def worth_trying(n_now: int, n_last: int) -> bool:
    """Whether there are twice the certify items of the last attempt, or a first one can be made."""
    return n_now > 0 and n_now >= GROWTH * n_last


def fewest(epsilon: float, delta: float) -> int:
    """The fewest items that certify `epsilon` when none of them is wrong."""
    return math.ceil(math.log(delta) / math.log1p(-epsilon))


def needed_items(least: int, within: int) -> int:
    """Where a sequence begins, if `least` could certify at all and `within` items are in reach of any threshold."""
    return max(math.ceil(LEAST * least), min(math.ceil(START * least), within // 2))


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
    reached = [int(np.searchsorted(sample.keys, claim.limit, side="right")) for sample in claim.samples]
    within, all_within = min(reached), reached[0]
    needed = needed_items(least, within)
    judged = min(len(sample.keys) for sample in claim.samples)
    thresholds = candidates(claim.reference, needed / max(judged, 1), claim.limit)
    counted = [sample.reached(thresholds) for sample in claim.samples]
    enough = np.min([n for n, _ in counted], axis=0) >= needed if len(thresholds) else np.zeros(0, np.bool_)
    if not enough.any():
        alone = f" without one person's judgements, {all_within} with all" if within < all_within else ""
        return _Tested(None, f"{within} certify items in reach{alone}, {needed} needed", within, needed)
    accepted, strictest, reason = None, None, ""
    for i in np.flatnonzero(enough).tolist():
        bound, n, k = max((upper_bound(int(k[i]), int(n[i]), delta), int(n[i]), int(k[i])) for n, k in counted)
        if strictest is None:
            strictest, most = Strictest(k, n), most_wrong(n, claim.epsilon, delta)
            reason = f"at the strictest threshold {k} of {n} wrong, at most {most} allowed"
        if bound > claim.epsilon:
            break
        certificate = Certificate(n=n, k=k, epsilon=claim.epsilon, delta=delta, upper_bound=bound)
        accepted = CertifiedThreshold.model_construct(threshold=float(thresholds[i]), certificate=certificate)
    return _Tested(accepted, reason, within, needed, strictest)
