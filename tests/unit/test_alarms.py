"""Alarms: false ones are as rare as stated however often one looks, and true ones come in time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from secondlook.trainer.evidence.alarms import Drift, DriftWarning, RiskAlarm, changed_risk

EPSILON, DELTA = 0.03, 0.1


def streams(seed: int, share: float, count: int, length: int) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random((count, length)) < share


def first_alarm(outcomes: NDArray[np.bool_], epsilon: float, delta: float) -> int | None:
    """After how many audits, in their order, it first fires; a good one never makes it."""
    wrong = np.cumsum(outcomes)
    moments = (int(i) for i in np.flatnonzero(outcomes))
    return next((i + 1 for i in moments if RiskAlarm(epsilon, delta, i + 1, int(wrong[i])).fired), None)


def test_false_alarms_are_rare_though_every_moment_is_looked_at() -> None:
    fired = [first_alarm(stream, EPSILON, DELTA) for stream in streams(0, EPSILON, 300, 5_000)]
    share = np.mean([number is not None for number in fired])
    assert 0 < share <= DELTA


def test_the_bound_stays_below_the_truth_all_along() -> None:
    """Of the exact bound of a single look, 10 % would be too high at one moment, and far more at some moment."""
    truth, too_high = 0.1, 0
    for stream in streams(1, truth, 200, 1_000):
        wrong = np.cumsum(stream)
        moments = np.flatnonzero(stream)  # the bound rises at these only
        too_high += any(RiskAlarm(EPSILON, DELTA, int(i) + 1, int(wrong[i])).lower_bound > truth for i in moments[::3])
    assert too_high / 200 <= DELTA


@pytest.mark.parametrize(("epsilon", "middle", "most"), [(0.01, 300, 1000), (0.03, 100, 350)])
def test_three_times_the_risk_is_noticed_in_time(epsilon: float, middle: int, most: int) -> None:
    found = [first_alarm(stream, epsilon, 0.05) or 10**6 for stream in streams(2, 3 * epsilon, 200, 3_000)]
    assert np.median(found) <= middle
    assert np.quantile(found, 0.95) <= most


@given(st.floats(1e-6, 0.9), st.floats(1e-6, 0.5), st.integers(0, 5_000), st.data())
def test_it_fires_when_its_bound_passes_the_risk(epsilon: float, delta: float, n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    alarm = RiskAlarm(epsilon, delta, n, k)
    assert 0 <= alarm.lower_bound <= (k / n if n else 0)
    if abs(alarm.lower_bound - epsilon) > 1e-9:
        assert alarm.fired == (alarm.lower_bound > epsilon)


def test_a_good_audit_never_raises_the_bound_and_a_wrong_one_never_lowers_it() -> None:
    for n, k in ((5, 2), (100, 10), (1_000, 50)):
        now, good, wrong = (RiskAlarm(EPSILON, DELTA, *counts) for counts in ((n, k), (n + 1, k), (n + 1, k + 1)))
        assert good.lower_bound < now.lower_bound < wrong.lower_bound


@pytest.mark.parametrize(
    "bad", [(0.0, 0.1, 0, 0), (1.0, 0.1, 0, 0), (0.1, 0.0, 0, 0), (0.1, 0.1, 1, 2), (0.1, 0.1, 0, -1)]
)
def test_an_impossible_alarm_is_refused(bad: tuple[float, float, int, int]) -> None:
    with pytest.raises(ValueError, match="no alarm"):
        RiskAlarm(*bad)


def warnings_of(drift: Drift, series: str, values: NDArray[np.bool_]) -> list[tuple[int, DriftWarning]]:
    found = ((number, drift.add(series, float(value))) for number, value in enumerate(values))
    return [(number, warning) for number, warning in found if warning is not None]


def test_drift_is_noticed_with_the_means_before_and_after_and_in_its_series_only() -> None:
    drift = Drift()
    steady, before, after = streams(3, 0.05, 3, 2_000)
    assert warnings_of(drift, "overturns", steady) == []
    assert warnings_of(drift, "errors", before) == []
    changed = warnings_of(drift, "errors", after | streams(4, 0.2, 1, 2_000)[0])
    number, warning = changed[0]
    assert number < 400
    assert warning.series == "errors"
    assert warning.before == pytest.approx(0.05, abs=0.02)
    assert warning.after > 1.5 * warning.before
    assert warning.n_before + warning.n_after == 2_000 + number + 1
    assert warnings_of(drift, "overturns", steady) == []


def test_steady_series_warn_rarely() -> None:
    found = [warnings_of(Drift(), "errors", stream) for stream in streams(5, 0.1, 20, 3_000)]
    assert sum(map(bool, found)) <= 1


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_value_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not in"):
        Drift().add("errors", value)


def test_a_risk_that_rises_after_a_long_good_past_is_found_soon() -> None:
    rng = np.random.default_rng(3)
    needed = []
    for _ in range(20):
        good, bad = rng.random(4000) < 0.002, rng.random(1500) < 0.04
        outcomes = [*good.tolist(), *bad.tolist()]
        seen = next(n for n in range(4000, 5501, 20) if changed_risk(outcomes[:n], 0.01, 0.05).fired)
        needed.append(seen - 4000)
        pooled = RiskAlarm(0.01, 0.05, seen, sum(outcomes[:seen]))
        assert not pooled.fired, "one alarm over everything still sees the good past"
    assert np.median(needed) < 500


def test_all_its_alarms_together_are_rarely_false() -> None:
    rng = np.random.default_rng(4)
    false = 0
    for _ in range(150):
        outcomes = (rng.random(2000) < 0.02).tolist()
        false += any(changed_risk(outcomes[:n], 0.02, 0.1).fired for n in range(25, 2001, 25))
    assert false <= stats.binom.ppf(0.999, 150, 0.1)


def test_without_audits_there_is_no_alarm() -> None:
    assert not changed_risk([], 0.01, 0.05).fired
    for outcomes in ([False], [True], [True, False]):
        alarm = changed_risk(outcomes, 0.01, 0.05)
        assert (alarm.n, alarm.k) == (len(outcomes), sum(outcomes))
        assert type(alarm.k) is int, "a count, which also a strict reader takes"
    alarm = changed_risk([False] * 450, 0.01, 0.05)
    assert (alarm.n, alarm.k) == (450, 0), "the oldest tells all there is"
