"""From a verdict that stands to the events that publish it. Pure."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from secondlook.common.contract.events import (
    ContentDecided,
    ContentLabelled,
    ContentSubmitted,
    PriorDecision,
    Why,
    label_id,
)
from secondlook.common.contract.fields import Outcome
from secondlook.common.contract.policy import Policy
from secondlook.common.errors import FieldProblem, InvalidInput
from secondlook.reviewer_api.review.reasons import REASONS, confirms


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A judgement that led to the verdict. `adjudicated`: it is the verdict, or one of two that together are."""

    reviewer: str
    outcome: Outcome
    labels: tuple[str, ...]
    judged_at: datetime
    policy_version: int
    adjudicated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingVerdict:
    """A task whose verdict stands, because its undo grace is over. The last of `given` is the verdict."""

    review_id: UUID
    decision_id: UUID
    sequence: int
    why: Why
    content: ContentSubmitted
    scores: Mapping[str, float] | None
    inclusion_probability: float | None
    stratum: str
    prior: PriorDecision | None
    bundle_version: str | None
    traceparent: str | None
    grace_over_at: datetime
    given: Sequence[Given]


def ensure_labels(policy: Policy, labels: Set[str]) -> None:
    """Raises InvalidInput, naming each, for labels that are not in the policy."""
    if unknown := sorted(labels - policy.labels.keys()):
        known = ", ".join(policy.labels)
        raise InvalidInput([FieldProblem("labels", f"{name!r} is not in the policy: {known}") for name in unknown])


def decided(standing: StandingVerdict, policies: Mapping[int, Policy]) -> ContentDecided | None:
    """The decision; None where the reason decides nothing, or the verdict confirms the decision before it."""
    verdict, prior = standing.given[-1], standing.prior
    if not REASONS[standing.why].decides or confirms(standing.why, prior, verdict.outcome, verdict.labels):
        return None
    return ContentDecided(
        source=standing.content.source,
        content_id=standing.content.content_id,
        decision_id=standing.decision_id,
        revision=standing.content.revision,
        sequence=standing.sequence,
        outcome=verdict.outcome,
        labels=verdict.labels,
        action=policies[verdict.policy_version].action_for(verdict.labels, verdict.outcome),
        decided_by=verdict.reviewer,
        decided_at=verdict.judged_at,
        confidence=None,
        policy_version=verdict.policy_version,
        bundle_version=standing.bundle_version,
        reason=f"reviewed: {standing.why.value}",
        supersedes=prior.decision_id if prior else None,
    )


def labelled(
    standing: StandingVerdict, decision: ContentDecided | None, policies: Mapping[int, Policy]
) -> list[ContentLabelled]:
    """The answer of each reviewer: whether each label of the policy that they judged by applies."""
    prior = standing.prior.decision_id if standing.prior else None
    return [
        ContentLabelled(
            source=standing.content.source,
            content_id=standing.content.content_id,
            label_id=label_id(standing.review_id, given.reviewer),
            revision=standing.content.revision,
            text=standing.content.text,
            language=standing.content.language,
            author_id=standing.content.author_id,
            labels={label: label in given.labels for label in policies[given.policy_version].labels},
            reviewer=given.reviewer,
            labelled_at=given.judged_at,
            decision_id=decision.decision_id if decision else prior,
            adjudicated=given.adjudicated,
            inclusion_probability=standing.inclusion_probability if REASONS[standing.why].measures else None,
            stratum=standing.stratum,
            scores=dict(standing.scores) if standing.scores is not None else None,
            bundle_version=standing.bundle_version,
            audited=standing.prior if REASONS[standing.why].audits else None,
            signals=standing.content.signals,
        )
        for given in standing.given
    ]
