"""Turns the evidence into the event that the trainer publishes. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from secondlook.common.bundle.certificates import CertifiedThreshold, CertifiedThresholds
from secondlook.common.bundle.sides import APPROVE, Side, reject
from secondlook.common.contract.events import QualityMeasured
from secondlook.common.contract.policy import Policy
from secondlook.common.contract.quality import (
    MAX_REASONS,
    MAX_REVIEWERS,
    MeasuredAudits,
    MeasuredCertificate,
    MeasuredLabel,
    MeasuredReviewer,
    MeasuredSecondLooks,
    MeasuredSide,
    SideStanding,
)
from secondlook.trainer.data.quality import Rating, reviewer_quality
from secondlook.trainer.evidence.certify import LEAST, fewest, side_delta
from secondlook.trainer.evidence.estimates import Estimate
from secondlook.trainer.quality.figures import (
    NO_AGREEMENT,
    ScoredAnswer,
    SecondLookCounts,
    agreements,
    shares,
    suspects,
)

LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class NextAttempt:
    """The number of the next attempt to certify, and why the last one left sides off."""

    number: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that the figures follow from. `audited` goes by side; `off` lists the sides that audits switched off."""

    bundle_version: str | None
    thresholds: CertifiedThresholds
    audited: Mapping[Side, MeasuredAudits]
    off: frozenset[Side]
    certify_items: int
    attempt: NextAttempt
    ratings: Sequence[Rating]
    shared: Sequence[Rating]
    uniform: Sequence[Mapping[str, bool]]
    scored: Sequence[ScoredAnswer]
    second_looks: SecondLookCounts


def summarise(policy: Policy, evidence: Findings, measured_at: datetime) -> QualityMeasured:
    """The figures under this policy. With tens of thousands of judgements this takes seconds: call it in a thread."""
    labels, looks = sorted(policy.labels), evidence.second_looks
    return QualityMeasured(
        measured_at=measured_at,
        bundle_version=evidence.bundle_version,
        sides=tuple(_side(policy, evidence, side) for side in (APPROVE, *map(reject, labels))),
        certify_items=evidence.certify_items,
        reasons=tuple(reason[:LONGEST_REASON] for reason in evidence.attempt.reasons[:MAX_REASONS]),
        labels=_labels(labels, evidence),
        reviewers=_reviewers(evidence.ratings),
        second_looks=MeasuredSecondLooks(answered=looks.answered, changed=looks.changed),
    )


def _side(policy: Policy, evidence: Findings, side: Side) -> MeasuredSide:
    if policy.mode == "fixed":
        by_hand = policy.thresholds.approve if side == APPROVE else policy.thresholds.reject.get(str(side.label))
        standing = SideStanding.UNCERTIFIED if by_hand is None else SideStanding.FIXED
        return MeasuredSide(outcome=side.outcome, label=side.label, standing=standing, threshold=by_hand)
    on = evidence.thresholds.approve if side == APPROVE else evidence.thresholds.reject.get(str(side.label))
    audited = evidence.audited.get(side)
    if side in evidence.off:
        return MeasuredSide(
            outcome=side.outcome, label=side.label, standing=SideStanding.SWITCHED_OFF, audited=audited,
            needed=_needed(policy, evidence, side),
        )  # fmt: skip
    if on is None:
        return MeasuredSide(
            outcome=side.outcome, label=side.label, standing=SideStanding.UNCERTIFIED,
            needed=_needed(policy, evidence, side),
        )  # fmt: skip
    return MeasuredSide(
        outcome=side.outcome, label=side.label, standing=SideStanding.CERTIFIED, threshold=on.threshold,
        certificate=_certificate(on), audited=audited,
    )  # fmt: skip


def _needed(policy: Policy, evidence: Findings, side: Side) -> int:
    """The fewest certify items with which the next attempt begins to test the side, if each is in its reach."""
    epsilon = policy.risk.approve if side == APPROVE else policy.risk.reject
    delta = side_delta(policy.risk, len(policy.labels), evidence.attempt.number)
    return math.ceil(LEAST * fewest(epsilon, delta))


def _certificate(on: CertifiedThreshold) -> MeasuredCertificate:
    found = on.certificate
    return MeasuredCertificate(
        n=found.n, k=found.k, epsilon=found.epsilon, delta=found.delta, bound=found.upper_bound
    )  # fmt: skip


def _labels(labels: Sequence[str], evidence: Findings) -> tuple[MeasuredLabel, ...]:
    common, agreed = shares(evidence.uniform, labels), agreements(evidence.shared)
    doubted = Counter(suspect.label for _, suspect in suspects(evidence.scored))
    return tuple(_label(label, common[label], agreed.get(label, NO_AGREEMENT), doubted[label]) for label in labels)


def _label(label: str, common: Estimate, agreed: Estimate, doubted: int) -> MeasuredLabel:
    return MeasuredLabel(
        label=label, suspects=doubted,
        prevalence_n=common.n, prevalence=common.value, prevalence_low=common.low, prevalence_high=common.high,
        agreement_n=agreed.n, agreement=agreed.value,
        agreement_low=max(agreed.low, -1.0), agreement_high=min(agreed.high, 1.0),
    )  # fmt: skip


def _reviewers(ratings: Sequence[Rating]) -> tuple[MeasuredReviewer, ...]:
    found = sorted(reviewer_quality(ratings).reviewers, key=lambda one: (-one.n, one.reviewer))[:MAX_REVIEWERS]
    return tuple(MeasuredReviewer(reviewer=one.reviewer, n=one.n, agreement=one.agreement) for one in found)
