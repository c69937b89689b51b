"""Turns the evidence into the event that the trainer publishes. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from secondlook.common.bundle.certificates import CertifiedThreshold, CertifiedThresholds
from secondlook.common.bundle.sides import APPROVE, Side, reject
from secondlook.common.bus.wire import MAX_EVENT_BYTES
from secondlook.common.contract.events import QualityMeasured
from secondlook.common.contract.policy import Policy
from secondlook.common.contract.quality import (
    MAX_LABELS,
    MAX_REASONS,
    MAX_REVIEWERS,
    MeasuredAudits,
    MeasuredBundle,
    MeasuredCertificate,
    MeasuredLabel,
    MeasuredRate,
    MeasuredReliability,
    MeasuredReviewer,
    MeasuredSecondLooks,
    MeasuredShare,
    MeasuredSide,
    SideStanding,
)
from secondlook.trainer.data.quality import EstimatedShare, LabelQuality, Rating, ReviewerQuality, reviewer_quality
from secondlook.trainer.evidence.estimates import Estimate, proportion
from secondlook.trainer.evidence.findings import Findings
from secondlook.trainer.quality.figures import (
    NO_AGREEMENT,
    AuditedDecision,
    ScoredAnswer,
    SecondLookCounts,
    agreements,
    audited_errors,
    overturned,
    shares,
    suspects,
)

LONGEST_REASON = 300
SWITCHED_OFF = "audits found more errors than the policy allows"
NO_CONFIRMED = proportion(0, 0)
LARGEST = MAX_EVENT_BYTES // 8  # of the event's body; lists of other figures are bounded well below


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the figures follow from. `audited` goes by side; `off` lists the sides that audits switched off.

    `decisions`: the automatic decisions that people audited. `confirmed`: of what certifies, what two answered alike.
    """

    bundle_version: str | None
    thresholds: CertifiedThresholds
    audited: Mapping[Side, MeasuredAudits]
    off: frozenset[Side]
    found: Findings
    ratings: Sequence[Rating]
    shared: Sequence[Rating]
    uniform: Sequence[Mapping[str, bool]]
    decisions: Sequence[AuditedDecision]
    scored: Sequence[ScoredAnswer]
    second_looks: SecondLookCounts
    confirmed: Estimate = NO_CONFIRMED
    bundles: Sequence[MeasuredBundle] = ()


def summarise(policy: Policy, facts: Facts, measured_at: datetime) -> QualityMeasured:
    """The figures under this policy. With tens of thousands of judgements this takes seconds: call it in a thread."""
    labels, looks = sorted(policy.labels), facts.second_looks
    errors = audited_errors(facts.decisions, labels)
    wrong = {APPROVE: errors.approve} | {reject(label): errors.reject[label] for label in labels}
    reviewers = _busiest(facts.ratings)
    measured = QualityMeasured(
        measured_at=measured_at,
        bundle_version=facts.bundle_version,
        sides=tuple(_side(policy, facts, side, _share(found)) for side, found in wrong.items()),
        certify_items=facts.found.items,
        reasons=tuple(reason[:LONGEST_REASON] for reason in facts.found.off[:MAX_REASONS]),
        labels=_labels(labels, facts),
        reviewers=tuple(MeasuredReviewer(reviewer=one.reviewer, n=one.n, agreement=one.agreement) for one in reviewers),
        second_looks=MeasuredSecondLooks(answered=looks.answered, changed=looks.changed),
        overturned=_share(overturned(facts.decisions)),
        confirmed=_share(facts.confirmed),
        frontier=facts.found.frontier,
        bundles=tuple(facts.bundles),
    )
    return _with_reliabilities(measured, reviewers)


def _side(policy: Policy, facts: Facts, side: Side, wrong: MeasuredShare) -> MeasuredSide:
    if policy.mode == "fixed":
        by_hand = policy.thresholds.approve if side == APPROVE else policy.thresholds.reject.get(str(side.label))
        standing = SideStanding.UNCERTIFIED if by_hand is None else SideStanding.FIXED
        return MeasuredSide(
            outcome=side.outcome, label=side.label, standing=standing, wrong=wrong, threshold=by_hand
        )  # fmt: skip
    on = facts.thresholds.approve if side == APPROVE else facts.thresholds.reject.get(str(side.label))
    audited = facts.audited.get(side)
    found = next((each for each in facts.found.sides if each.side == str(side)), None)
    known = {} if found is None else {"evidence": found.evidence}
    if on is not None and side not in facts.off:
        return MeasuredSide(
            outcome=side.outcome, label=side.label, standing=SideStanding.CERTIFIED, wrong=wrong,
            threshold=on.threshold, certificate=_certificate(on), audited=audited, **known,
        )  # fmt: skip
    standing, reason = SideStanding.UNCERTIFIED, "nobody has looked at its evidence yet"
    if side in facts.off:
        standing, reason = SideStanding.SWITCHED_OFF, SWITCHED_OFF
    elif found is not None:
        reason = found.reason or "its certificate takes effect with the next bundle"
    return MeasuredSide(
        outcome=side.outcome, label=side.label, standing=standing, wrong=wrong, audited=audited,
        needed=found and found.needed, reason=reason[:LONGEST_REASON],
        outlook=found.outlook[:LONGEST_REASON] if found and found.outlook else None, **known,
    )  # fmt: skip


def _certificate(on: CertifiedThreshold) -> MeasuredCertificate:
    found = on.certificate
    return MeasuredCertificate(
        n=found.n, k=found.k, epsilon=found.epsilon, delta=found.delta, bound=found.upper_bound,
        judged=found.judged or None,
    )  # fmt: skip


def _labels(labels: Sequence[str], facts: Facts) -> tuple[MeasuredLabel, ...]:
    common, agreed = shares(facts.uniform, labels), agreements(facts.shared)
    doubted = Counter(suspect.label for _, suspect in suspects(facts.scored))
    return tuple(_label(label, common[label], agreed.get(label, NO_AGREEMENT), doubted[label]) for label in labels)


def _label(label: str, common: Estimate, agreed: Estimate, doubted: int) -> MeasuredLabel:
    return MeasuredLabel(
        label=label, suspects=doubted, prevalence=_share(common),
        agreement_n=agreed.n, agreement=agreed.value,
        agreement_low=max(agreed.low, -1.0), agreement_high=min(agreed.high, 1.0),
    )  # fmt: skip


def _busiest(ratings: Sequence[Rating]) -> list[ReviewerQuality]:
    return sorted(reviewer_quality(ratings).reviewers, key=lambda one: (-one.n, one.reviewer))[:MAX_REVIEWERS]


def _with_reliabilities(measured: QualityMeasured, found: Sequence[ReviewerQuality]) -> QualityMeasured:
    """With the labels of each reviewer, in their order, as long as the event does not exceed LARGEST."""
    room, told = LARGEST - len(measured.model_dump_json().encode()), []
    for reviewer, quality in zip(measured.reviewers, found, strict=True):
        labels = tuple(_reliability(label, of) for label, of in sorted(quality.labels.items())[:MAX_LABELS])
        room -= sum(len(label.model_dump_json().encode()) + 1 for label in labels)
        told.append(reviewer.model_copy(update={"labels": labels}) if room >= 0 else reviewer)
    return measured.model_copy(update={"reviewers": tuple(told)})


def _reliability(label: str, found: LabelQuality) -> MeasuredReliability:
    return MeasuredReliability(
        label=label, n=found.n, sensitivity=_rate(found.sensitivity), specificity=_rate(found.specificity)
    )  # fmt: skip


def _rate(found: EstimatedShare) -> MeasuredRate:
    value, lower, upper = (round(each, 4) for each in (found.value, found.lower, found.upper))
    return MeasuredRate(value=value, lower=lower, upper=upper)


def _share(found: Estimate) -> MeasuredShare:
    return MeasuredShare(value=found.value, n=found.n, k=found.k or 0, low=found.low, high=found.high)
