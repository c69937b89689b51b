"""The published quality figures: what they say of each side, and how large they may become."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from secondlook.common.bundle.certificates import Certificate, CertifiedThreshold, CertifiedThresholds, side_delta
from secondlook.common.bundle.sides import APPROVE, reject
from secondlook.common.bus.wire import MAX_EVENT_BYTES
from secondlook.common.contract.events import QualityMeasured
from secondlook.common.contract.policy import LabelPolicy, Policy, Risk, Thresholds
from secondlook.common.contract.quality import MAX_REVIEWERS, MeasuredAudits, SideStanding
from secondlook.trainer.data.quality import Rating
from secondlook.trainer.evidence.certify import certify, fewest
from secondlook.trainer.quality.figures import AuditedDecision, ScoredAnswer, SecondLookCounts
from secondlook.trainer.quality.summary import Findings, NextAttempt, summarise

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ON = CertifiedThreshold(threshold=0.1, certificate=Certificate(n=300, k=1, epsilon=0.05, delta=0.01, upper_bound=0.02))


def policy(*labels: str, **more: Any) -> Policy:
    return Policy(name="p", labels={label: LabelPolicy(description=label) for label in labels}, **more)


def evidence(**changed: Any) -> Findings:
    nothing = Findings(
        bundle_version="b1", thresholds=CertifiedThresholds(), audited={}, off=frozenset(), certify_items=0,
        attempt=NextAttempt(1, ()), ratings=(), shared=(), uniform=(), decisions=(), scored=(),
        second_looks=SecondLookCounts(0, 0, 0),
    )  # fmt: skip
    return replace(nothing, **changed)


def standings(measured: QualityMeasured) -> dict[tuple[str, str | None], SideStanding]:
    return {(side.outcome, side.label): side.standing for side in measured.sides}


def test_a_side_is_certified_switched_off_or_needs_more() -> None:
    audited = {APPROVE: MeasuredAudits(audits=50, errors=1, lower=0.0), reject("spam"): MeasuredAudits(
        audits=40, errors=30, lower=0.4
    )}  # fmt: skip
    found = summarise(
        policy("spam", "hate"),
        evidence(
            thresholds=CertifiedThresholds(approve=ON, reject={"spam": ON}), audited=audited,
            off=frozenset({reject("spam")}), certify_items=12,
        ),
        NOW,
    )  # fmt: skip
    approve, hate, spam = found.sides
    assert (approve.outcome, approve.label, approve.standing) == ("approve", None, SideStanding.CERTIFIED)
    assert approve.certificate is not None
    assert (approve.threshold, approve.certificate.n, approve.certificate.bound) == (0.1, 300, 0.02)
    assert (approve.audited, approve.needed) == (audited[APPROVE], None)
    assert (hate.label, hate.standing, hate.audited, hate.threshold) == ("hate", SideStanding.UNCERTIFIED, None, None)
    assert (spam.label, spam.standing, spam.audited) == ("spam", SideStanding.SWITCHED_OFF, audited[reject("spam")])
    assert spam.threshold is None, "it decides nothing"
    assert hate.needed is not None
    assert found.certify_items == 12


@pytest.mark.parametrize("attempt", [1, 4])
def test_what_is_needed_is_where_the_next_attempt_begins_to_test(attempt: int) -> None:
    """One item fewer is too few for `certify`; so many, all in reach and right, certify the side."""
    import numpy as np

    rules = policy("spam", risk=Risk(approve=0.1, reject=0.1, confidence=0.9))
    found = summarise(rules, evidence(attempt=NextAttempt(attempt, ())), NOW)
    needed = found.sides[0].needed
    assert needed is not None
    assert needed > fewest(0.1, side_delta(rules.risk, 1, attempt))

    def approves(items: int) -> bool:
        scores = np.linspace(0.0, 0.2, items)[:, None]
        thresholds = certify(["spam"], scores, np.zeros((items, 1)), scores, rules.risk, attempt=attempt).thresholds
        return thresholds.approve is not None

    assert (approves(needed - 1), approves(needed)) == (False, True)


def test_thresholds_by_hand_are_told_as_such() -> None:
    rules = policy("spam", "hate", mode="fixed", thresholds=Thresholds(approve=0.2, reject={"spam": 0.9}))
    audited = [AuditedDecision("approve", (), {"spam": said, "hate": False}, True) for said in (True, False, False)]
    found = summarise(rules, evidence(off=frozenset({APPROVE}), decisions=audited), NOW)
    assert standings(found) == {
        ("approve", None): SideStanding.FIXED,
        ("reject", "spam"): SideStanding.FIXED,
        ("reject", "hate"): SideStanding.UNCERTIFIED,
    }
    assert [side.certificate for side in found.sides] == [None] * 3
    assert [(side.wrong.k, side.wrong.n) for side in found.sides] == [(1, 3), (0, 0), (0, 0)]
    assert (found.overturned.k, found.overturned.n) == (1, 3)


def test_labels_and_reviewers_are_counted_from_judgements() -> None:
    ratings = [Rating(f"forum/{item}/1", who, {"spam": item == 0}) for item in range(10) for who in ("ann", "bob")]
    ratings += [Rating("forum/99/1", "cat", {"hate": True})]
    doubted = [ScoredAnswer("forum/1/1", {"spam": True}, {"spam": 0.01}, "asked")]
    sure = [
        ScoredAnswer(f"forum/{n}/1", {"spam": n % 2 == 0}, {"spam": 0.9 if n % 2 == 0 else 0.1}, "no")
        for n in range(2, 20)
    ]
    found = summarise(
        policy("spam", "hate"),
        evidence(
            ratings=ratings, shared=ratings[:20], uniform=[{"spam": True}, {"spam": False}, {"hate": False}],
            scored=doubted + sure, second_looks=SecondLookCounts(7, 2, 1),
        ),
        NOW,
    )  # fmt: skip
    hate, spam = found.labels
    assert (spam.label, spam.prevalence.n, spam.prevalence.value, spam.suspects) == ("spam", 2, 0.5, 1)
    assert (spam.agreement_n, spam.agreement) == (10, 1.0)
    assert (hate.prevalence.n, hate.agreement_n, hate.agreement, hate.suspects) == (1, 0, None, 0)
    assert [(one.reviewer, one.n, one.agreement) for one in found.reviewers] == [
        ("ann", 10, 1.0), ("bob", 10, 1.0), ("cat", 1, None)
    ]  # fmt: skip
    (ann,), _, (cat,) = (one.labels for one in found.reviewers)
    assert (ann.label, ann.n) == ("spam", 10)
    assert ann.sensitivity.lower < ann.sensitivity.value < ann.sensitivity.upper
    assert (cat.label, cat.n) == ("hate", 0), "nobody else judged that item"
    told = found.model_dump(mode="json")
    assert told["second_looks"] == {"answered": 2, "changed": 1}, "how many are open would tell which reviews they are"
    assert "forum" not in found.model_dump_json(), "no item is named"


def many(count: int, labels: Sequence[str]) -> list[Rating]:
    return [Rating("forum/1/1", f"{number:0200}", dict.fromkeys(labels, True)) for number in range(count)]


def test_the_event_stays_small_however_much_there_is() -> None:
    labels = [f"l{number:063}" for number in range(64)]
    reasons = tuple("x" * 5_000 for _ in range(65))
    found = summarise(
        policy(*labels),
        evidence(
            ratings=many(MAX_REVIEWERS + 50, labels[:1]), attempt=NextAttempt(3, reasons),
            thresholds=CertifiedThresholds(approve=ON, reject=dict.fromkeys(labels, ON)),
            audited={reject(label): MeasuredAudits(audits=9, errors=1, lower=0.01) for label in labels},
        ),
        NOW,
    )  # fmt: skip
    assert len(found.reviewers) == MAX_REVIEWERS
    known = [bool(one.labels) for one in found.reviewers]
    assert known == sorted(known, reverse=True), "the busiest first"
    assert 0 < sum(known) < MAX_REVIEWERS
    assert len(found.model_dump_json().encode()) < MAX_EVENT_BYTES / 4
