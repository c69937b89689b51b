"""Evidence that may be read at any moment: what it promises, and what a certificate made of it says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from secondlook.common.bundle.certificates import Certificate, fault, side_delta
from secondlook.common.bundle.sequential import RATES, enough, evidence, fewest, least, risk_bound
from secondlook.common.contract.policy import Risk

counts = st.integers(0, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
risks = st.floats(1e-3, 0.5)


@given(counts, risks)
def test_it_is_the_mean_likelihood_against_that_of_the_risk(count: tuple[int, int], epsilon: float) -> None:
    k, n = count
    logs = [
        k * math.log(rate) + (n - k) * (math.log1p(-rate * epsilon) - math.log1p(-epsilon)) for rate in RATES
    ]  # fmt: skip
    expected = np.logaddexp.reduce(logs) - math.log(len(RATES))
    assert float(evidence(np.array(k), np.array(n), epsilon)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.floats(0.001, 0.3), st.integers(1, 60))
def test_under_any_risk_above_the_allowed_one_it_is_not_expected_to_grow(epsilon: float, n: int) -> None:
    """The exact expectation over all outcomes of n items is at most 1, at the allowed risk exactly 1."""
    k = np.arange(n + 1)
    grown = np.exp(evidence(k, np.full(n + 1, n), epsilon))
    assert float(grown @ stats.binom.pmf(k, n, epsilon)) == pytest.approx(1, rel=1e-6)
    assert float(grown @ stats.binom.pmf(k, n, min(1.5 * epsilon, 1))) <= 1 + 1e-9


def test_whoever_looks_after_every_item_is_misled_as_seldom_as_promised() -> None:
    rng, delta, misled = np.random.default_rng(0), 0.1, 0
    for _ in range(1000):
        wrong = np.cumsum(rng.random(2_000) < 0.05)
        misled += bool(np.max(evidence(wrong, np.arange(1, 2_001), 0.05)) >= -math.log(delta))
    assert 0 < misled <= stats.binom.ppf(0.999, 1000, delta)


@given(counts, st.floats(1e-6, 0.4))
def test_the_bound_is_the_smallest_risk_with_enough_evidence(count: tuple[int, int], delta: float) -> None:
    k, n = count
    bound = risk_bound(k, n, delta)
    assert k / max(n, 1) <= bound <= 1
    if bound < 1:
        assert float(evidence(np.array(k), np.array(n), min(bound * 1.001, 1 - 1e-12))) >= enough(delta)
        assert float(evidence(np.array(k), np.array(n), bound * 0.999)) < enough(delta)


@given(st.floats(0.002, 0.2), st.floats(1e-6, 0.3))
def test_the_fewest_items_are_the_fewest(epsilon: float, delta: float) -> None:
    n = fewest(epsilon, delta)
    assert float(evidence(np.array(0), np.array(n), epsilon)) >= enough(delta)
    assert float(evidence(np.array(0), np.array(n - 1), epsilon)) < enough(delta)


def test_what_is_wrong_too_often_never_has_enough() -> None:
    assert least(0.05, 0.05, 0.01) is None
    few, many = least(0.01, 0.05, 0.01), least(0.03, 0.05, 0.01)
    assert few is not None
    assert many is not None
    assert few < many


def test_the_chance_of_error_is_shared_over_sides_and_models() -> None:
    risk = Risk(confidence=0.95)
    assert sum(side_delta(risk, 3, number) * 4 for number in range(1, 100_000)) == pytest.approx(0.05, rel=1e-4)
    assert side_delta(risk, 3, 1) == pytest.approx(0.05 / 8)
    with pytest.raises(ValueError, match="share 0"):
        side_delta(risk, 3, 0)


def test_a_certificate_follows_from_its_own_numbers_or_not() -> None:
    k, n, delta = 3, 900, 0.0125
    bound = risk_bound(k, n, delta)
    good = Certificate(n=n, k=k, epsilon=0.02, delta=delta, upper_bound=bound, method="mixture")
    assert fault(good) is None
    assert "upper bound" in (fault(good.model_copy(update={"k": 2})) or "")
    assert "upper bound" in (fault(good.model_copy(update={"method": "exact"})) or "")
    assert "exceeds" in (fault(good.model_copy(update={"epsilon": bound * 0.9})) or "")
