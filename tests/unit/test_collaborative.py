import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from secondlook.trainer.evidence.collaborative import collaborate, review_probability, risk_coverage

NAN = float("nan")
SCORES = np.array([0.95, 0.9, 0.6, 0.55, 0.45, 0.4, 0.3, 0.2, 0.1, 0.05])
TARGETS = np.array([1.0, 1, 0, 1, 1, 0, 0, 0, 0, 1])  # wrong: 0.6, 0.45, 0.05; 7 of 10 right
SCORED = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=12)


def arrays(rows: list[tuple[int, bool]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.array([score / 20 for score, _ in rows]), np.array([float(target) for _, target in rows])


def test_by_hand() -> None:
    found = {(c.strategy, c.fraction): c for c in collaborate(SCORES, TARGETS, (0, 0.1, 0.2, 1))}
    assert found["uncertainty", 0].accuracy == pytest.approx(0.7)
    assert found["uncertainty", 0].efficiency is None
    # 0.55 and 0.45 are equally close: one of the two is reviewed, and one of the two was wrong.
    assert found["uncertainty", 0.1].accuracy == pytest.approx(0.75)
    assert found["uncertainty", 0.1].efficiency == pytest.approx(0.5)
    assert found["uncertainty", 0.2].accuracy == pytest.approx(0.8)
    assert found["toxicity", 0.2].accuracy == pytest.approx(0.7)
    assert found["toxicity", 0.2].efficiency == 0
    assert found["toxicity", 1].accuracy == pytest.approx(1)
    assert found["toxicity", 1].efficiency == pytest.approx(0.3)


@given(SCORED, st.integers(0, 12))
def test_ties_count_as_the_mean_over_every_order(rows: list[tuple[int, bool]], budget: int) -> None:
    rows = rows[:6]
    scores, targets = arrays(rows)
    n, budget = len(rows), min(budget, len(rows))
    right = (scores >= 0.5) == (targets == 1)
    key = np.round(np.abs(scores - 0.5), 9)
    orders = [o for o in itertools.permutations(range(n)) if np.all(np.diff(key[list(o)]) >= 0)]
    mean = np.mean([(right.sum() + (~right[list(o[:budget])]).sum()) / n for o in orders])
    (uncertainty, _) = collaborate(scores, targets, (budget / n,))
    assert uncertainty.accuracy == pytest.approx(mean)


@given(SCORED, st.floats(0, 1), st.floats(0, 1))
def test_accuracy_is_the_models_and_what_review_changes(
    rows: list[tuple[int, bool]], fraction: float, reviewer: float
) -> None:
    scores, targets = arrays(rows)
    alone = float(np.mean((scores >= 0.5) == (targets == 1)))
    for found in collaborate(scores, targets, (fraction,), reviewer):
        gain = fraction * ((found.efficiency or 0) - (1 - reviewer))
        assert found.accuracy == pytest.approx(alone + gain)
        assert 0 <= found.accuracy <= 1


@given(SCORED, st.floats(0, 1))
def test_the_budget_is_spent(rows: list[tuple[int, bool]], fraction: float) -> None:
    scores, _ = arrays(rows)
    reviewed = review_probability(-scores, fraction)
    assert reviewed.sum() == pytest.approx(fraction * len(rows))
    assert np.all(reviewed[np.argsort(-scores)][:-1] >= reviewed[np.argsort(-scores)][1:])


def test_float32_scores_on_both_sides_are_equally_uncertain() -> None:
    assert review_probability(np.abs(np.array([0.3, 0.7], np.float32) - 0.5).astype(float), 0.5).tolist() == [0.5, 0.5]


def test_unknown_targets_are_left_out() -> None:
    scores, targets = np.append(SCORES, 0.5), np.append(TARGETS, NAN)
    assert collaborate(scores, targets) == collaborate(SCORES, TARGETS)
    assert risk_coverage(scores, targets, "approve") == risk_coverage(SCORES, TARGETS, "approve")


def test_nothing_judged_is_no_figure() -> None:
    assert collaborate(np.array([0.5]), np.array([NAN])) == ()
    assert risk_coverage(np.array([]), np.array([]), "reject") == ()


@pytest.mark.parametrize(("fraction", "reviewer"), [(1.1, 1.0), (-0.1, 1.0), (0.1, 1.2)])
def test_shares_are_shares(fraction: float, reviewer: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        collaborate(SCORES, TARGETS, (fraction,), reviewer)


@given(SCORED)
def test_a_risk_point_says_what_its_threshold_does(rows: list[tuple[int, bool]]) -> None:
    scores, targets = arrays(rows)
    for side in ("approve", "reject"):
        points = risk_coverage(scores, targets, side)
        assert {point.threshold for point in points} == set(scores)
        assert points[-1].coverage == 1
        for point in points:
            decided = scores <= point.threshold if side == "approve" else scores >= point.threshold
            assert point.n == decided.sum()
            assert point.coverage == pytest.approx(decided.mean())
            assert point.risk == pytest.approx((targets[decided] == (side == "approve")).mean())


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(5000)
    targets = (rng.random(5000) < scores).astype(float)
    full = risk_coverage(scores, targets, "approve", most=5000)
    thin = risk_coverage(scores, targets, "approve", most=50)
    assert (len(full), len(thin)) == (5000, 50)
    assert set(thin) <= set(full)
    assert (thin[0], thin[-1]) == (full[0], full[-1])
