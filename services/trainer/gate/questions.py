"""What the gate looks at, one question a function. Pure, without chance: the same arrays always give the same checks.

Losses are log losses, averaged over the labels of an item and then over items; scores are cut at `CUT` from 0 and 1.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from sklearn.metrics import average_precision_score

from secondlook.common.bundle.arrays import Array, Bools
from secondlook.common.bundle.certificates import CertifiedThreshold, CertifiedThresholds
from secondlook.common.bundle.sides import Side, as_routed, bare, by_side, decisions
from secondlook.trainer.gate.check import Check

CUT = 1e-7  # as in the metrics of a bundle


@dataclass(frozen=True, slots=True)
class Margins:
    """How much worse than the active bundle still counts as not worse. Declared here, before any challenger is seen.

    `log_loss`, of the active mean, and at least `log_loss_floor`: scores that are less sure by this cost a little more
        review and no wrong decisions. The floor is for labels so easy that a share of their loss is nothing.
    `bound_from` items: below, no bound on the difference fits inside the margin, and a deployment would never get past
        its first bundle. There the point estimate decides, as it does while the active bundle decides nothing.
    `auprc` for the mean over labels, `label_auprc` for any single one, absolute: point estimates, and wide for a
        single label because one with few positives swings by that much.
    `minimum_each`: positives and negatives that a label needs to be compared.
    `slice_log_loss`, of the slice's active mean, for slices of at least `slice_items`: wider, as a slice is small.
    `contested_items`: texts of a slice that one person contradicts everybody else in.
    `coverage`, of the active coverage, on at least `coverage_items`: this much more review buys a newer model.
    `latency`: times the active bundle's, with room for a busy machine. `parity`: more is a broken export.
    """

    confidence: float = 0.95
    log_loss: float = 0.05
    log_loss_floor: float = 0.002
    bound_from: int = 100
    auprc: float = 0.01
    label_auprc: float = 0.10
    minimum_each: int = 5
    slice_log_loss: float = 0.20
    slice_items: int = 50
    contested_items: int = 5
    coverage: float = 0.10
    coverage_items: int = 200
    latency: float = 1.5
    parity: float = 0.02

    def __post_init__(self) -> None:
        if (
            self.minimum_each < 1
            or self.coverage_items < 1
            or min(self.bound_from, self.slice_items, self.contested_items) < 2
        ):
            raise ValueError(f"too few to judge by: {self}")


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """Both bundles on the same items: `targets`[n, labels] are known only where both bundles give a probability."""

    labels: tuple[str, ...]
    targets: Array
    challenger: Array
    active: Array

    def of(self, columns: Sequence[int]) -> Self:
        """Only these labels."""
        arrays = (array[:, columns] for array in (self.targets, self.challenger, self.active))
        return type(self)(tuple(self.labels[i] for i in columns), *arrays)

    def losses(self) -> tuple[Array, Array]:
        """Of the challenger and of the active bundle, float64[n]; NaN for an item without any known target."""
        return item_losses(self.challenger, self.targets), item_losses(self.active, self.targets)


def pair(labels: tuple[str, ...], targets: NDArray[Any], challenger: NDArray[Any], active: NDArray[Any]) -> Paired:
    """Leave out what only one of the bundles can be judged by; arrays [n, labels]."""
    challenger, active = np.asarray(challenger, np.float64), np.asarray(active, np.float64)
    both = probabilities(challenger) & probabilities(active)
    return Paired(labels, np.where(both, targets, np.nan), challenger, active)


def probabilities(scores: Array) -> Bools:
    """Where scores are between 0 and 1; NaN is not."""
    return np.asarray((scores >= 0) & (scores <= 1))


def item_losses(scores: Array, targets: Array) -> Array:
    """The mean log loss float64[n] over the known labels of each item; NaN for an item with none."""
    known = ~np.isnan(targets)
    missed = np.clip(np.abs(np.where(known, scores - targets, 0)), CUT, 1 - CUT)
    counts = known.sum(axis=1)
    sums = np.where(known, -np.log1p(-missed), 0).sum(axis=1)
    means: Array = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return means


def highest_mean(values: Array, confidence: float) -> float:
    """The one-sided upper bound of the mean behind a sample of n >= 2: Student's t, or Hall's if that is higher.

    Hall (1992, On the removal of skewness by transformation) corrects t for a long right tail: a model that is seldom
    wrong, but then very sure of it, looks better by plain t than it is.
    """
    n, mean, spread = len(values), float(values.mean()), float(values.std(ddof=1))
    if spread == 0:
        return mean
    steps = float(stdtrit(n - 1, confidence))
    skew = float(np.mean(((values - mean) / spread) ** 3)) / math.sqrt(n)
    if skew > 0:
        steps = max(steps, 3 / skew * (1 - float(np.cbrt(1 - skew * (steps + skew / 6)))))
    return mean + steps * spread / math.sqrt(n)


def not_inferior(paired: Paired, margins: Margins, *, by_bound: bool) -> Check:
    """The mean log loss of the challenger is shown to exceed the active one's by less than the margin.

    Not `by_bound`, or with fewer than `bound_from` items, the point estimate decides, and the detail says so.
    """
    new, old = _judged(*paired.losses())
    n, difference = len(new), float(np.mean(new - old))
    margin = _margin(old, margins)
    figures = f"mean log loss {new.mean():.4f}, active {old.mean():.4f}"
    if by_bound and n >= margins.bound_from:
        most = highest_mean(new - old, margins.confidence)
        bound = f"difference at most {most:+.4f} ({margins.confidence:.0%})"
        return Check("gold", most <= margin, f"{figures}, {bound}, margin {margin:.4f}, {n} items")
    few = f"{n} items are too few for a bound, {margins.bound_from} are needed"
    why = few if by_bound else "the active bundle lacks labels of the policy and decides nothing"
    detail = f"{figures}, difference {difference:+.4f}, margin {margin:.4f}, {n} items; by the point estimate: {why}"
    return Check("gold", difference <= margin, detail)


def auprc(paired: Paired, margins: Margins) -> Iterator[Check]:
    """Of the mean over the labels, and of each. The labels have `minimum_each` positives and negatives."""
    pairs = {}
    for i, label in enumerate(paired.labels):
        known = ~np.isnan(paired.targets[:, i])
        y = paired.targets[known, i]
        pairs[label] = tuple(
            float(average_precision_score(y, scores[known, i])) for scores in (paired.challenger, paired.active)
        )
    mean_new, mean_old = (sum(column) / len(pairs) for column in zip(*pairs.values(), strict=True))
    detail = f"mean {mean_new:.3f}, active {mean_old:.3f}, margin {margins.auprc}, labels compared: {len(pairs)}"
    yield Check("AUPRC", mean_new >= mean_old - margins.auprc, detail)
    for label, (one, other) in pairs.items():
        detail = f"AUPRC {one:.3f}, active {other:.3f}, margin {margins.label_auprc}"
        yield Check(f"label {label}", one >= other - margins.label_auprc, detail)


def slices(paired: Paired, named: Mapping[str, NDArray[Any]], margins: Margins) -> Iterator[Check]:
    """The mean log loss in each slice is neither worse by more than its margin nor significantly worse at all.

    A slice of one class counts like any other. The level is shared by all slices that are judged (Bonferroni), so that
    many slices do not fail a challenger by chance; a slice's margin is never tighter than that of the whole.
    """
    new, old = paired.losses()
    masks = {name: np.asarray(inside, np.bool_) for name, inside in named.items()}
    parts = {name: _judged(new[inside], old[inside]) for name, inside in masks.items()}
    whole = _margin(_judged(new, old)[1], margins)
    enough = sum(len(ours) >= margins.slice_items for ours, _ in parts.values())
    for name, (ours, theirs) in parts.items():
        n = len(ours)
        if n < margins.slice_items:
            yield Check(f"slice {name}", None, f"{n} items judged, {margins.slice_items} are needed")
            continue
        difference = float(np.mean(ours - theirs))
        least = 0 - highest_mean(theirs - ours, 1 - (1 - margins.confidence) / enough)
        margin = max(margins.slice_log_loss * float(theirs.mean()), whole)
        figures = f"mean log loss {ours.mean():.4f}, active {theirs.mean():.4f}"
        detail = f"{figures}, difference {difference:+.4f} and at least {least:+.4f}, margin {margin:.4f}, {n} items"
        yield Check(f"slice {name}", difference <= margin and least <= 0, detail)


@dataclass(frozen=True, slots=True, eq=False)
class Automation:
    """What a bundle decides by itself: `scores`[m, labels] of some traffic or None, and its thresholds."""

    labels: tuple[str, ...]
    scores: NDArray[Any] | None
    thresholds: CertifiedThresholds | None

    @property
    def sides(self) -> dict[Side, CertifiedThreshold]:
        """The certified sides of these labels."""
        on = by_side(self.thresholds)
        return {side: threshold for side, threshold in on.items() if side.label is None or side.label in self.labels}

    def share(self) -> float:
        """The share of the traffic, m >= 1, that the router would decide, were all texts read to their end.

        The gate compares two bundles on the same texts, and reference scores come without what each of them read.
        """
        assert self.scores is not None  # noqa: S101
        return float(np.mean(decisions(self.labels, as_routed(self.scores), bare(self.thresholds)).automatic))


def certification(new: Automation, old: Automation, *, required: bool) -> Check:
    """The challenger decides something automatically if the active bundle does."""
    ours, theirs = (", ".join(map(str, bundle.sides)) for bundle in (new, old))
    figures = f"{ours or 'no side'} certified, active {theirs or 'none'}"
    if not required:
        return Check("certification", None, f"{figures}; not required")
    return Check("certification", bool(new.sides), figures)


def coverage(new: Automation, old: Automation, margins: Margins, *, required: bool) -> Check:
    """The share decided automatically, each bundle by its own thresholds for the same risk, does not shrink."""
    if not required:
        return Check("coverage", None, "no certified thresholds are in use")
    if new.scores is None or old.scores is None:
        return Check("coverage", None, "not both bundles scored the reference texts")
    n = len(new.scores)
    if n < margins.coverage_items:
        return Check("coverage", None, f"{n} reference texts, {margins.coverage_items} are needed")
    for side in sorted(new.sides.keys() & old.sides.keys(), key=str):
        risk, before = (bundle.sides[side].certificate.epsilon for bundle in (new, old))
        if risk != before:
            return Check("coverage", None, f"{side} is certified for a risk of {risk:.2%}, active {before:.2%}")
    share, active = new.share(), old.share()
    detail = f"{share:.1%} decided automatically, active {active:.1%}, margin {margins.coverage:.0%} of that, {n} texts"
    return Check("coverage", share >= active * (1 - margins.coverage), detail)


def latency(new: float | None, old: float | None, margins: Margins) -> Check:
    """Seconds a text; fails if the measurement is no number."""
    if new is None or old is None:
        return Check("latency", None, "not measured for both bundles")
    detail = f"{new * 1000:.1f} ms a text, active {old * 1000:.1f} ms, at most {margins.latency} times that"
    return Check("latency", new <= margins.latency * old, detail)


def parity(difference: float | None, margins: Margins) -> Check:
    """The stored artefact scores as the fitted model does; fails if a score is no number."""
    if difference is None:
        return Check("parity", None, "the stored artefact was not compared with the fitted model")
    detail = f"the stored artefact differs from the fitted model by at most {difference:.4f}, margin {margins.parity}"
    return Check("parity", difference <= margins.parity, detail)


def _judged(new: Array, old: Array) -> tuple[Array, Array]:
    known = ~np.isnan(new)
    return new[known], old[known]


def _margin(active: Array, margins: Margins) -> float:
    return max(margins.log_loss * float(active.mean()), margins.log_loss_floor)
