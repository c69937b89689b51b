"""Certification: the bound is exact, the sequence stops, and what is certified is what the router does."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from secondlook.common.bundle.certificates import (
    Certificate,
    CertifiedThreshold,
    CertifiedThresholds,
    side_delta,
    upper_bound,
)
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.policy import LabelPolicy, Policy, Risk, Thresholds
from secondlook.common.text.scope import Scope
from secondlook.router.routing import route
from secondlook.trainer.evidence.certify import (
    Certification,
    candidates,
    certify,
    fewest,
    most_wrong,
    worth_trying,
)

Array = NDArray[Any]
ITEM = ContentSubmitted(source="f", content_id="c", revision=1, text="t", created_at=datetime(2025, 1, 1, tzinfo=UTC))


def traffic(n: int, seed: int = 0, labels: int = 1, sharp: float = 3.0) -> tuple[Array, Array]:
    """Calibrated scores float32[n, labels] and the targets drawn from them."""
    rng = np.random.default_rng(seed)
    scores = (1 / (1 + np.exp(-rng.normal(-3 * sharp / 2, 2.5 * sharp, (n, labels))))).astype(np.float32)
    return scores, (rng.random((n, labels)) < scores).astype(float)


def run(scores: Array, targets: Array, reference: Array, risk: Risk | None = None, **more: Any) -> Certification:
    labels = [f"l{column}" for column in range(scores.shape[1])]
    return certify(labels, scores, targets, reference, risk or Risk(), **{"attempt": 1, **more})


def as_routed(thresholds: CertifiedThresholds) -> Thresholds:
    """Through JSON, as a bundle carries them."""
    read = CertifiedThresholds.model_validate_json(thresholds.model_dump_json())
    reject = {label: side.threshold for label, side in read.reject.items()}
    return Thresholds(approve=read.approve.threshold if read.approve else None, reject=reject)


@given(st.integers(1, 3000), st.data(), st.floats(1e-9, 0.4))
def test_the_bound_is_the_largest_risk_that_still_explains_the_count(n: int, data: st.DataObject, delta: float) -> None:
    k = data.draw(st.integers(0, n))
    bound = upper_bound(k, n, delta)
    assert bound == 1 if k == n else stats.binom.cdf(k, n, bound) == pytest.approx(delta, rel=1e-5)


def test_the_fewest_items_are_the_fewest() -> None:
    assert fewest(0.01, 0.05) == 299
    assert upper_bound(0, 299, 0.05) <= 0.01 < upper_bound(0, 298, 0.05)
    assert most_wrong(298, 0.01, 0.05) == -1
    most = most_wrong(480, 0.01, 0.05)
    assert upper_bound(most, 480, 0.05) <= 0.01 < upper_bound(most + 1, 480, 0.05)


def test_the_error_is_shared_over_sides_and_attempts() -> None:
    risk = Risk(confidence=0.95)
    spent = sum(side_delta(risk, 3, attempt) * 4 for attempt in range(1, 60))
    assert spent == pytest.approx(0.05)
    assert side_delta(risk, 3, 1) == pytest.approx(0.05 / 8)
    with pytest.raises(ValueError, match="attempt 0"):
        side_delta(risk, 3, 0)


def test_certificates_hold_what_they_say() -> None:
    scores, targets = traffic(6000)
    risk = Risk(approve=0.02, reject=0.05)
    done, delta = run(scores, targets, traffic(8000, 1)[0], risk, attempt=2), side_delta(risk, 1, 2)
    approve, reject = done.thresholds.approve, done.thresholds.reject["l0"]
    assert approve is not None
    assert done.reasons == ()
    assert done.spent
    for side, region, wrong, epsilon, labels in (
        (approve, scores[:, 0] <= approve.threshold, targets[:, 0] == 1, 0.02, ("l0",)),
        (reject, scores[:, 0] >= reject.threshold, targets[:, 0] == 0, 0.05, None),
    ):
        n, k = int(region.sum()), int((region & wrong).sum())
        expected = Certificate(n=n, k=k, epsilon=epsilon, delta=delta, upper_bound=upper_bound(k, n, delta))
        assert side == CertifiedThreshold(threshold=side.threshold, certificate=expected, labels=labels)
        assert expected.upper_bound <= epsilon


@pytest.mark.parametrize("shape", ["plain", "ties", "edges", "edges that are wrong too often"])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6), whole_only=st.booleans())
def test_the_certified_regions_are_what_the_router_decides(shape: str, seed: int, whole_only: bool) -> None:
    scores, targets = traffic(2500, seed, labels=2)
    reference, _ = traffic(3000, seed + 1, labels=2)
    if shape == "ties":
        scores, reference = np.round(scores, 1), np.round(reference, 1)
    if shape.startswith("edges"):
        scores, reference = np.round(scores), np.round(reference)
    risk = Risk(approve=0.2, reject=0.3) if shape == "edges" else Risk(approve=0.08, reject=0.15)
    read = np.random.default_rng(seed).random(2500) < (0.8 if whole_only else 1.1)
    scopes = np.where(read, Scope.FITS, Scope.LONG)
    done = run(scores, targets, reference, risk, scopes=scopes)
    if shape != "edges that are wrong too often":
        assert done.thresholds.approve is not None
        assert set(done.thresholds.reject) == {"l0", "l1"}
    thresholds = as_routed(done.thresholds)
    policy = Policy(name="p", labels={label: LabelPolicy(description="d") for label in ("l0", "l1")})
    routes = [
        route(ITEM, dict(zip(("l0", "l1"), row, strict=True)), thresholds, policy, u=0.5, scope=Scope(scope))
        for row, scope in zip(scores.tolist(), scopes.tolist(), strict=True)
    ]
    approved = np.array([routing.outcome == "approve" for routing in routes])
    if done.thresholds.approve is not None:
        assert done.thresholds.approve.certificate.n == approved.sum()
        assert done.thresholds.approve.certificate.k == (targets[approved] == 1).any(axis=1).sum()
    else:
        assert not approved.any()
    for column, label in enumerate(("l0", "l1")):
        rejected = np.array([label in routing.labels for routing in routes])
        if label in done.thresholds.reject:
            assert done.thresholds.reject[label].certificate.n == rejected.sum()
            assert done.thresholds.reject[label].certificate.k == (targets[rejected, column] == 0).sum()
        else:
            assert not rejected.any()


def test_scores_in_double_precision_are_compared_as_the_router_sees_them() -> None:
    scores, targets = traffic(4000)
    reference, _ = traffic(4000, 1)
    noise = np.random.default_rng(2).uniform(-1e-9, 1e-9, scores.shape)
    shifted = np.clip(scores.astype(np.float64) * (1 + noise), 0, 1)
    assert run(shifted, targets, reference) == run(scores, targets, reference)


def test_it_stops_at_the_first_threshold_that_fails() -> None:
    reference = np.linspace(0, 1, 4001)[:, None]
    targets = np.zeros((4000, 1))
    targets[1700:1900] = 1  # harm in the middle only: the risk of wider regions falls again below the target
    scores = np.linspace(0, 0.9999, 4000)[:, None]
    done = run(scores, targets, reference, Risk(approve=0.08))
    assert done.thresholds.approve is not None
    assert done.thresholds.approve.threshold < 1900 / 4000
    assert targets.mean() < 0.08


def test_no_side_reaches_past_one_half_however_low_the_risk() -> None:
    rng = np.random.default_rng(0)
    scores, reference = rng.random((8000, 1)), rng.random((8000, 1))
    targets = (scores > 0.97).astype(float)  # 3 % harm, so that even to approve everything keeps a risk of 5 %
    done = run(scores, targets, reference, Risk(approve=0.05, reject=0.2))
    assert done.thresholds.approve is not None
    assert 0.4 < done.thresholds.approve.threshold < 0.5
    everything = run(scores, np.ones_like(targets), reference, Risk(reject=0.2))
    assert everything.thresholds.approve is None
    assert 0.5 <= everything.thresholds.reject["l0"].threshold < 0.6


def test_a_side_that_is_off_says_why() -> None:
    scores, targets = traffic(6000, labels=2)
    reference, _ = traffic(6000, 1, labels=2)
    few = run(scores[:200], targets[:200], reference)
    needed = int(np.ceil(1.5 * fewest(0.01, 0.05 / 6)))
    within = (scores[:200].max(axis=1) < 0.5).sum()
    assert few.reasons[0] == f"approve: {within} certify items in reach, {needed} needed"
    assert [reason.split(":")[0] for reason in few.reasons] == ["approve", "reject l0", "reject l1"]
    assert not few.spent
    bad = run(scores, 1 - targets, reference)
    assert bad.thresholds == CertifiedThresholds()
    assert bad.spent
    assert all("at the strictest threshold" in reason and "allowed" in reason for reason in bad.reasons)


def test_unknown_labels_count_only_where_they_cannot_flatter() -> None:
    scores, targets = traffic(6000, labels=2)
    reference, _ = traffic(6000, 1, labels=2)
    risk = Risk(approve=0.05, reject=0.1)
    full = run(scores, targets, reference, risk).thresholds
    hidden = targets.copy()
    hidden[3000:, 1] = np.nan
    part = run(scores, hidden, reference, risk).thresholds
    assert part.reject["l0"] == full.reject["l0"]
    assert part.approve is not None
    region = (scores.max(axis=1) <= np.float32(part.approve.threshold)) & (scores.max(axis=1) >= 0)
    left_out = np.isnan(hidden[:, 1]) & (hidden[:, 0] == 0)
    assert part.approve.certificate.n == (region & ~left_out).sum()
    assert part.approve.certificate.k == (region & (hidden == 1).any(axis=1)).sum()
    nothing = run(scores, np.full_like(targets, np.nan), reference, risk)
    assert nothing.thresholds == CertifiedThresholds()
    assert not nothing.spent


def test_rows_that_the_router_cannot_use_take_no_part() -> None:
    scores, targets = traffic(5000)
    reference, _ = traffic(5000, 1)
    broken = np.array([[np.nan], [1.5], [-0.1], [np.inf]], np.float32)
    padded = run(np.vstack([scores, broken]), np.vstack([targets, np.ones((4, 1))]), np.vstack([broken, reference]))
    assert padded == run(scores, targets, reference)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 10), (10, 0), (2000, 0)])
def test_without_items_or_reference_every_side_is_off(n: int, m: int) -> None:
    done = run(*traffic(n), traffic(m, 1)[0])
    assert done.thresholds == CertifiedThresholds()
    assert len(done.reasons) == 2
    assert not done.spent


def test_shapes_that_do_not_fit_are_refused() -> None:
    scores, targets = traffic(10)
    with pytest.raises(ValueError, match="do not fit"):
        run(scores, targets[:9], scores)
    with pytest.raises(ValueError, match="labels"):
        certify(["a", "b"], scores, targets, scores, Risk(), attempt=1)
    with pytest.raises(ValueError, match="attempt 0"):
        run(scores, targets, scores, attempt=0)


@given(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.5000001, 1.0]) | st.floats(0, 1), max_size=200), st.floats(0, 1.2))
def test_candidates_are_values_of_the_reference_strictest_first(values: list[float], first: float) -> None:
    reference = np.array(values)
    found = candidates(reference, first, 0.5)
    assert len(found) <= 40
    assert (np.diff(found) > 0).all()
    assert np.isin(found, reference).all()
    within = reference[reference <= 0.5]
    if len(within) and len(within) >= first * len(reference):
        assert found[-1] == within.max()
        assert (reference <= found[0]).mean() >= first - 1e-9
    else:
        assert not len(found)


def test_a_promise_is_kept_at_the_worst_true_risk() -> None:
    """The true risk sits a hair above the target everywhere: certifying anything is an error."""
    rng = np.random.default_rng(0)
    reference = rng.random((2000, 1))
    broken = 0
    for _ in range(300):
        scores = rng.random((2500, 1))
        targets = (rng.random((2500, 1)) < 0.0501).astype(float)
        broken += run(scores, targets, reference, Risk(approve=0.05, confidence=0.6)).thresholds.approve is not None
    assert broken <= stats.binom.ppf(0.999, 300, 0.1)  # 0.4 over two sides and a first attempt
    assert broken > 0  # or this would prove nothing


def test_another_attempt_needs_twice_the_items() -> None:
    assert worth_trying(10, 0)
    assert not worth_trying(0, 0)
    assert not worth_trying(1999, 1000)
    assert worth_trying(2000, 1000)
