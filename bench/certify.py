"""How often certified thresholds break the stated risk, and how much they cover: `python -m bench.certify`.

Simulated deployments whose true chance of every label is known for every item, so that true risks and the best
possible ("oracle") thresholds are exact. Certify items are drawn from them with replacement, their labels by chance.
A deployment certifies again whenever its data has grown enough, each time on all of it, and counts as broken if in
any attempt any side is wrong more often than the policy allows.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from mapie.risk_control.fwer_control import control_fwer
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value
from matplotlib.figure import Figure
from scipy import stats
from scipy.special import expit, logit

from bench.report import RESULTS, report
from secondlook.common.bundle.arrays import Array
from secondlook.common.bundle.certificates import HALF, side_delta
from secondlook.common.bundle.sides import APPROVE, bare, decisions, reach, reject
from secondlook.common.contract.policy import Risk, Thresholds
from secondlook.trainer.evidence.certify import (
    candidates,
    certify,
    fewest,
    needed_items,
    worth_trying,
)

DEPLOYMENTS, SEED = 600, 1
ITEMS, REFERENCE, FIRST, LABELLED = 20_000, 10_000, 1_045, 5_000
LEVELS = (0.005, 0.01, 0.02, 0.05)
TARGETS = {"broken_share": 0.05, "coverage_vs_oracle": 0.75, "mapie_agrees": 1.0}


@dataclass(frozen=True, slots=True)
class World:
    """`scores` and true chances `truth`, both [items, labels]; labels are independent given the item."""

    labels: tuple[str, ...]
    scores: Array
    truth: Array
    risk: Risk

    @property
    def harm(self) -> Array:
        """The true chance [items] that any label applies."""
        return np.asarray(1 - np.prod(1 - self.truth, axis=1))

    def kept(self, thresholds: Thresholds) -> bool:
        """Whether no side is wrong more often than the risk allows; as the router acts, rejection goes first."""
        decided = decisions(self.labels, self.scores, thresholds)
        for column in range(len(self.labels)):
            region = decided.rejected[:, column]
            if region.any() and (self.truth[region, column] == 0).mean() > self.risk.reject:
                return False
        return not decided.approved.any() or bool(self.harm[decided.approved].mean() <= self.risk.approve)

    def coverage(self, thresholds: Thresholds) -> float:
        """Share of the items that is decided automatically."""
        return float(decisions(self.labels, self.scores, thresholds).automatic.mean())


def simulate(rng: np.random.Generator) -> World:
    """One to four labels, each of one of four score shapes, well calibrated or not; harm of 2 to 30 % in all."""
    labels = tuple("abcd"[: rng.integers(1, 5)])
    prevalence = np.exp(rng.uniform(np.log(0.02), np.log(0.3))) / len(labels)
    scores, truth = zip(*(simulate_label(rng, prevalence) for _ in labels), strict=True)
    level = LEVELS[rng.integers(len(LEVELS))]
    risk = Risk(approve=level, reject=min(3 * level, 0.1), confidence=0.95)
    as_routed = np.column_stack(scores).astype(np.float32).astype(np.float64)
    return World(labels, as_routed, np.column_stack(truth), risk)


def simulate_label(rng: np.random.Generator, prevalence: float) -> tuple[Array, Array]:
    """(scores, true chances), each [items]: a feature with a known density in each class, and a model's view of it."""
    apart = rng.uniform(2.0, 4.5)
    no, yes = (
        (stats.norm(0, 1), stats.norm(apart, 1)),
        (stats.gamma(2, 0, 0.6), stats.gamma(8, 0, 0.2 * apart)),
        (stats.t(4), stats.t(4, apart + 1)),  # the true chance falls again far out
        (stats.norm(0, 0.7), stats.norm(apart, 1.4)),
    )[rng.integers(4)]
    positive = rng.random(ITEMS) < prevalence
    feature = np.where(positive, yes.rvs(ITEMS, random_state=rng), no.rvs(ITEMS, random_state=rng))
    truth = expit(logit(prevalence) + yes.logpdf(feature) - no.logpdf(feature))
    logits = logit(prevalence) + apart * feature - apart**2 / 2
    if rng.random() < 0.5:
        logits = logits * rng.uniform(0.5, 1.5) + rng.uniform(-1, 1)  # miscalibrated
    if rng.random() < 0.3:
        truth = np.maximum(truth, rng.uniform(0, 0.004))  # harm that no score shows
    scores = expit(logits)
    return (np.round(scores, 2) if rng.random() < 0.25 else scores), truth


def boundary(keys: Array, wrong: Array, epsilon: float) -> float | None:
    """The largest key such that of all items up to it at most a share epsilon is wrong."""
    order = np.argsort(keys)
    keys, means = keys[order], np.cumsum(wrong[order]) / np.arange(1, len(keys) + 1)
    last = np.append(keys[1:] != keys[:-1], True)  # ties are decided together
    fits = np.flatnonzero(last & (means <= epsilon))
    return float(keys[fits[-1]]) if len(fits) else None


def largest(world: World, scores: Array, truth: Array, harm: Array) -> Thresholds:
    """The largest thresholds whose mean error on these items is within the risk; rejection goes first."""
    labels, risk = world.labels, world.risk
    found = [boundary(reach(reject(x), labels, scores), 1 - truth[:, i], risk.reject) for i, x in enumerate(labels)]
    rejecting = {label: -key for label, key in zip(labels, found, strict=True) if key is not None}
    left = ~decisions(labels, scores, Thresholds(reject=rejecting)).automatic
    approve = boundary(reach(APPROVE, labels, scores)[left], harm[left], risk.approve)
    return Thresholds(approve=approve, reject=rejecting)


def same_as_mapie(
    world: World, scores: Array, truth: Array, reference: Array, attempt: int, certified: Thresholds
) -> Iterator[bool]:
    """For each rejection that has enough items: whether MAPIE's Learn then Test stops within one candidate of ours."""
    epsilon, delta = world.risk.reject, side_delta(world.risk, len(world.labels), attempt)
    least = fewest(epsilon, delta)
    for column, label in enumerate(world.labels):
        needed = needed_items(least, int((scores[:, column] >= HALF).sum()))
        thresholds = -candidates(-reference[:, column], needed / len(scores), -HALF)
        regions = scores[:, column] >= thresholds[:, None]
        thresholds, regions = thresholds[regions.sum(axis=1) >= needed], regions[regions.sum(axis=1) >= needed]
        if not len(thresholds):
            continue
        n = regions.sum(axis=1)
        p_values = compute_hoeffding_bentkus_p_value(regions @ (1 - truth[:, column]) / n, n, epsilon, binary=True)
        theirs = len(control_fwer(p_values[:, 0], delta, "fixed_sequence"))
        ours = int((thresholds >= certified.reject[label]).sum()) if label in certified.reject else 0
        yield abs(ours - theirs) <= 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """One deployment: what its last attempt covers, what a single one at the end would, and what the oracle does."""

    level: float
    kept: bool
    kept_naive: bool
    attempts: int
    covered: float
    covered_once: float
    possible: float
    agrees: tuple[bool, ...]


def deploy(rng: np.random.Generator) -> Outcome:
    """Simulate one deployment from `FIRST` to `LABELLED` certify items."""
    world = simulate(rng)
    rows = rng.integers(0, ITEMS, LABELLED)
    scores = world.scores[rows]
    targets = (rng.random(scores.shape) < world.truth[rows]).astype(float)
    reference = world.scores[rng.integers(0, ITEMS, REFERENCE)]

    def attempt_at(size: int, number: int) -> tuple[Thresholds, bool]:
        done = certify(world.labels, scores[:size], targets[:size], reference, world.risk, attempt=number)
        return bare(done.thresholds), done.spent

    last, attempts, kept, certified = 0, 0, True, Thresholds()
    for size in range(FIRST, LABELLED + 1):
        if worth_trying(size, last):
            certified, spent = attempt_at(size, attempts + 1)
            kept = kept and world.kept(certified)
            attempts, last = attempts + spent, size
    naive = largest(world, scores, targets, (targets == 1).any(axis=1).astype(float))
    once = attempt_at(LABELLED, 1)[0]
    return Outcome(
        level=world.risk.approve,
        kept=kept,
        kept_naive=world.kept(naive),
        attempts=attempts,
        covered=world.coverage(certified),
        covered_once=world.coverage(once),
        possible=world.coverage(largest(world, world.scores, world.truth, world.harm)),
        agrees=tuple(same_as_mapie(world, scores, targets, reference, 1, once)),
    )


def draw(outcomes: Sequence[Outcome]) -> None:
    """The picture: a deployment a point, what it could cover and what it covers, by the risk of approval."""
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    for axes, level in zip(figure.subplots(1, len(LEVELS), sharey=True), LEVELS, strict=True):
        chosen = [o for o in outcomes if o.level == level]
        axes.plot([0, 1], [0, 1], color="lightgrey")
        axes.scatter([o.possible for o in chosen], [o.covered_once for o in chosen], s=9, label="first attempt")
        axes.scatter([o.possible for o in chosen], [o.covered for o in chosen], s=9, marker="x", label="all attempts")
        axes.set(title=f"risk {level:.1%}", xlabel="oracle coverage")
    figure.axes[0].set_ylabel(f"certified coverage, {LABELLED:,} items")
    figure.axes[0].legend()
    figure.savefig(RESULTS / "certify.png")


def main() -> None:
    started = time.perf_counter()
    rng = np.random.default_rng(SEED)
    outcomes = [deploy(rng) for _ in range(DEPLOYMENTS)]
    ratios = [o.covered / o.possible for o in outcomes if o.possible > 0]
    once = [o.covered_once / o.possible for o in outcomes if o.possible > 0]
    agrees = [agrees for o in outcomes for agrees in o.agrees]
    figures = {
        "broken_share": 1 - statistics.mean(o.kept for o in outcomes),
        "broken_share_naive": 1 - statistics.mean(o.kept_naive for o in outcomes),
        "coverage_vs_oracle": statistics.median(ratios),
        "coverage_vs_oracle_p10": float(np.quantile(ratios, 0.1)),
        "coverage_vs_oracle_one_attempt": statistics.median(once),
        "attempts": statistics.mean(o.attempts for o in outcomes),
        "mapie_agrees": statistics.mean(agrees),
        "mapie_cases": len(agrees),
    }
    for level in LEVELS:
        chosen = [o for o in outcomes if o.level == level]
        figures[f"oracle_coverage_{level}"] = statistics.mean(o.possible for o in chosen)
        figures[f"certified_coverage_{level}"] = statistics.mean(o.covered for o in chosen)
    figures["seconds"] = time.perf_counter() - started
    draw(outcomes)
    report("certify", figures, TARGETS, {"deployments": DEPLOYMENTS, "certify_items": LABELLED, "seed": SEED})


if __name__ == "__main__":
    main()
