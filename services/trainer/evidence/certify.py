"""Certified thresholds: at most a stated share of automatic decisions is wrong, at a stated confidence. Pure.

For each side (approve, and reject a label) a fixed sequence of thresholds is tested, from several starts outwards, each
until the first that lacks evidence (Angelopoulos et al. 2021, Learn then Test). The evidence holds at every moment
(`common/bundle/sequential.py`), so to look costs nothing, and what was accepted once stays accepted for the weights.

No certificate rests on one person: a threshold passes only if it does without the judgements of any one of them. So the
promise holds whatever one person said, as long as what they said did not choose the items that others judged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from secondlook.common.bundle.arrays import Bools
from secondlook.common.bundle.certificates import Certificate, CertifiedThreshold, CertifiedThresholds, side_delta
from secondlook.common.bundle.sequential import enough, evidence, fewest, risk_bound
from secondlook.common.bundle.sides import APPROVE, Side, by_side, reject
from secondlook.common.contract.policy import Risk
from secondlook.trainer.evidence.grid import limit_of
from secondlook.trainer.evidence.recent import worsened
from secondlook.trainer.evidence.sample import Outcomes, Sample, SideSample

# Where sequences of thresholds begin, as a share of a side's thresholds, and their parts of its chance of error. Most
# goes to the widest regions: they hold the most items, so that evidence for them comes first.
STARTS = ((0.2, 0.15), (0.6, 0.7), (0.85, 0.15))
MOST = max(part for _, part in STARTS)
Grids = Mapping[Side, tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEvidence:
    """What is known of a side up to a threshold: the certified one, or the one that is nearest to being certified.

    `wrong` of `n` count, copies of a right item once; `judged` counts each. `waiting` items have no judgement yet, and
    count as wrong. `missing` were gone before anybody judged them. `bound` is the smallest risk that could be certified
    there now. `share`: of what could count for the side at all, how much lies within the threshold.
    """

    side: Side
    threshold: float
    wrong: int
    n: int
    judged: int
    waiting: int
    missing: int
    declared: int
    bound: float
    share: float

    @property
    def worst(self) -> float:
        """The share that is wrong if everything was that waits, or was gone."""
        items = self.judged + self.waiting + self.missing
        return min(1.0, (self.wrong + self.missing) / items) if items else 1.0


@dataclass(frozen=True, slots=True)
class SideOff:
    """A side that decides nothing, and why, for a person to read. Without `evidence` nobody has judged any of it."""

    side: Side
    reason: str
    evidence: SideEvidence | None = None
    delta: float = 0.05  # the chance of error that it may spend

    def __str__(self) -> str:
        return f"{self.side}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Certification:
    """The thresholds, the sides that are off, and what is known of every side of which anything is."""

    thresholds: CertifiedThresholds
    off: tuple[SideOff, ...]
    evidence: tuple[SideEvidence, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why sides are off, each in words that name the side."""
        return tuple(map(str, self.off))


def certify(
    sample: Sample, grids: Grids, risk: Risk, deltas: Mapping[Side, float], marks: Mapping[Side, int] | None = None
) -> Certification:
    """Thresholds for every side that has enough evidence.

    For a model, and at all moments together, a side is certified falsely with a chance of at most its delta.

    Args:
        sample: what people judged, in the order in which they were asked.
        grids: reaches to try by side, strictest first; a side without any is off.
        deltas: by side, the chance of error that it may spend for this model.
        marks: by side, the number up to which nothing counts: an alarm has refuted it.
    """
    on, off, found = {}, [], []
    for side, delta in deltas.items():
        epsilon = risk.approve if side == APPROVE else risk.reject
        tried = Region(side, sample.of(side, (marks or {}).get(side, 0)), grids.get(side, ()), epsilon, delta)
        accepted, reason = tried.accepted
        if accepted is not None:
            labels = sample.labels if side == APPROVE else None
            on[side] = CertifiedThreshold(
                threshold=tried.threshold(accepted), certificate=tried.certificate(accepted), labels=labels
            )
        nearest, spends = tried.nearest
        known = tried.evidence(nearest if accepted is None else accepted, spends if accepted is None else MOST * delta)
        if known is not None:
            found.append(known)
        if accepted is None:
            off.append(SideOff(side, reason, known, spends))
    thresholds = CertifiedThresholds(
        approve=on.get(APPROVE), reject={side.label: each for side, each in on.items() if side.label is not None}
    )
    return Certification(thresholds, tuple(off), tuple(found))


def could_pass(sample: Sample, risk: Risk, deltas: Mapping[Side, float], marks: Mapping[Side, int]) -> bool:
    """Whether some side has as many items in reach as would certify it, were none of them wrong.

    It looks at no judgement: before that there is nothing to spend on, and a model that is replaced before spends
    nothing.
    """
    for side, delta in deltas.items():
        counted = sample.of(side, marks.get(side, 0))
        epsilon = risk.approve if side == APPROVE else risk.reject
        if int(np.sum(counted.known & (counted.keys <= limit_of(side)))) >= fewest(epsilon, MOST * delta):
            return True
    return False


def standing(sample: Sample, thresholds: CertifiedThresholds, marks: Mapping[Side, int]) -> dict[Side, str]:
    """The certified sides that lack evidence now, each with the reason: judgements that counted were corrected.

    Evidence never falls by itself. Certificates from before it was kept in this way are left as they are.
    """
    fallen = {}
    for side, on in by_side(thresholds).items():
        found = on.certificate
        if found.method != "mixture":
            continue
        counted = sample.of(side, marks.get(side, 0))
        reach = on.threshold if side.label is None else -on.threshold
        best = _best(counted.outcomes[0], counted.keys <= reach, found.epsilon)
        if best.evidence < enough(found.delta):
            fallen[side] = (
                f"judgements that it rested on were corrected: {best.k} of {best.n} wrong are not enough for a risk of "
                f"{found.epsilon:g}"
            )
    return fallen


@dataclass(frozen=True, slots=True)
class _Best:
    """The moment with the most evidence so far: k wrong of n."""

    evidence: float
    k: int
    n: int


def _best(outcomes: Outcomes, inside: Bools, epsilon: float) -> _Best:
    counted = inside & (outcomes.wrong | outcomes.right)
    wrong = np.cumsum(outcomes.wrong[counted])
    if not len(wrong):
        return _Best(0.0, 0, 0)
    found = evidence(wrong, np.arange(1, len(wrong) + 1), epsilon)
    best = int(np.argmax(found))
    return _Best(float(found[best]), int(wrong[best]), best + 1)


@dataclass(frozen=True, eq=False)
class Region:
    """A side's thresholds, tested against "more than `epsilon` is wrong"."""

    side: Side
    sample: SideSample
    grid: tuple[float, ...]
    epsilon: float
    delta: float

    @cached_property
    def plain(self) -> list[_Best]:
        """For each threshold, with all judgements."""
        return [_best(self.sample.outcomes[0], self.sample.keys <= reach, self.epsilon) for reach in self.grid]

    @cached_property
    def nearest(self) -> tuple[int | None, float]:
        """Where a sequence begins that has the largest part of the evidence that it needs, of those the widest, and the
        chance of error that it may spend: without its first threshold a sequence gets no further.
        """
        firsts = [(int(start * len(self.grid)), part * self.delta) for start, part in STARTS if self.grid]
        judged = [(i, delta) for i, delta in firsts if self.plain[i].n]
        return max(
            judged or firsts,
            key=lambda first: (self.plain[first[0]].evidence / enough(first[1]), first[0]),
            default=(None, MOST * self.delta),
        )

    def weakest(self, i: int) -> _Best:
        """The least evidence for a threshold, with all judgements or without any one person's."""
        inside = self.sample.keys <= self.grid[i]
        without = [_best(each, inside, self.epsilon) for each in self.sample.outcomes[1:]]
        return min([self.plain[i], *without], key=lambda each: each.evidence)

    @cached_property
    def passed(self) -> dict[int, float]:
        """The thresholds with enough evidence, with all judgements and without any one person's, the strictest first,
        and for each the chance of error that it took.
        """
        found: dict[int, float] = {}
        for start, part in STARTS:
            needed = enough(part * self.delta)
            for i in range(int(start * len(self.grid)), len(self.grid)):
                if self.plain[i].evidence < needed or self.weakest(i).evidence < needed:
                    break
                found[i] = max(part * self.delta, found.get(i, 0.0))
        return dict(sorted(found.items()))

    @cached_property
    def accepted(self) -> tuple[int | None, str]:
        """The widest threshold that may be used, or why none may."""
        for i in reversed(list(self.passed)):
            inside = (self.sample.keys <= self.grid[i]) & self.sample.known
            if not worsened(self.sample.outcomes[0].wrong[inside], self.epsilon):
                return i, ""
        if self.passed:
            return None, "there is enough evidence, but the newest judgements are worse than the others, or the risk"
        firsts = [(int(start * len(self.grid)), part) for start, part in STARTS if self.grid]
        if any(self.plain[i].evidence >= enough(part * self.delta) for i, part in firsts):
            return None, "there is enough evidence, but not without one person's judgements"
        return None, self._lacking

    @property
    def _lacking(self) -> str:
        if not self.grid:
            return "too little content is in its reach to choose thresholds by"
        nearest, delta = self.nearest
        known = self.evidence(nearest, delta)
        if known is None:
            return "nobody has judged an item in its reach yet"
        found = f"{known.wrong} of {known.n} wrong in its best reach"
        waiting = f", {known.waiting} of them not judged yet" if known.waiting else ""
        if known.n < (least := fewest(self.epsilon, delta)):
            return f"{found}{waiting}; a risk of {self.epsilon:g} takes {least:,} without an error"
        return f"{found}{waiting}: a risk of {known.bound:.3g} could be certified, {self.epsilon:g} is allowed"

    def threshold(self, i: int) -> float:
        """On the score."""
        return self.grid[i] if self.side.label is None else -self.grid[i]

    def certificate(self, i: int) -> Certificate:
        found, known = self.weakest(i), self.evidence(i, self.delta)
        assert known is not None  # noqa: S101
        return Certificate(
            n=found.n, k=found.k, epsilon=self.epsilon, delta=self.passed[i], method="mixture",
            upper_bound=risk_bound(found.k, found.n, self.passed[i]),
            judged=known.judged, declared=known.declared, missing=known.missing,
        )  # fmt: skip

    def evidence(self, i: int | None, delta: float) -> SideEvidence | None:
        """What is known up to a threshold that may spend `delta`; None if that is nothing."""
        if i is None:
            return None
        inside, sample = self.sample.keys <= self.grid[i], self.sample
        outcomes = sample.outcomes[0]
        wrong, n = int(np.sum(outcomes.wrong & inside)), int(np.sum((outcomes.wrong | outcomes.right) & inside))
        if not n:
            return None
        best = self.plain[i]
        return SideEvidence(
            side=self.side, threshold=self.threshold(i), wrong=wrong, n=n, judged=int(np.sum(sample.known & inside)),
            waiting=int(np.sum(sample.waiting & inside)), missing=int(np.sum(sample.gone & inside)),
            declared=int(np.sum(sample.declared & inside)),
            bound=min(risk_bound(k, n, delta) for k, n in ((best.k, best.n), (wrong, n))),
            share=float(np.mean(inside)),
        )  # fmt: skip


def deltas_of(sides: Mapping[Side, int], risk: Risk, labels: int) -> dict[Side, float]:
    """The chance of error of each side, by the number of its share."""
    return {side: side_delta(risk, labels, number) for side, number in sides.items()}


def all_sides(labels: tuple[str, ...]) -> tuple[Side, ...]:
    """Every side that there may be under a policy with these labels."""
    return (APPROVE, *map(reject, sorted(labels)))
