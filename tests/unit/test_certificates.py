"""A certificate is believed only if it follows from its numbers, and a side decides only as the policy allows."""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from secondlook.common.bundle.certificates import (
    Certificate,
    CertifiedThreshold,
    CertifiedThresholds,
    fault,
    faults,
    side_delta,
    upper_bound,
)
from secondlook.common.bundle.sequential import risk_bound
from secondlook.common.bundle.sides import APPROVE, bare, by_side, filled, held_back, in_force, reject, sides, upheld
from secondlook.common.contract.policy import LabelPolicy, Policy, Risk, Thresholds
from secondlook.trainer.evidence.certify import all_sides, certify, deltas_of
from secondlook.trainer.evidence.grid import grid
from secondlook.trainer.evidence.sample import plain_sample
from tests.certificates import certificate

LABELS = ("hate", "spam")
RISK = Risk(approve=0.05, reject=0.1, confidence=0.9)


def policy(risk: Risk = RISK, labels: tuple[str, ...] = LABELS, **more: Any) -> Policy:
    return Policy(name="p", labels={label: LabelPolicy(description="d") for label in labels}, risk=risk, **more)


def real(risk: Risk = RISK, labels: tuple[str, ...] = LABELS, share: int = 1) -> CertifiedThresholds:
    """What the trainer certifies on clear traffic: every side."""
    rng = np.random.default_rng(1)
    targets = (rng.random((4_000, len(labels))) < 0.3).astype(float)
    scores = np.clip(np.where(targets == 1, 0.9, 0.05) + rng.normal(0, 0.02, targets.shape), 0, 1)
    every = all_sides(labels)
    grids = {side: grid(side, labels, scores) for side in every}
    deltas = deltas_of(dict.fromkeys(every, share), risk, len(labels))
    found = certify(plain_sample(labels, scores, targets), grids, risk, deltas).thresholds
    assert set(sides(found)) == {APPROVE, *map(reject, labels)}
    return found


REAL = real()


@pytest.mark.parametrize("share", [1, 2, 5, 40])
@pytest.mark.parametrize("risk", [RISK, Risk(), Risk(approve=0.3, reject=0.4, confidence=0.51)])
def test_what_the_trainer_certifies_is_believed_and_upheld(risk: Risk, share: int) -> None:
    found = real(risk, share=share)
    assert faults(found) == []
    assert {side.certificate.method for side in by_side(found).values()} == {"mixture"}
    assert sum(side.certificate.delta for side in by_side(found).values()) <= (1 - risk.confidence) / (
        share * (share + 1)
    )
    assert faults(CertifiedThresholds.model_validate_json(found.model_dump_json())) == []
    assert upheld(policy(risk), found, LABELS) == found
    assert in_force(policy(risk), found, LABELS) == bare(found)


@pytest.mark.parametrize(("method", "bound_by"), [("exact", upper_bound), ("mixture", risk_bound)])
@given(
    st.integers(1, 10**6), st.floats(0, 1), st.floats(1e-9, 0.4), st.floats(0.0, 1.0)
)  # fmt: skip
def test_a_certificate_is_believed_exactly_if_its_bound_follows(
    method: Literal["exact", "mixture"], bound_by: Callable[[int, int, float], float],
    n: int, share: float, delta: float, wide: float,
) -> None:  # fmt: skip
    k = math.floor(share * n)
    bound = bound_by(k, n, delta)
    assume(bound < 0.999)  # nearer to 1, bounds of neighbouring counts are the same to six digits
    epsilon = bound + (1 - bound) * wide
    true = Certificate(n=n, k=k, epsilon=epsilon, delta=delta, upper_bound=bound, method=method)
    assert (fault(true) is None) is (epsilon < 1)
    for better in (bound * 0.999, bound / 2, 0.0):
        assert fault(true.model_copy(update={"upper_bound": better})) is not None
    if k:
        assert fault(true.model_copy(update={"k": k - 1})) is not None
    assert fault(true.model_copy(update={"epsilon": bound * 0.999})) is not None


@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(1e-9, 0.4))
def test_a_certificate_that_holds_at_every_moment_never_promises_more(n: int, share: float, delta: float) -> None:
    """So nobody gains by calling the bound of one moment the bound of all."""
    k = math.floor(share * n)
    at_a_moment, always = upper_bound(k, n, delta), risk_bound(k, n, delta)
    assert always >= at_a_moment * (1 - 1e-9)
    assume(at_a_moment * 1.001 < always)
    told = Certificate(n=n, k=k, epsilon=0.9999, delta=delta, upper_bound=at_a_moment, method="mixture")
    assert "upper bound" in (fault(told) or "")


def test_a_certificate_of_before_is_read_as_it_was_made() -> None:
    old = {"n": 400, "k": 3, "epsilon": 0.1, "delta": 0.01, "upper_bound": upper_bound(3, 400, 0.01)}
    read = Certificate.model_validate(old)
    assert (read.method, read.judged, read.missing, fault(read)) == ("exact", 0, 0, None)


FORGED = [
    ({"n": 0, "k": 0}, "0 items"),
    ({"n": 0, "k": 0, "upper_bound": 0.0}, "0 items"),
    ({"n": 0, "k": 0, "upper_bound": 1.0, "epsilon": 1.0}, "0 items"),
    ({"n": 10**12}, "items"),
    ({"k": 401}, "401 of 400"),
    ({"k": 400}, "upper bound"),
    ({"upper_bound": 0.0}, "upper bound"),
    ({"n": 4_000}, "upper bound"),
    ({"delta": 0.0}, "between 0 and 1"),
    ({"delta": 1.0}, "between 0 and 1"),
    ({"delta": 0.4}, "upper bound"),
    ({"epsilon": 0.0}, "between 0 and 1"),
    ({"epsilon": 1.0}, "between 0 and 1"),
    ({"epsilon": 0.001}, "exceeds"),
]


@pytest.mark.parametrize(("changes", "why"), FORGED)
@pytest.mark.parametrize("side", [APPROVE, reject("spam")])
def test_what_does_not_follow_is_a_fault_of_its_side(changes: dict[str, Any], why: str, side: Any) -> None:
    forged = certificate(n=400, k=3, epsilon=0.1).model_copy(update=changes)
    at = CertifiedThreshold(threshold=0.2 if side == APPROVE else 0.8, certificate=forged)
    whole = CertifiedThresholds(approve=at) if side == APPROVE else CertifiedThresholds(reject={"spam": at})
    assert any(line.startswith(f"{side}: ") and why in line for line in faults(whole))


@pytest.mark.parametrize(
    ("approve", "rejects", "false"),
    [(0.49, 0.5, 0), (0.5, 0.8, 1), (0.9, None, 1), (None, 0.49, 1), (0.6, 0.4, 2), (1.0, 0.0, 2), (None, None, 0)],
)
def test_no_certified_side_reaches_past_one_half(approve: float | None, rejects: float | None, false: int) -> None:
    shown = certificate()
    whole = CertifiedThresholds(
        approve=None if approve is None else CertifiedThreshold(threshold=approve, certificate=shown),
        reject={} if rejects is None else {"spam": CertifiedThreshold(threshold=rejects, certificate=shown)},
    )
    assert len(faults(whole)) == false


def test_all_sides_together_leave_some_confidence() -> None:
    shown = certificate(delta=0.2)
    sides_of = {label: CertifiedThreshold(threshold=0.8, certificate=shown) for label in ("a", "b", "c")}
    assert "the sides together" in faults(CertifiedThresholds(reject=sides_of))[0]


@pytest.mark.parametrize(
    ("now", "off"),
    [
        (policy(), set()),
        (policy(Risk(approve=0.06, reject=0.2, confidence=0.8)), set()),
        (policy(Risk(approve=0.049, reject=0.1, confidence=0.9)), {APPROVE}),
        (policy(Risk(approve=0.05, reject=0.09, confidence=0.9)), {reject("hate"), reject("spam")}),
        (policy(Risk(approve=0.05, reject=0.1, confidence=0.94)), {APPROVE, reject("hate"), reject("spam")}),
        (policy(labels=("spam",)), {APPROVE, reject("hate")}),
        (policy(Risk(approve=0.05, reject=0.1, confidence=0.85), labels=("hate", "new", "spam")), {APPROVE}),
    ],
)
def test_a_side_is_off_while_the_policy_asks_for_more(now: Policy, off: set[Any]) -> None:
    reasons = held_back(now, REAL, LABELS)
    assert set(reasons) == off
    assert all(reasons.values())
    assert set(sides(upheld(now, REAL, LABELS))) == set(sides(REAL)) - off
    assert in_force(now, REAL, LABELS) == bare(upheld(now, REAL, LABELS))
    assert in_force(policy(), REAL, LABELS) == bare(REAL), "and it comes back"


def test_approvals_are_certified_for_the_labels_of_then() -> None:
    """A certificate of before names none: it is about the labels of its bundle."""
    assert REAL.approve is not None
    before = REAL.model_copy(update={"approve": REAL.approve.model_copy(update={"labels": None})})
    assert held_back(policy(), before, LABELS) == {}
    assert APPROVE in held_back(policy(), before, ("hate", "spam", "other"))
    assert APPROVE not in held_back(policy(), REAL, ("hate", "spam", "other")), "certified again under fewer labels"


def test_thresholds_set_by_hand_need_no_certificate() -> None:
    by_hand = Thresholds(approve=0.7, reject={"spam": 0.6})
    fixed = policy(mode="fixed", thresholds=by_hand)
    assert in_force(fixed, None, LABELS) == by_hand
    assert in_force(None, REAL, LABELS) == Thresholds()


def test_what_was_not_certified_again_is_kept_for_a_policy_that_allows_it() -> None:
    strict = policy(Risk(approve=0.01, reject=0.1, confidence=0.9))
    kept = filled(upheld(strict, REAL, LABELS), REAL)
    assert kept == REAL
    narrower = CertifiedThresholds(approve=CertifiedThreshold(threshold=0.01, certificate=certificate(epsilon=0.012)))
    assert filled(narrower, REAL).approve == narrower.approve


@pytest.mark.parametrize("labels", [1, 5, 64])
def test_the_sides_spend_what_the_policy_allows_and_no_more(labels: int) -> None:
    spent = [(1 + labels) * side_delta(RISK, labels, share) for share in range(1, 1_000)]
    assert spent == pytest.approx([(1 - RISK.confidence) / (m * (m + 1)) for m in range(1, 1_000)])
    assert sum(spent) == pytest.approx((1 - RISK.confidence) * (1 - 1 / 1_000))


@pytest.mark.parametrize("attempts", [1, 3, 10])
def test_the_shares_that_older_attempts_leave_are_what_they_left(attempts: int) -> None:
    """Attempt j spent δ/2^j; after it shares from number 2^j on are given out, which together are δ/2^j."""
    whole, first = (1 - RISK.confidence) / (1 + len(LABELS)), 2**attempts
    left = sum(side_delta(RISK, len(LABELS), share) for share in range(first, first + 200_000))
    assert left <= whole / 2**attempts
    assert left == pytest.approx(whole / 2**attempts, rel=0.01)
