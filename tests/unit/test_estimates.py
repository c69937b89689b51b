"""Estimates: intervals hold the truth as often as they say, whatever was judged and why."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from secondlook.trainer.evidence.estimates import (
    agreement,
    assisted_mean,
    audit_errors,
    overturn_rate,
    proportion,
)

Array = NDArray[Any]
X = np.nan


@given(st.integers(0, 2000), st.data(), st.sampled_from([0.8, 0.95, 0.999]))
def test_a_share_has_the_exact_interval(n: int, data: st.DataObject, confidence: float) -> None:
    k = data.draw(st.integers(0, n))
    found = proportion(k, n, confidence)
    if n == 0:
        assert (found.value, found.low, found.high) == (None, 0, 1)
    else:
        expected = stats.binomtest(k, n).proportion_ci(confidence, method="exact")
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
        assert found.value == k / n
        assert found.low <= k / n <= found.high


def test_an_impossible_count_is_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        proportion(3, 2)


def test_audit_errors_count_judged_decisions_of_the_uniform_stratum() -> None:
    #                   approve: right  wrong  unknown wrong   not uniform | reject a: wrong right unknown
    targets = np.array([[0, 0], [0, 1], [0, X], [1, X], [1, 1], [0, 1], [1, X], [X, 0]])
    approved = np.array([1, 1, 1, 1, 1, 0, 0, 0], bool)
    rejected = np.array([[0, 0]] * 5 + [[1, 1], [1, 0], [1, 0]], bool)
    uniform = np.array([1, 1, 1, 1, 0, 1, 1, 1], bool)
    found = audit_errors(["a", "b"], approved, rejected, targets, uniform)
    assert (found.approve.k, found.approve.n) == (2, 3)
    assert (found.reject["a"].k, found.reject["a"].n) == (1, 2)
    assert (found.reject["b"].k, found.reject["b"].n) == (0, 1)


def sample(rng: np.random.Generator, total: int = 20_000) -> tuple[Array, Array, Array, Array, float]:
    """(scores, targets, inclusion, uniform, true share): uncertain items are all judged, others by a coin of 3 %."""
    truth = rng.beta(0.15, 1.5, total)
    harmful = rng.random(total) < truth
    scores = np.clip(truth * 0.6 + 0.05, 0, 1)  # badly calibrated
    inclusion = np.where((scores > 0.2) & (scores < 0.5), 1.0, 0.03)
    coin = rng.random(total)
    targets = np.where(coin < inclusion, harmful.astype(float), X)
    return scores, targets, inclusion, coin < 0.03, float(harmful.mean())


def test_the_assisted_interval_holds_the_share_though_the_sample_is_biased_and_the_scores_are_off() -> None:
    rng = np.random.default_rng(0)
    held, errors, widths, biased = 0, [], [], []
    for _ in range(300):
        scores, targets, inclusion, uniform, share = sample(rng)
        assisted = assisted_mean(scores, targets, inclusion)
        sampled = proportion(int(targets[uniform].sum()), int(uniform.sum()))
        assert assisted.value is not None
        held += assisted.low <= share <= assisted.high
        errors.append(assisted.value - share)
        widths.append((assisted.high - assisted.low) / (sampled.high - sampled.low))
        biased.append(np.nanmean(targets) - share)
    assert 0.91 <= held / 300 <= 0.99
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(300)
    assert np.mean(biased) > 10 * abs(np.mean(errors))
    assert np.mean(widths) < 0.9  # what the scores are worth


def test_the_share_is_known_when_all_is_judged() -> None:
    targets = np.array([1.0, 0, 0, 0])
    found = assisted_mean(np.full(4, 0.9), targets, np.ones(4))
    assert [found.value, found.low, found.high] == pytest.approx([0.25, 0.25, 0.25])
    assert found.n == 4


def test_without_judgements_nothing_is_known() -> None:
    for size in (0, 5):
        found = assisted_mean(np.full(size, 0.5), np.full(size, X), np.full(size, 0.1))
        assert (found.value, found.low, found.high, found.n) == (None, 0, 1, 0)


def test_sampling_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="inclusion probability"):
        assisted_mean(np.zeros(2), np.zeros(2), np.array([0.5, 0.0]))
    with pytest.raises(ValueError, match="do not fit"):
        assisted_mean(np.zeros(2), np.zeros(3), np.ones(2))


# Examples of Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), sections A to C.
BINARY = [[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]
NOMINAL = [[1, 1, 2, 2, 4, 3, 3, 3, 5, 4, 4, 1], [2, 1, 2, 2, 2, 3, 3, 3, 5, 4, 4, 4]]
MISSING = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, X, X, X],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, X, 3],
    [X, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, X],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, X],
]


@pytest.mark.parametrize(
    ("ratings", "alpha", "units"), [(BINARY, 0.095, 10), (NOMINAL, 0.692, 12), (MISSING, 0.743, 11)]
)
def test_agreement_is_krippendorffs_alpha(ratings: list[list[float]], alpha: float, units: int) -> None:
    found = agreement(np.array(ratings, float).T)
    assert found.value == pytest.approx(alpha, abs=5e-4)
    assert found.n == units
    assert found.low < alpha < found.high <= 1


def test_agreement_of_chance_and_of_twins() -> None:
    rng = np.random.default_rng(0)
    chance = agreement(rng.integers(0, 2, (2000, 3)).astype(float))
    assert chance.low < 0 < chance.high
    once = rng.integers(0, 3, (50, 1)).astype(float)
    assert agreement(np.hstack([once, once])).value == 1


@pytest.mark.parametrize("ratings", [np.empty((0, 2)), np.full((5, 2), X), np.ones((5, 2)), np.array([[1, X], [X, 0]])])
def test_agreement_is_open_where_nothing_can_disagree(ratings: Array) -> None:
    found = agreement(ratings)
    assert (found.value, found.low, found.high) == (None, -1, 1)


def test_overturns_are_decisions_that_changed() -> None:
    first, final = np.array(["approve", "reject", "reject"]), np.array(["approve", "approve", "reject"])
    assert (overturn_rate(first, final).k, overturn_rate(first, final).n) == (1, 3)
    with pytest.raises(ValueError, match="final"):
        overturn_rate(first, final[:2])
