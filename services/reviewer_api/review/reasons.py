"""What the reason for a review means for its verdict and for what its reviewer sees: one row a reason. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from secondlook.common.contract.events import PriorDecision, Why
from secondlook.common.contract.fields import Outcome

Shown = Literal["review", "no_bundle", "kill_switch", "appeal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewReason:
    """What follows from being asked for this reason.

    `decides`: a verdict may become a decision, so the review has a sequence number and belongs to the content's
        history. Where false the verdict only measures the reviewer.
    `confirms`: a verdict that equals the decision before it leaves that decision in force and publishes none.
    `audits`: the decision before it is the model's, and its verdicts measure how often that is wrong.
    `shows_scores`: its reviewer may see the classifier's scores, where the deployment shows scores at all.
    `shown_as`: what its reviewer reads as the reason; `review` for all that must look alike.
    """

    decides: bool
    confirms: bool
    audits: bool
    shows_scores: bool
    shown_as: Shown


REASONS: Mapping[Why, ReviewReason] = {
    Why.UNCERTAIN: ReviewReason(decides=True, confirms=False, audits=False, shows_scores=True, shown_as="review"),
    Why.AUDIT: ReviewReason(decides=True, confirms=True, audits=True, shows_scores=False, shown_as="review"),
    Why.NO_BUNDLE: ReviewReason(decides=True, confirms=False, audits=False, shows_scores=True, shown_as="no_bundle"),
    Why.KILL_SWITCH: ReviewReason(
        decides=True, confirms=False, audits=False, shows_scores=True, shown_as="kill_switch"
    ),
    Why.APPEAL: ReviewReason(decides=True, confirms=False, audits=False, shows_scores=False, shown_as="appeal"),
    Why.SECOND_LOOK: ReviewReason(decides=True, confirms=True, audits=False, shows_scores=False, shown_as="review"),
    Why.GOLD: ReviewReason(decides=False, confirms=False, audits=False, shows_scores=False, shown_as="review"),
}
# For queries that leave out what decides nothing.
DECIDING = [why.value for why, reason in REASONS.items() if reason.decides]


def confirms(why: Why, prior: PriorDecision | None, outcome: Outcome, labels: tuple[str, ...]) -> bool:
    """Whether a verdict leaves the decision before it in force."""
    if prior is None or not REASONS[why].confirms:
        return False
    return (prior.outcome, set(prior.labels)) == (outcome, set(labels))
