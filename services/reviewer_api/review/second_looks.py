"""A second look: from the published reviews of a revision to a new one, by somebody who does not know it. Pure.

The new review is like the first one in all that a reviewer sees, the age of the content included, and in the coin that
drew the item: its labels keep the probability with which the item was sampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from secondlook.common.contract.events import (
    ContentSubmitted,
    PriorDecision,
    ReviewRequested,
    SecondLookRequested,
    Why,
    review_id,
)
from secondlook.common.errors import FieldProblem, InvalidInput
from secondlook.reviewer_api.review.reasons import confirms
from secondlook.reviewer_api.review.tasks import State


@dataclass(frozen=True, slots=True, kw_only=True)
class PastReview:
    """A review that may decide: its request, its state, and who knows it: whoever has judged it, undone judgements
    included, skipped it or handed it to the leads.

    `decision` is its own verdict, None without one.
    """

    asked: ReviewRequested
    state: State
    decision: PriorDecision | None
    reviewers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecondLook:
    """A review to be. `excluded`: who never gets it."""

    request: ReviewRequested
    excluded: tuple[str, ...]


def second_look(asked: SecondLookRequested, reviews: Sequence[PastReview]) -> SecondLook | None:
    """The review that it asks for, given those of the same revision; None if all of them were closed unjudged.

    Raises:
        InvalidInput: `unknown_revision` or `not_settled`; the same request works later, once there is a verdict.
    """
    if not reviews:
        problem = FieldProblem("revision", "no review of it is known here, or only gold ones")
        raise InvalidInput([problem], reason="unknown_revision")
    if all(review.state in (State.SUPERSEDED, State.WITHDRAWN) for review in reviews):
        return None
    verdicts = [
        (review, _stands(review.asked, review.decision))
        for review in reviews
        if review.state is State.PUBLISHED and review.decision is not None
    ]
    if not verdicts:
        raise InvalidInput([FieldProblem("revision", "its review has no verdict yet")], reason="not_settled")
    first = min(verdicts, key=lambda found: _sequence(found[0].decision))[0]
    again_after = asked.requested_at - first.asked.requested_at
    request = first.asked.model_copy(
        update={
            "content": _aged(first.asked.content, again_after),
            "review_id": review_id(asked.source, asked.content_id, asked.revision, Why.SECOND_LOOK),
            "why": Why.SECOND_LOOK,
            "prior": max((decision for _, decision in verdicts), key=_sequence),
            "requested_at": asked.requested_at,
        }
    )
    return SecondLook(request, tuple(sorted({name for review in reviews for name in review.reviewers})))


def _aged(content: ContentSubmitted, by: timedelta) -> ContentSubmitted:
    """The content as old as it was when people were asked first: its age must not tell that they are asked again."""
    try:
        return content.model_copy(update={"created_at": content.created_at + by})
    except OverflowError:  # an upstream clock in the year 9999
        return content


def _stands(asked: ReviewRequested, decision: PriorDecision) -> PriorDecision:
    """The decision in force after this review: the one before it, if it only confirmed that."""
    if asked.prior is not None and confirms(asked.why, asked.prior, decision.outcome, decision.labels):
        return asked.prior
    return decision


def _sequence(decision: PriorDecision | None) -> int:
    return decision.sequence if decision is not None else 0
