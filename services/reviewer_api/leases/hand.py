"""How much one reviewer may hold and give back. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from secondlook.common.contract.policy import ReviewPolicy
from secondlook.common.errors import Conflict

COUNTED = timedelta(hours=1)  # how far back `returned` and `judged` look


class LeaseEnd(StrEnum):
    """How a lease ended without a verdict."""

    RELEASED = "released"
    SKIPPED = "skipped"
    ESCALATED = "escalated"
    EXPIRED = "expired"  # it ran out, and somebody else took the item
    TAKEN_BACK = "taken_back"  # by a lead


@dataclass(frozen=True, slots=True)
class Hand:
    """One reviewer's items: `live` leases; `returned` unjudged and `judged` within the last hour.

    A lease that ran out and a verdict that was undone count as returned, an item that a lead took back does not.
    Verdicts that were given together count as one.
    """

    live: int
    returned: int
    judged: int


def ensure_room(hand: Hand, limits: ReviewPolicy, whose: str = "you hold") -> int:
    """How many more items the reviewer may lease; at least one.

    Raises:
        Conflict: `too_many_leases`.
    """
    room = limits.max_leases - hand.live
    if room < 1:
        raise Conflict(
            "too_many_leases",
            f"{whose} {hand.live} items and the policy allows {limits.max_leases}: judge, skip or release some first; "
            "GET /v1/review/leases lists them",
        )
    return room


def ensure_judges(hand: Hand, limits: ReviewPolicy) -> None:
    """Raises Conflict, `too_many_returns`, where a reviewer gives back far more than they judge."""
    if hand.returned > limits.max_returns + hand.judged:
        raise Conflict(
            "too_many_returns",
            f"in the last hour you gave back, let go or undid {hand.returned} items and judged {hand.judged}; the "
            f"policy allows {limits.max_returns} more than were judged: judge what you hold, or wait",
        )
