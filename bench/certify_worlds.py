"""The simulated deployments of `bench.certify`: traffic whose true chance of every label is known for every item."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats
from scipy.special import expit, logit

from secondlook.common.bundle.arrays import Array, Bools
from secondlook.common.bundle.sides import APPROVE, decisions, reach, reject
from secondlook.common.contract.policy import Risk, Thresholds
from secondlook.trainer.evidence.sample import Sample, plain_sample

ITEMS = 20_000
LEVELS = (0.005, 0.01, 0.02, 0.05)
LARGEST_CLUSTER = 50


@dataclass(frozen=True, slots=True)
class World:
    """`scores` and true chances `truth`, both [items, labels]; labels are independent given the item.

    `stands_for`[items]: how many copies of each item come.
    """

    labels: tuple[str, ...]
    scores: Array
    truth: Array
    risk: Risk
    stands_for: Array | None = None

    @property
    def weights(self) -> Array:
        return np.ones(len(self.scores)) if self.stands_for is None else self.stands_for

    @property
    def harm(self) -> Array:
        """The true chance [items] that any label applies."""
        return np.asarray(1 - np.prod(1 - self.truth, axis=1))

    def kept(self, thresholds: Thresholds) -> bool:
        """Whether no side is wrong more often than the risk allows; as the router acts, rejection goes first."""
        decided, weights = decisions(self.labels, self.scores, thresholds), self.weights
        for column in range(len(self.labels)):
            region = decided.rejected[:, column]
            wrong = 1 - self.truth[region, column]
            if region.any() and np.average(wrong, weights=weights[region]) > self.risk.reject:
                return False
        region = decided.approved
        return not region.any() or bool(np.average(self.harm[region], weights=weights[region]) <= self.risk.approve)

    def coverage(self, thresholds: Thresholds) -> float:
        """Share of the items that is decided automatically."""
        return float(np.average(decisions(self.labels, self.scores, thresholds).automatic, weights=self.weights))


def boundary(keys: Array, wrong: Array, epsilon: float) -> float | None:
    """The largest key such that of all items up to it at most a share epsilon is wrong."""
    order = np.argsort(keys)
    keys, means = keys[order], np.cumsum(wrong[order]) / np.arange(1, len(keys) + 1)
    last = np.append(keys[1:] != keys[:-1], True)  # ties are decided together
    fits = np.flatnonzero(last & (means <= epsilon))
    return float(keys[fits[-1]]) if len(fits) else None


def oracle(world: World) -> Thresholds:
    """The largest thresholds whose true error is within the risk; rejection goes first."""
    labels, risk = world.labels, world.risk
    found = [
        boundary(reach(reject(x), labels, world.scores), 1 - world.truth[:, i], risk.reject)
        for i, x in enumerate(labels)
    ]
    rejecting = {label: -key for label, key in zip(labels, found, strict=True) if key is not None}
    left = ~decisions(labels, world.scores, Thresholds(reject=rejecting)).automatic
    approve = boundary(reach(APPROVE, labels, world.scores)[left], world.harm[left], risk.approve)
    return Thresholds(approve=approve, reject=rejecting)


def simulate(
    rng: np.random.Generator,
    *,
    labels: int | None = None,
    risk: Risk | None = None,
    prevalence: tuple[float, float] = (0.02, 0.3),
    shapes: tuple[int, ...] = (0, 1, 2, 3),
    miscalibrated: float = 0.5,
    hidden: float = 0.3,
    ties: float = 0.25,
) -> World:
    """One to four labels, each of one of four score shapes; the shares of them that are off in some way."""
    names = tuple("abcd"[: labels or rng.integers(1, 5)])
    low, high = prevalence
    common = np.exp(rng.uniform(np.log(low), np.log(high))) / len(names)
    each = [_label(rng, common, shapes, miscalibrated, hidden, ties) for _ in names]
    scores, truth = zip(*each, strict=True)
    level = LEVELS[rng.integers(len(LEVELS))]
    as_routed = np.column_stack(scores).astype(np.float32).astype(np.float64)
    risk = risk or Risk(approve=level, reject=min(3 * level, 0.1), confidence=0.95)
    return World(names, as_routed, np.column_stack(truth), risk)


def _label(
    rng: np.random.Generator, common: float, shapes: tuple[int, ...], miscalibrated: float, hidden: float, ties: float
) -> tuple[Array, Array]:
    """(scores, true chances), each [items]: a feature with a known density in each class, and a model's view of it."""
    apart = rng.uniform(2.0, 4.5)
    no, yes = (
        (stats.norm(0, 1), stats.norm(apart, 1)),
        (stats.gamma(2, 0, 0.6), stats.gamma(8, 0, 0.2 * apart)),
        (stats.t(4), stats.t(4, apart + 1)),  # the true chance falls again far out
        (stats.norm(0, 0.7), stats.norm(apart, 1.4)),
    )[shapes[rng.integers(len(shapes))]]
    positive = rng.random(ITEMS) < common
    feature = np.where(positive, yes.rvs(ITEMS, random_state=rng), no.rvs(ITEMS, random_state=rng))
    truth = expit(logit(common) + yes.logpdf(feature) - no.logpdf(feature))
    logits = logit(common) + apart * feature - apart**2 / 2
    if rng.random() < miscalibrated:
        logits = logits * rng.uniform(0.5, 1.5) + rng.uniform(-1, 1)
    if rng.random() < hidden:
        truth = np.maximum(truth, rng.uniform(0, 0.004))  # harm that no score shows
    scores = expit(logits)
    return (np.round(scores, 2) if rng.random() < ties else scores), truth


@dataclass(frozen=True, slots=True)
class Stream:
    """A world, and what people said of a sample of it, in order. `later`: the world that decisions will be about."""

    world: World
    sample: Sample
    later: World


def draw(rng: np.random.Generator, world: World, n: int) -> Stream:
    """n items with replacement, judged by chance."""
    rows = rng.integers(0, ITEMS, n)
    targets = (rng.random((n, len(world.labels))) < world.truth[rows]).astype(float)
    return Stream(world, plain_sample(world.labels, world.scores[rows], targets), world)


def calibrated(rng: np.random.Generator, n: int) -> Stream:
    return draw(rng, simulate(rng, miscalibrated=0, hidden=0, ties=0), n)


def miscalibrated(rng: np.random.Generator, n: int) -> Stream:
    return draw(rng, simulate(rng, miscalibrated=1), n)


def non_monotone(rng: np.random.Generator, n: int) -> Stream:
    return draw(rng, simulate(rng, shapes=(2,), hidden=1), n)


def ties(rng: np.random.Generator, n: int) -> Stream:
    world = simulate(rng, ties=0)
    return draw(rng, replace(world, scores=np.round(world.scores, 1)), n)


def rare(rng: np.random.Generator, n: int) -> Stream:
    """Prevalence of 0.1 to 1 %."""
    return draw(rng, simulate(rng, prevalence=(0.001, 0.01)), n)


def noisy(rng: np.random.Generator, n: int) -> Stream:
    """People err in 0.2 to 3 % of their answers; a decision is wrong if a person says so."""
    world, noise = simulate(rng), rng.uniform(0.002, 0.03)
    return draw(rng, replace(world, truth=world.truth * (1 - noise) + (1 - world.truth) * noise), n)


def clustered(rng: np.random.Generator, n: int) -> Stream:
    """Copies of an item come together and are judged alike; a few come fifty times."""
    world = simulate(rng)
    sizes = np.minimum(rng.geometric(0.4, ITEMS) ** rng.uniform(1, 3), LARGEST_CLUSTER).astype(int)
    world = replace(world, stands_for=sizes.astype(float))
    rows = rng.integers(0, ITEMS, n)
    rows = rows[: int(np.searchsorted(np.cumsum(sizes[rows]), n)) + 1]
    targets = (rng.random((len(rows), len(world.labels))) < world.truth[rows]).astype(float)
    each = np.repeat(np.arange(len(rows)), sizes[rows])[:n]
    clusters = tuple((int(number).to_bytes(8),) for number in each)
    return Stream(world, plain_sample(world.labels, world.scores[rows][each], targets[each], clusters=clusters), world)


def overloaded(rng: np.random.Generator, n: int) -> Stream:
    """The queue is behind with the newest third, and what is harmful waits longest."""
    stream = draw(rng, simulate(rng), n)
    harmful = (stream.sample.targets == 1).any(axis=1)
    slow: Bools = (np.arange(n) > rng.uniform(0.5, 0.9) * n) & (rng.random(n) < np.where(harmful, 0.8, 0.2))
    targets = np.where(slow[:, None], np.nan, stream.sample.targets)
    return replace(stream, sample=replace(stream.sample, targets=targets, waiting=slow))


def audited(rng: np.random.Generator, n: int) -> Stream:
    """Half-way another model went into use, so that people judged a part of what it decided: coins decide which."""
    world = simulate(rng)
    stream, u = draw(rng, world, n), rng.random(n)
    share = np.where(np.arange(n) < n // 2, 1.0, rng.uniform(0.05, 0.4))
    reached = reach(APPROVE, world.labels, stream.sample.scores) <= 0.3
    seen: Bools = ~reached | (u < share)
    kept = np.flatnonzero(seen)
    sample = stream.sample
    shown = replace(
        sample, scores=sample.scores[kept], targets=sample.targets[kept], scopes=sample.scopes[kept],
        waiting=sample.waiting[kept], gone=sample.gone[kept], u=u[kept], approve=share[kept], reject=share[kept],
        automatable=sample.automatable[kept], numbers=sample.numbers[kept], declared=sample.declared[kept],
        clusters=tuple(sample.clusters[i] for i in kept),
    )  # fmt: skip
    return replace(stream, sample=shown)


def drifting(rng: np.random.Generator, n: int) -> Stream:
    """Errors rise in the newest tenth, to 1.5 to 4 times what they were."""
    world = simulate(rng)
    worse = np.clip(world.truth * rng.uniform(1.5, 4), 0, 1)
    before, after = draw(rng, world, n - n // 10), draw(rng, replace(world, truth=worse), n // 10)
    joined = plain_sample(
        world.labels, np.vstack([before.sample.scores, after.sample.scores]),
        np.vstack([before.sample.targets, after.sample.targets]),
    )  # fmt: skip
    return Stream(world, joined, after.world)


KINDS: dict[str, Callable[[np.random.Generator, int], Stream]] = {
    "calibrated": calibrated,
    "miscalibrated": miscalibrated,
    "non_monotone": non_monotone,
    "ties": ties,
    "rare": rare,
    "noisy": noisy,
    "clusters": clustered,
    "overload": overloaded,
    "audited": audited,
    "drift": drifting,
}
