"""The published quality figures: what they say of each side, and how large they may become."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from secondlook.common.bundle.certificates import Certificate, CertifiedThreshold, CertifiedThresholds
from secondlook.common.bundle.sides import APPROVE, reject
from secondlook.common.bus.wire import MAX_EVENT_BYTES
from secondlook.common.contract.events import QualityMeasured
from secondlook.common.contract.policy import LabelPolicy, Policy, Thresholds
from secondlook.common.contract.quality import (
    MAX_POINTS,
    MAX_REASONS,
    MAX_REVIEWERS,
    FrontierPoint,
    MeasuredAudits,
    MeasuredEvidence,
    SideStanding,
)
from secondlook.trainer.data.quality import Rating
from secondlook.trainer.evidence.findings import Findings, SideFinding
from secondlook.trainer.quality.figures import AuditedDecision, ScoredAnswer, SecondLookCounts
from secondlook.trainer.quality.summary import Facts, summarise

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POINTS = (FrontierPoint(factor=1.0, approve=0.01, reject=0.03, automated=0.5, reviews_a_day=70.0),)
KNOWN = MeasuredEvidence(threshold=0.1, wrong=3, n=9, judged=10, waiting=2, missing=1, declared=4, worst=0.3, bound=0.7)
ON = CertifiedThreshold(threshold=0.1, certificate=Certificate(n=300, k=1, epsilon=0.05, delta=0.01, upper_bound=0.02))


def policy(*labels: str, **more: Any) -> Policy:
    return Policy(name="p", labels={label: LabelPolicy(description=label) for label in labels}, **more)


def evidence(**changed: Any) -> Facts:
    nothing = Facts(
        bundle_version="b1", thresholds=CertifiedThresholds(), audited={}, off=frozenset(), found=Findings(),
        ratings=(), shared=(), uniform=(), decisions=(), scored=(),
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
            off=frozenset({reject("spam")}),
            found=Findings(
                items=12,
                sides=(
                    SideFinding(side="reject hate", evidence=KNOWN, reason="3 of 9 wrong", outlook="more", needed=7),
                    SideFinding(side="approve", evidence=KNOWN.model_copy(update={"wrong": 0})),
                ),
                frontier=POINTS,
            ),
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
    assert spam.reason == "audits found more errors than the policy allows"
    assert (hate.needed, hate.reason, hate.outlook) == (7, "3 of 9 wrong", "more")
    assert (hate.evidence, spam.evidence) == (KNOWN, None)
    assert approve.evidence is not None
    assert (approve.evidence.wrong, approve.reason) == (0, None), "a certified side shows what is known of it, too"
    assert (found.certify_items, found.reasons) == (12, ("reject hate: 3 of 9 wrong; more",))
    assert found.frontier == POINTS


def test_before_the_first_look_a_side_that_is_off_says_so() -> None:
    approve, _ = summarise(policy("spam"), evidence(), NOW).sides
    assert (approve.standing, approve.needed) == (SideStanding.UNCERTIFIED, None)
    assert approve.reason == "nobody has looked at its evidence yet"


def test_a_side_whose_certificate_is_not_in_force_yet_is_off_and_says_so() -> None:
    found = Findings(sides=(SideFinding(side="approve", evidence=KNOWN),))
    approve, _ = summarise(policy("spam"), evidence(found=found), NOW).sides
    assert (approve.standing, approve.threshold, approve.certificate) == (SideStanding.UNCERTIFIED, None, None)
    assert approve.reason == "its certificate takes effect with the next bundle"
    assert approve.evidence == KNOWN


def test_an_alarm_is_the_reason_whatever_the_evidence_says() -> None:
    found = Findings(sides=(SideFinding(side="approve", evidence=KNOWN, reason="few", outlook="more", needed=3),))
    off = evidence(thresholds=CertifiedThresholds(approve=ON), off=frozenset({APPROVE}), found=found)
    approve, _ = summarise(policy("spam"), off, NOW).sides
    assert (approve.standing, approve.certificate) == (SideStanding.SWITCHED_OFF, None)
    assert approve.reason == "audits found more errors than the policy allows"
    assert (approve.needed, approve.outlook) == (3, "more"), "and what certifies it again"


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


@pytest.mark.parametrize(("off", "some"), [(0, True), (64, False)])
def test_the_event_stays_small_however_much_there_is(off: int, some: bool) -> None:
    """What sides need comes first: where it fills the event, it tells of each reviewer less."""
    labels = [f"l{number:063}" for number in range(64)]
    sides = tuple(
        SideFinding(side=f"reject {label}", evidence=KNOWN, reason="x" * 5_000, outlook="y" * 5_000, needed=10**9)
        for label in labels
    )
    found = summarise(
        policy(*labels),
        evidence(
            ratings=many(MAX_REVIEWERS + 50, labels[:1]),
            thresholds=CertifiedThresholds(approve=ON, reject=dict.fromkeys(labels[off:], ON)),
            found=Findings(items=10**9, sides=(*sides, *sides), frontier=POINTS * MAX_POINTS),
            audited={reject(label): MeasuredAudits(audits=9, errors=1, lower=0.01) for label in labels},
        ),
        NOW,
    )
    assert sum(side.reason is not None for side in found.sides) == off
    assert len(found.reasons) == MAX_REASONS
    assert len(found.reviewers) == MAX_REVIEWERS
    known = [bool(one.labels) for one in found.reviewers]
    assert known == sorted(known, reverse=True), "the busiest first"
    assert any(known) == some
    assert not all(known)
    assert len(found.model_dump_json().encode()) < MAX_EVENT_BYTES / 4
