"""What the reason for a review means for its verdict and for what its reviewer sees: one row a reason. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from secondlook.common.contract.events import PriorDecision, Why
from secondlook.common.contract.fields import Outcome

Shown = Literal["review", "appeal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewReason:
    """What follows from being asked for this reason.

    `decides`: a verdict may become a decision, so the review has a sequence number and belongs to the content's
        history. Where false the verdict only measures the reviewer.
    `confirms`: a verdict that equals the decision before it leaves that decision in force and publishes none.
    `measures`: the item was sampled with a known probability, so that its verdicts are evidence. Where false, somebody
        chose it, and its judgements say nothing of other items.
    `audits`: the decision before it is the model's, and its verdicts measure how often that is wrong.
    `shown_as`: what its reviewer reads as the reason; `review` for all that must look alike. What tells that nothing
        is decided automatically at the moment would tell audits, second looks and gold items from the rest.
    """

    decides: bool
    confirms: bool
    audits: bool
    shown_as: Shown
    measures: bool = True


REASONS: Mapping[Why, ReviewReason] = {
    Why.UNCERTAIN: ReviewReason(decides=True, confirms=False, audits=False, shown_as="review"),
    Why.AUDIT: ReviewReason(decides=True, confirms=True, audits=True, shown_as="review"),
    Why.NO_BUNDLE: ReviewReason(decides=True, confirms=False, audits=False, shown_as="review"),
    Why.KILL_SWITCH: ReviewReason(decides=True, confirms=False, audits=False, shown_as="review"),
    Why.APPEAL: ReviewReason(decides=True, confirms=False, audits=False, shown_as="appeal"),
    Why.SECOND_LOOK: ReviewReason(decides=True, confirms=True, audits=False, shown_as="review"),
    # The reporters wait for the answer, so that it is published also where it confirms the decision before it.
    Why.REPORTED: ReviewReason(decides=True, confirms=False, audits=False, shown_as="review", measures=False),
    Why.REVERSAL: ReviewReason(decides=True, confirms=False, audits=False, shown_as="review"),
    Why.GOLD: ReviewReason(decides=False, confirms=False, audits=False, shown_as="review"),
}
# For queries that leave out what decides nothing.
DECIDING = [why.value for why, reason in REASONS.items() if reason.decides]


def confirms(why: Why, prior: PriorDecision | None, outcome: Outcome, labels: tuple[str, ...]) -> bool:
    """Whether a verdict leaves the decision before it in force."""
    if prior is None or not REASONS[why].confirms:
        return False
    return (prior.outcome, set(prior.labels)) == (outcome, set(labels))
