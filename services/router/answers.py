"""What the router says of a revision: its decision, a request for a review, a cancellation. Pure."""

from datetime import datetime
from typing import NamedTuple

from secondlook.common.contract.events import (
    Coin,
    ContentDecided,
    ContentSubmitted,
    PriorDecision,
    ReviewCancelled,
    ReviewRequested,
    Why,
    decision_id,
    first_sequence,
    review_id,
)
from secondlook.common.contract.fields import Scores
from secondlook.common.contract.policy import Policy
from secondlook.common.contract.reports import ContentReported, RaisedReview, ReviewReported
from secondlook.common.service.stream import Item
from secondlook.common.text.scope import Scope
from secondlook.router.routing import Routing

REPORTED = "reported"  # the stratum of what reporters chose


class Routed(NamedTuple):
    """A submitted revision with its routing, and the scores, policy and bundle behind it."""

    item: Item
    content: ContentSubmitted
    routing: Routing
    scores: Scores | None
    embedding: str | None
    policy: Policy | None
    policy_version: int | None
    bundle_version: str | None
    scope: Scope = Scope.FITS


def decided(routed: Routed, now: datetime) -> ContentDecided:
    """The automatic decision."""
    content, routing = routed.content, routed.routing
    assert routing.outcome is not None  # noqa: S101
    sequence = first_sequence(content.revision)
    return ContentDecided(
        source=content.source,
        content_id=content.content_id,
        decision_id=decision_id(content.source, content.content_id, content.revision, sequence),
        revision=content.revision,
        sequence=sequence,
        outcome=routing.outcome,
        labels=routing.labels,
        action=routing.action,
        decided_by="model",
        decided_at=now,
        confidence=routing.confidence,
        policy_version=routed.policy_version,
        bundle_version=routed.bundle_version,
        reason=routing.reason,
    )


def audited(routed: Routed) -> PriorDecision | None:
    """The automatic decision as a request for its audit names it; None where a person decides first."""
    content, routing = routed.content, routed.routing
    if routing.outcome is None:
        return None
    sequence = first_sequence(content.revision)
    return PriorDecision(
        decision_id=decision_id(content.source, content.content_id, content.revision, sequence),
        sequence=sequence,
        outcome=routing.outcome,
        labels=routing.labels,
    )


def requested(routed: Routed, why: Why, prior: PriorDecision | None, now: datetime) -> ReviewRequested:
    """The request for a review; the same revision and reason give the same review."""
    content, routing = routed.content, routed.routing
    return ReviewRequested(
        source=content.source,
        content_id=content.content_id,
        review_id=review_id(content.source, content.content_id, content.revision, why),
        revision=content.revision,
        content=content,
        why=why,
        queue=routing.queue,
        priority=routing.priority,
        coin=routing.coin,
        scores=routed.scores,
        embedding=routed.embedding,
        prior=prior,
        policy_version=routed.policy_version,
        bundle_version=routed.bundle_version,
        requested_at=now,
    )


def reopenable(routed: Routed, now: datetime) -> ReviewRequested:
    """The request for a review of an approved revision, should reports ask for one.

    Reporters choose what they report: no coin has drawn it, and its stratum says so.
    """
    asked = requested(routed, Why.REPORTED, audited(routed), now)
    coin = Coin(u=routed.routing.u, inclusion_probability=1.0, stratum=REPORTED)
    return asked.model_copy(update={"coin": coin, "embedding": None})


def reported(event: ContentReported, raised: RaisedReview | None, now: datetime) -> ReviewReported:
    """A report as reviewers hear of it, without its reporter."""
    return ReviewReported(
        source=event.source,
        content_id=event.content_id,
        report_id=event.report_id,
        reason=event.reason,
        note=event.note,
        reported_at=event.reported_at,
        received_at=now,
        raised=raised,
    )


def cancelled(source: str, content_id: str, up_to: int, now: datetime, *, withdrawn: bool = False) -> ReviewCancelled:
    """Open reviews up to a revision are no longer needed."""
    return ReviewCancelled(
        source=source,
        content_id=content_id,
        up_to_revision=up_to,
        why="withdrawn" if withdrawn else "superseded",
        cancelled_at=now,
    )
