"""From a settled task to the events that say so. Pure."""

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class Given:
    """A judgement of a settled task. `settles`: it is, or is one of two that together are, the verdict."""

    reviewer: str
    outcome: Outcome
    labels: tuple[str, ...]
    judged_at: datetime
    policy_version: int
    settles: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """A task whose verdict stands. The last of `given` is the one that settled it."""

    task_id: UUID
    decision_id: UUID
    sequence: int
    why: Why
    content: ContentSubmitted
    scores: Mapping[str, float] | None
    inclusion_probability: float
    stratum: str
    prior: PriorDecision | None
    bundle_version: str | None
    traceparent: str | None
    grace_over_at: datetime
    given: Sequence[Given]


def decided(settled: Settled, policies: Mapping[int, Policy]) -> ContentDecided | None:
    """The decision, or None where nothing is decided: gold items, and what confirms the decision before it."""
    verdict, prior = settled.given[-1], settled.prior
    if settled.why is Why.GOLD or confirms(settled.why, prior, verdict.outcome, verdict.labels):
        return None
    return ContentDecided(
        source=settled.content.source,
        content_id=settled.content.content_id,
        decision_id=settled.decision_id,
        revision=settled.content.revision,
        sequence=settled.sequence,
        outcome=verdict.outcome,
        labels=verdict.labels,
        action=policies[verdict.policy_version].action_for(verdict.labels, verdict.outcome),
        decided_by=verdict.reviewer,
        decided_at=verdict.judged_at,
        confidence=None,
        policy_version=verdict.policy_version,
        bundle_version=settled.bundle_version,
        reason=f"reviewed: {settled.why.value}",
        supersedes=prior.decision_id if prior else None,
    )


def labelled(
    settled: Settled, decision: ContentDecided | None, policies: Mapping[int, Policy]
) -> list[ContentLabelled]:
    """What each reviewer said: of every label of the policy they judged by, whether it applies."""
    prior = settled.prior.decision_id if settled.prior else None
    return [
        ContentLabelled(
            source=settled.content.source,
            content_id=settled.content.content_id,
            label_id=label_id(settled.task_id, given.reviewer),
            revision=settled.content.revision,
            text=settled.content.text,
            language=settled.content.language,
            author_id=settled.content.author_id,
            labels={label: label in given.labels for label in policies[given.policy_version].labels},
            reviewer=given.reviewer,
            labelled_at=given.judged_at,
            decision_id=decision.decision_id if decision else prior,
            adjudicated=given.settles,
            inclusion_probability=settled.inclusion_probability,
            stratum=settled.stratum,
            scores=dict(settled.scores) if settled.scores is not None else None,
            bundle_version=settled.bundle_version,
        )
        for given in settled.given
    ]


def confirms(why: Why, prior: PriorDecision | None, outcome: Outcome, labels: Sequence[str]) -> bool:
    """Whether a verdict leaves the decision before it in force: an audit or a second look that says the same."""
    if prior is None or why not in (Why.AUDIT, Why.SECOND_LOOK):
        return False
    return (prior.outcome, set(prior.labels)) == (outcome, set(labels))
