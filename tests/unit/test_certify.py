"""Certification: the sequence stops, what is certified is what the router does, and the promise is kept."""

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
from secondlook.common.bundle.sequential import evidence, fewest, risk_bound
from secondlook.common.bundle.sides import APPROVE, Side
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.policy import LabelPolicy, Policy, Risk, Thresholds
from secondlook.common.text.scope import Scope
from secondlook.router.routing import route
from secondlook.trainer.evidence.certify import MOST, STARTS, Certification, all_sides, certify, deltas_of, standing
from secondlook.trainer.evidence.grid import CANDIDATES, LEAST, grid, limit_of
from secondlook.trainer.evidence.sample import plain_sample

Array = NDArray[Any]
ITEM = ContentSubmitted(source="f", content_id="c", revision=1, text="t", created_at=datetime(2025, 1, 1, tzinfo=UTC))


def traffic(n: int, seed: int = 0, labels: int = 1, sharp: float = 3.0) -> tuple[Array, Array]:
    """Calibrated scores float32[n, labels] and the targets drawn from them."""
    rng = np.random.default_rng(seed)
    scores = (1 / (1 + np.exp(-rng.normal(-3 * sharp / 2, 2.5 * sharp, (n, labels))))).astype(np.float32)
    return scores, (rng.random((n, labels)) < scores).astype(float)


def run(scores: Array, targets: Array, reference: Array, risk: Risk | None = None, **more: Any) -> Certification:
    labels, risk = tuple(f"l{column}" for column in range(scores.shape[1])), risk or Risk()
    number, marks = more.pop("number", 1), more.pop("marks", None)
    sides = all_sides(labels)
    grids = {side: grid(side, labels, reference) for side in sides}
    deltas = deltas_of(dict.fromkeys(sides, number), risk, len(labels))
    return certify(plain_sample(labels, scores, targets, **more), grids, risk, deltas, marks)


def as_routed(thresholds: CertifiedThresholds) -> Thresholds:
    """Through JSON, as a bundle carries them."""
    read = CertifiedThresholds.model_validate_json(thresholds.model_dump_json())
    reject = {label: side.threshold for label, side in read.reject.items()}
    return Thresholds(approve=read.approve.threshold if read.approve else None, reject=reject)


def best_moment(wrong: Array, epsilon: float) -> tuple[int, int]:
    """(n, k) of the moment with the most evidence, by trying all."""
    k, n = np.cumsum(wrong), np.arange(1, len(wrong) + 1)
    i = int(np.argmax(evidence(k, n, epsilon)))
    return int(n[i]), int(k[i])


@given(st.integers(1, 3000), st.data(), st.floats(1e-9, 0.4))
def test_the_bound_is_the_largest_risk_that_still_explains_the_count(n: int, data: st.DataObject, delta: float) -> None:
    k = data.draw(st.integers(0, n))
    bound = upper_bound(k, n, delta)
    assert bound == 1 if k == n else stats.binom.cdf(k, n, bound) == pytest.approx(delta, rel=1e-5)


def test_certificates_hold_what_they_say() -> None:
    scores, targets = traffic(6000)
    risk = Risk(approve=0.02, reject=0.05)
    done, delta = run(scores, targets, traffic(8000, 1)[0], risk, number=2), side_delta(risk, 1, 2)
    approve, reject = done.thresholds.approve, done.thresholds.reject["l0"]
    assert approve is not None
    assert done.reasons == ()
    for side, region, wrong, epsilon, labels in (
        (approve, scores[:, 0] <= approve.threshold, targets[:, 0] == 1, 0.02, ("l0",)),
        (reject, scores[:, 0] >= reject.threshold, targets[:, 0] == 0, 0.05, None),
    ):
        n, k = best_moment(wrong[region], epsilon)
        expected = Certificate(
            n=n, k=k, epsilon=epsilon, delta=MOST * delta, upper_bound=risk_bound(k, n, MOST * delta), method="mixture",
            judged=int(region.sum()),
        )  # fmt: skip
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
    done = run(scores, targets, reference, risk, scopes=scopes.astype(np.uint8))
    if shape != "edges that are wrong too often":
        assert all("newest judgements are worse" in reason for reason in done.reasons), "only chance keeps a side off"
    thresholds = as_routed(done.thresholds)
    policy = Policy(name="p", labels={label: LabelPolicy(description="d") for label in ("l0", "l1")})
    routes = [
        route(ITEM, dict(zip(("l0", "l1"), row, strict=True)), thresholds, policy, u=0.5, scope=Scope(scope))
        for row, scope in zip(scores.tolist(), scopes.tolist(), strict=True)
    ]
    approved = np.array([routing.outcome == "approve" for routing in routes])
    if done.thresholds.approve is not None:
        assert done.thresholds.approve.certificate.judged == approved.sum()
        found = (done.thresholds.approve.certificate.n, done.thresholds.approve.certificate.k)
        assert found == best_moment((targets[approved] == 1).any(axis=1), risk.approve)
    else:
        assert not approved.any()
    for column, label in enumerate(("l0", "l1")):
        rejected = np.array([label in routing.labels for routing in routes])
        if label in done.thresholds.reject:
            assert done.thresholds.reject[label].certificate.judged == rejected.sum()
            found = (done.thresholds.reject[label].certificate.n, done.thresholds.reject[label].certificate.k)
            assert found == best_moment(targets[rejected, column] == 0, risk.reject)
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
    least = fewest(0.01, MOST * 0.05 / 6)
    assert few.reasons[0].startswith("approve: ")
    assert few.reasons[0].endswith(f"a risk of 0.01 takes {least:,} without an error")
    assert [reason.split(":")[0] for reason in few.reasons] == ["approve", "reject l0", "reject l1"]
    bad = run(scores, 1 - targets, reference)
    assert bad.thresholds == CertifiedThresholds()
    assert all("could be certified" in reason and "is allowed" in reason for reason in bad.reasons)


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
    counted = region & ~left_out
    found = (part.approve.certificate.n, part.approve.certificate.k)
    assert found == best_moment((hidden[counted] == 1).any(axis=1), 0.05)
    nothing = run(scores, np.full_like(targets, np.nan), reference, risk)
    assert nothing.thresholds == CertifiedThresholds()
    assert "nobody has judged" in nothing.reasons[0]


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


def test_shapes_that_do_not_fit_are_refused() -> None:
    scores, targets = traffic(10)
    with pytest.raises(ValueError, match="do not fit"):
        run(scores, targets[:9], scores)
    with pytest.raises(ValueError, match="labels"):
        plain_sample(["a", "b"], scores, targets)
    with pytest.raises(ValueError, match="share 0"):
        run(scores, targets, scores, number=0)


@given(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.5000001, 1.0]) | st.floats(0, 1), max_size=200))
def test_thresholds_to_try_are_values_of_the_reference_strictest_first(values: list[float]) -> None:
    reference = np.array(values, np.float32).reshape(-1, 1)
    for side in all_sides(("l0",)):
        found = np.array(grid(side, ("l0",), reference))
        keys = reference[:, 0].astype(float) * (1 if side == APPROVE else -1)
        within = keys[keys <= limit_of(side)]
        assert len(found) <= CANDIDATES
        assert (np.diff(found) > 0).all()
        assert np.isin(found, within).all()
        assert bool(len(found)) == (len(within) >= LEAST)
        assert not len(found) or found[-1] == within.max()


def test_a_promise_is_kept_at_the_worst_true_risk_whenever_one_looks() -> None:
    """The true risk sits a hair above the target everywhere: certifying anything, ever, is an error."""
    rng = np.random.default_rng(0)
    reference = rng.random((2000, 1))
    broken = 0
    for _ in range(200):
        scores = rng.random((2500, 1))
        targets = (rng.random((2500, 1)) < 0.0501).astype(float)
        # A sample that grows: what is accepted once stays accepted, so the whole one answers for every moment.
        found = run(scores, targets, reference, Risk(approve=0.05, confidence=0.6))
        broken += found.thresholds.approve is not None
    assert broken <= stats.binom.ppf(0.999, 200, 0.1)  # 0.4 over two sides, and a half for the first model


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), at=st.integers(500, 2400))
def test_what_was_accepted_stays_accepted_as_judgements_come_in(seed: int, at: int) -> None:
    scores, targets = traffic(2500, seed)
    reference, risk = traffic(2000, seed + 1)[0], Risk(approve=0.05, reject=0.1)
    before = run(scores[:at], targets[:at], reference, risk).thresholds
    sample = plain_sample(("l0",), scores, targets)
    assert standing(sample, before, {}) == {}


def test_what_waits_counts_as_wrong_and_what_is_gone_is_told() -> None:
    scores, targets = traffic(6000)
    reference, risk = traffic(6000, 1)[0], Risk(approve=0.03)
    waiting = np.random.default_rng(0).random(6000) < 0.2
    hidden = np.where(waiting[:, None], np.nan, targets)
    slow = run(scores, hidden, reference, risk, waiting=waiting)
    assert slow.thresholds.approve is None
    assert "not judged yet" in slow.reasons[0]
    gone = run(scores, hidden, reference, risk, gone=waiting)
    assert gone.thresholds.approve is not None
    certificate = gone.thresholds.approve.certificate
    inside = scores[:, 0] <= gone.thresholds.approve.threshold
    assert certificate.missing == (waiting & inside).sum()
    known = next(each for each in gone.evidence if each.side == APPROVE)
    assert known.worst == pytest.approx((known.wrong + known.missing) / (known.judged + known.missing))


def test_a_queue_that_slows_down_delays_a_certificate_and_does_not_take_it_back() -> None:
    scores, targets = traffic(6000)
    reference, risk = traffic(6000, 1)[0], Risk(approve=0.05)
    before = run(scores[:3000], targets[:3000], reference, risk).thresholds
    assert before.approve is not None
    waiting = np.arange(6000) >= 3000
    sample = plain_sample(("l0",), scores, np.where(waiting[:, None], np.nan, targets), waiting=waiting)
    assert standing(sample, before, {}) == {}


def test_corrected_judgements_take_a_certificate_back() -> None:
    scores, targets = traffic(6000)
    done = run(scores, targets, traffic(6000, 1)[0], Risk(approve=0.05, reject=0.1)).thresholds
    assert done.approve is not None
    corrected = np.where(scores <= done.approve.threshold, np.random.default_rng(0).random((6000, 1)) < 0.06, targets)
    fallen = standing(plain_sample(("l0",), scores, corrected.astype(float)), done, {})
    assert set(fallen) == {APPROVE}
    assert "corrected" in fallen[APPROVE]
    old = done.model_copy(update={"approve": CertifiedThreshold(
        threshold=done.approve.threshold, labels=("l0",),
        certificate=Certificate(n=900, k=1, epsilon=0.05, delta=0.01, upper_bound=upper_bound(1, 900, 0.01)),
    )})  # fmt: skip
    assert set(standing(plain_sample(("l0",), scores, corrected.astype(float)), old, {})) == set()


def test_copies_of_a_right_item_count_once_and_of_a_wrong_one_each() -> None:
    scores, targets = np.full((600, 1), 0.01), np.zeros((600, 1))
    reference = np.linspace(0, 0.4, 500)[:, None]
    clusters = tuple((bytes([number % 3]),) for number in range(600))
    found = run(scores, targets, reference, Risk(approve=0.05), clusters=clusters)
    assert found.thresholds.approve is None
    known = found.evidence[0]
    assert (known.n, known.judged) == (3, 600)
    wrong = run(scores, np.ones((600, 1)), reference, Risk(approve=0.05), clusters=clusters).evidence[0]
    assert (wrong.wrong, wrong.n) == (600, 600)


def test_a_side_begins_at_one_of_its_starts_so_that_one_slip_does_not_end_it() -> None:
    assert sum(part for _, part in STARTS) == pytest.approx(1)
    rng = np.random.default_rng(3)
    scores = rng.random((6000, 1)) / 2.1
    targets = ((scores < 0.1) & (rng.random((6000, 1)) < 0.06)).astype(float)  # what looks surest is wrong too often
    found = run(scores, targets, rng.random((4000, 1)) / 2.1, Risk(approve=0.03))
    assert found.thresholds.approve is not None
    assert found.thresholds.approve.threshold > 0.3


def test_only_the_newest_judgements_can_refuse_what_the_others_allow() -> None:
    scores, targets = traffic(8000)
    reference, risk = traffic(6000, 1)[0], Risk(approve=0.05)
    calm = run(scores, targets, reference, risk).thresholds.approve
    assert calm is not None
    worse = targets.copy()
    newest = np.arange(8000) > 7200
    worse[newest] = np.where(np.random.default_rng(1).random((799, 1)) < 0.15, 1.0, targets[newest])
    found = run(scores, worse, reference, risk)
    assert found.thresholds.approve is None
    assert "newest judgements" in found.reasons[0]


@pytest.mark.parametrize("side", [APPROVE, Side("reject", "l0")])
def test_an_alarm_takes_the_evidence_of_its_own_side_and_no_other(side: Side) -> None:
    scores, targets = traffic(8000)
    reference, risk = traffic(6000, 1)[0], Risk(approve=0.05, reject=0.1)
    full = run(scores, targets, reference, risk)
    after = run(scores, targets, reference, risk, marks={side: 8000})
    other = Side("reject", "l0") if side == APPROVE else APPROVE
    before = {each.side: each for each in full.evidence}
    left = {each.side: each for each in after.evidence}
    assert side not in left
    assert left[other] == before[other]


def test_only_what_the_coin_would_have_drawn_of_what_a_side_decides_counts() -> None:
    """Half of the items were routed while 10 % of approvals were audited: of them, coins below 0.1 count."""
    rng = np.random.default_rng(0)
    scores, targets = traffic(8000)
    reference, u = traffic(6000, 1)[0], rng.random(8000)
    judged = np.where(np.arange(8000) < 4000, 1.0, 0.1)
    found = run(scores, targets, reference, Risk(approve=0.05, reject=0.1), u=u, approve=judged)
    known = {each.side: each for each in found.evidence}[APPROVE]
    inside = scores[:, 0] <= np.float32(known.threshold)
    assert known.judged == (inside & (u < judged)).sum()
