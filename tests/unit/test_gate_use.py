"""The gate looks at what a bundle can be used for: its labels, what it decides alone, and how fast it is."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.policy import LabelPolicy, Policy, Thresholds
from secondlook.router.routing import route
from secondlook.trainer.gate.decide import decide
from secondlook.trainer.gate.questions import Automation
from tests.unit.gate_world import LABELS, NONE, certified, check, evidence, failed, in_use


def test_without_an_active_bundle_every_label_is_needed() -> None:
    found = evidence(active=None)
    assert decide(found).promote
    assert check(decide(found), "gold").passed is None
    partly = found.challenger.copy()
    partly[7, 1] = np.nan
    decision = decide(dataclasses.replace(found, challenger=partly))
    assert failed(decision) == {"labels"}
    assert "no model for: spam" in check(decision, "labels").detail
    lacking = np.column_stack([np.ones(9), np.full(9, np.nan)])
    assert not decide(dataclasses.replace(found, reference=lacking)).promote


def test_nothing_at_all() -> None:
    nothing: dict[str, Any] = {"targets": NONE, "challenger": NONE, "slices": {"a": np.empty(0, bool)}}
    assert decide(evidence(active=None, **nothing)).promote
    decision = decide(evidence(active=NONE, **nothing))
    assert failed(decision) == {"gold"}
    assert "no label has enough positives and negatives among 0 items" in check(decision, "gold").detail


def test_a_label_that_people_act_on_does_not_vanish() -> None:
    found = evidence(noise=(0.01, 1.5))
    without = np.column_stack([found.challenger[:, 0], np.full(400, np.nan)])
    decision = decide(dataclasses.replace(found, challenger=without))
    assert failed(decision) == {"labels"}
    assert "the active bundle has: spam" in check(decision, "labels").detail


def test_a_policy_with_other_labels_starts_anew() -> None:
    other = np.full((400, 2), np.nan)
    decision = decide(evidence(active=other, certification_required=True, active_thresholds=certified()))
    assert decision.promote
    assert check(decision, "gold").detail == "no active bundle to compare with"
    assert not decide(evidence(active=other, challenger=other)).promote
    unscored = evidence(
        targets=NONE, challenger=NONE, active=NONE, reference=np.ones((5, 2)), active_reference=other[:5]
    )
    assert decide(unscored).promote


def test_a_bundle_that_lacks_a_label_is_easier_to_follow() -> None:
    found = evidence(150, noise=(0.5, 0.5000001))
    assert found.active is not None
    assert not check(decide(found), "gold").passed
    old = np.column_stack([found.active[:, 0], np.full(150, np.nan)])
    decision = decide(dataclasses.replace(found, active=old, certification_required=True))
    assert "the active bundle lacks: spam" in check(decision, "labels").detail
    assert "by the point estimate: the active bundle lacks labels" in check(decision, "gold").detail
    assert check(decision, "certification").passed is None
    assert all(check.name != "label spam" for check in decision.checks)

    unjudged = np.full((150, 2), np.nan)
    assert decide(dataclasses.replace(found, active=old, targets=unjudged)).promote
    assert not decide(dataclasses.replace(found, targets=unjudged)).promote
    worse = np.column_stack([1 - found.challenger[:, 0], found.challenger[:, 1]])
    assert "gold" in failed(decide(dataclasses.replace(found, active=old, challenger=worse)))


def test_who_certifies_nothing_does_not_follow_who_does() -> None:
    assert decide(in_use()).promote
    nothing = in_use(thresholds=CertifiedThresholds())
    assert failed(decide(nothing)) == {"certification", "coverage"}
    assert "no side certified, active approve, reject hate" in check(decide(nothing), "certification").detail
    assert decide(dataclasses.replace(nothing, certification_required=False)).promote
    assert "certification" in failed(decide(dataclasses.replace(nothing, active=None)))
    other_label = in_use(thresholds=certified(None, fraud=0.0))
    assert "certification" in failed(decide(other_label))


def test_coverage_does_not_shrink() -> None:
    assert decide(in_use(thresholds=certified(0.5, hate=0.81))).promote
    decision = decide(in_use(thresholds=certified(0.4, hate=0.8)))
    assert failed(decision) == {"coverage"}
    assert " decided automatically, active " in check(decision, "coverage").detail
    assert decide(in_use(thresholds=certified(0.2, hate=0.3))).promote
    assert check(decide(in_use(n=199, thresholds=certified(0.1))), "coverage").passed is None
    assert check(decide(in_use(active_reference=None, thresholds=certified(0.1))), "coverage").passed is None


def test_coverage_is_compared_at_the_same_risk_only() -> None:
    decision = decide(in_use(thresholds=certified(0.1, epsilon=0.001)))
    assert check(decision, "coverage").passed is None
    assert "approve is certified for a risk of 0.10%, active 1.00%" in check(decision, "coverage").detail


def test_coverage_counts_what_the_router_decides() -> None:
    rng = np.random.default_rng(8)
    scores = np.round(rng.random((300, 2)), 1).astype(np.float32)
    scores[rng.random((300, 2)) < 0.05] = np.nan
    policy = Policy(name="p", labels={label: LabelPolicy(description=label) for label in LABELS})
    content = ContentSubmitted.model_validate(
        {
            "source": "a",
            "content_id": "1",
            "revision": 1,
            "kind": "post",
            "text": "x",
            "created_at": "2026-01-01T00:00:00Z",
        }
    )
    for approve, reject in ((0.3, {"hate": 0.9}), (None, {"hate": 0.7, "spam": 0.9}), (0.6, {}), (None, {})):
        rounded = {label: float(np.float32(threshold)) for label, threshold in reject.items()}
        at = None if approve is None else float(np.float32(approve))
        thresholds = Thresholds(approve=at, reject=rounded)
        rows = [dict(zip(LABELS, map(float, row), strict=True)) for row in scores]
        routed = [route(content, row, thresholds, policy, u=0.5).outcome is not None for row in rows]
        for nudge in (-1e-9, 0.0, 1e-9):
            nudged = np.clip(scores.astype(np.float64) + nudge, 0, 1)
            assert Automation(LABELS, nudged, certified(at, **rounded)).share() == pytest.approx(np.mean(routed))


@pytest.mark.parametrize(
    ("changes", "fails"),
    [
        ({"latency": 0.015, "active_latency": 0.01}, set()),
        ({"latency": 0.016, "active_latency": 0.01}, {"latency"}),
        ({"latency": math.nan, "active_latency": 0.01}, {"latency"}),
        ({"latency": 9.0}, set()),
        ({"parity": 0.02}, set()),
        ({"parity": 0.021}, {"parity"}),
        ({"parity": math.nan}, {"parity"}),
        ({"parity": 0.5, "active": None}, {"parity"}),
    ],
)
def test_latency_and_parity(changes: dict[str, Any], fails: set[str]) -> None:
    assert failed(decide(evidence(**changes))) == fails
