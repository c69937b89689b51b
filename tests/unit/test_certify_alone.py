"""No certificate rests on one person."""

import numpy as np
import pytest
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Array
from secondlook.common.bundle.sides import as_routed
from secondlook.common.contract.policy import Risk
from secondlook.trainer.evidence.certify import Certification, all_sides, certify, deltas_of
from secondlook.trainer.evidence.grid import grid
from secondlook.trainer.evidence.sample import Witnesses, plain_sample

RISK = Risk(approve=0.05, reject=0.05, confidence=0.9)
N = 3_000


def traffic(seed: int) -> tuple[Array, Array, NDArray[np.int64]]:
    """Scores, truths, and who of eight people judged each item."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(0.3, 0.6, (N, 1))
    return scores, (rng.random((N, 1)) < scores).astype(float), rng.integers(0, 8, (N, 1))


def certified(scores: Array, targets: Array, people: Witnesses | None) -> Certification:
    sides = all_sides(("spam",))
    grids = {side: grid(side, ("spam",), scores) for side in sides}
    deltas = deltas_of(dict.fromkeys(sides, 1), RISK, 1)
    return certify(plain_sample(("spam",), scores, targets, people=people), grids, RISK, deltas)


def alone(sole: NDArray[np.int64]) -> Witnesses:
    return Witnesses(sole, np.full(sole.shape, np.nan))


def errors(found: Certification, scores: Array, truth: Array) -> float:
    """The share of wrong approvals, 0 if nothing is approved."""
    approve = found.thresholds.approve
    inside = scores[:, 0] <= (approve.threshold if approve else -1)
    return float(truth[inside, 0].mean()) if inside.any() else 0.0


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_whatever_one_person_says_the_promise_holds(share: float) -> None:
    """One person does this share of the work and approves everything; nobody else lies."""
    broken = {True: 0, False: 0}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        # A model that has learned to like what the person approves: scores say little.
        scores = rng.beta(0.4, 0.6, (N, 1))
        truth = (rng.random((N, 1)) < 0.04 + 0.3 * scores).astype(float)
        sole = np.where(rng.random((N, 1)) < share, 0, rng.integers(1, 8, (N, 1)))
        said = np.where(sole == 0, 0.0, truth)
        for defended in (True, False):
            found = certified(scores, said, alone(sole) if defended else None)
            broken[defended] += errors(found, scores, truth) > RISK.approve + 0.01
    assert broken[True] <= 4, "at 90 % confidence"
    assert share < 0.5 or broken[False] > 20, "without leaving the person out, the promise breaks"


def test_honest_people_lose_little_and_the_certificate_counts_what_is_left() -> None:
    for seed in range(5):
        scores, targets, sole = traffic(seed)
        trusting, wary = certified(scores, targets, None), certified(scores, targets, alone(sole))
        assert trusting.thresholds.approve
        assert wary.thresholds.approve
        reach = [np.mean(scores <= on.threshold) for on in (trusting.thresholds.approve, wary.thresholds.approve)]
        assert reach[1] >= 0.85 * reach[0]
        certificate = wary.thresholds.approve.certificate
        assert certificate.upper_bound <= RISK.approve
        inside = as_routed(scores)[:, 0] <= wary.thresholds.approve.threshold
        assert certificate.judged == inside.sum()
        assert certificate.n <= max(np.sum(inside & (sole[:, 0] != person)) for person in range(8))


def test_what_two_people_agree_on_counts_whoever_is_left_out() -> None:
    scores, targets, sole = traffic(1)
    agreed = certified(scores, targets, Witnesses(np.full(sole.shape, -1), targets))
    assert agreed.thresholds == certified(scores, targets, None).thresholds


def test_where_somebody_else_said_otherwise_that_counts_without_the_person() -> None:
    scores, targets, sole = traffic(2)
    denied = Witnesses(sole, np.where(sole == 0, 1.0, np.nan))
    assert certified(scores, targets, denied).thresholds.approve is None


def test_one_person_in_all_is_trusted_as_nobody_else_is_there() -> None:
    scores, targets, sole = traffic(3)
    one = certified(scores, targets, alone(np.zeros_like(sole)))
    assert one.thresholds == certified(scores, targets, None).thresholds


def test_a_person_who_judged_nearly_everything_certifies_nothing_and_the_reason_says_so() -> None:
    scores, targets, _ = traffic(4)
    nearly = np.where(np.arange(N)[:, None] < 60, 1, 0)
    found = certified(scores, targets, alone(nearly))
    assert found.thresholds.approve is None
    assert "without one person's judgements" in found.reasons[0]
