"""How many reviews it takes until most of what could be decided automatically is: a part of `bench.certify`.

One model from the start. People judge all that no side decides, and of the rest what the coin draws, at the product's
rate; the evidence is looked at as often as the trainer does. Reviews are counted until the sides that are on decide 80
% of what the oracle's would.
"""

import gzip
import json
import statistics
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
from scipy.special import expit
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression

from bench.certify_worlds import ITEMS, World, oracle, simulate
from bench.report import DATA
from secondlook.common.bundle.arrays import Bools
from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.sides import bare, decisions, widest
from secondlook.common.contract.policy import LabelPolicy, Policy, Risk
from secondlook.router.coin.rates import audit_rates
from secondlook.trainer.evidence.certify import all_sides, certify, deltas_of
from secondlook.trainer.evidence.grid import grid
from secondlook.trainer.evidence.sample import plain_sample
from secondlook.trainer.schedule import LOOK_AFTER, LOOK_GROWTH

WORLDS, MOST, ENOUGH, FITTED = 100, 40_000, 0.8, 8_000


def reviews_to(seed: int, pool: Executor) -> dict[str, float]:
    """The medians, over simulated deployments at 1 % and 3 %, and over orders of real posts at 5 % and 3 %."""
    found = list(pool.map(_simulated, [(seed, number) for number in range(WORLDS)]))
    davidsons = list(pool.map(_real, [(seed, number) for number in range(WORLDS // 10)]))
    return {
        "reviews_to_80_median": statistics.median(found),
        "not_reached": statistics.mean(each == float("inf") for each in found),
        "reviews_to_80_davidson": statistics.median(davidsons),
    }


def _simulated(numbers: tuple[int, int]) -> float:
    rng = np.random.default_rng(numbers)
    while True:
        risk = Risk(approve=0.01, reject=0.03)
        world = simulate(rng, labels=1, risk=risk, miscalibrated=0, hidden=0, ties=0)
        if world.coverage(oracle(world)) > 0.5:
            return reviews(world, rng)


def _real(numbers: tuple[int, int]) -> float:
    rng = np.random.default_rng(numbers)
    return reviews(davidson(rng), rng)


def reviews(world: World, rng: np.random.Generator) -> float:
    """Reviews until the certified sides decide enough; infinite if `MOST` items do not get there."""
    sides, policy = all_sides(world.labels), _policy(world)
    grids = {side: grid(side, world.labels, world.scores[rng.integers(0, ITEMS, 2_000) % len(world.scores)])
             for side in sides}  # fmt: skip
    deltas = deltas_of(dict.fromkeys(sides, 1), world.risk, len(world.labels))
    wanted = ENOUGH * world.coverage(oracle(world))
    rows = rng.integers(0, len(world.scores), MOST)
    targets = (rng.random((MOST, len(world.labels))) < world.truth[rows]).astype(float)
    u, judged, seen = rng.random(MOST), np.ones((MOST, 2)), np.zeros(MOST, np.bool_)
    on, asked, looked_at = CertifiedThresholds(), 0, 0
    for i in range(MOST):
        decided: Bools = decisions(world.labels, world.scores[rows[i : i + 1]], bare(on)).automatic
        rates = audit_rates(policy, i)
        judged[i] = rates.approve if on.approve else 1.0, rates.reject if on.reject else 1.0
        seen[i] = not decided[0] or u[i] < max(rates)
        asked += int(seen[i])
        if asked - looked_at < max(LOOK_AFTER, LOOK_GROWTH * asked):
            continue
        looked_at, kept = asked, np.flatnonzero(seen[: i + 1])
        sample = plain_sample(
            world.labels, world.scores[rows[kept]], targets[kept], u=u[kept], approve=judged[kept, 0],
            reject=judged[kept, 1], numbers=kept + 1,
        )  # fmt: skip
        on = widest(on, certify(sample, grids, world.risk, deltas).thresholds)
        if world.coverage(bare(on)) >= wanted:
            return asked
    return float("inf")


def _policy(world: World) -> Policy:
    labels = {label: LabelPolicy(description=label) for label in world.labels}
    return Policy(name="reviews", labels=labels, risk=world.risk)


def davidson(rng: np.random.Generator) -> World:
    """Posts that a model of `FITTED` others scores; the truth is what most people said of them."""
    with gzip.open(DATA / "davidson.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    order = rng.permutation(len(rows))
    texts = [rows[i]["text"] for i in order]
    said = np.array([float(rows[i]["labels"]["offensive"]) for i in order])
    features = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=2**18).transform(texts)
    model = LogisticRegression(C=10, max_iter=200).fit(features[:FITTED], said[:FITTED])
    scores = expit(model.decision_function(features[FITTED:]))[:, None].astype(np.float32).astype(np.float64)
    return replace(
        World(("offensive",), scores, said[FITTED:, None], Risk(approve=0.05, reject=0.03))
    )  # fmt: skip
