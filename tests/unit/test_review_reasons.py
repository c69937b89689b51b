"""The table of review reasons: each reason, and what follows from it."""

from typing import get_args
from uuid import uuid4

from secondlook.common.contract.events import PriorDecision, Why, review_id
from secondlook.reviewer_api.review.reasons import DECIDING, REASONS, Shown, confirms

# Reason: decides, confirms, is another review of its revision than the first one; and what is shown.
TABLE = {
    Why.UNCERTAIN: ("d--", "review"),
    Why.AUDIT: ("dcr", "review"),
    Why.NO_BUNDLE: ("d--", "review"),
    Why.KILL_SWITCH: ("d--", "review"),
    Why.APPEAL: ("d-r", "appeal"),
    Why.SECOND_LOOK: ("dcr", "review"),
    Why.GOLD: ("--r", "review"),
    Why.REPORTED: ("d-r", "review"),
    Why.REVERSAL: ("d--", "review"),
}


def test_the_table() -> None:
    first = review_id("forum", "a", 1, Why.UNCERTAIN)
    found = {}
    for why, reason in REASONS.items():
        again = review_id("forum", "a", 1, why) != first
        marks = zip("dcr", (reason.decides, reason.confirms, again), strict=True)
        found[why] = ("".join(mark if holds else "-" for mark, holds in marks), reason.shown_as)
    assert found == TABLE
    assert set(REASONS) == set(Why)


def test_what_a_reviewer_must_not_tell_apart_looks_alike() -> None:
    blind = {why for why, reason in REASONS.items() if reason.shown_as == "review"}
    assert blind == set(Why) - {Why.APPEAL}
    assert {reason.shown_as for reason in REASONS.values()} == set(get_args(Shown))


def test_only_gold_decides_nothing() -> None:
    assert set(Why) - {Why(value) for value in DECIDING} == {Why.GOLD}


def test_what_confirms_nothing_before_it_decides() -> None:
    before = PriorDecision(decision_id=uuid4(), sequence=1024, outcome="reject", labels=("spam",))
    confirming = {why for why in Why if confirms(why, before, "reject", ("spam",))}
    assert confirming == {Why.AUDIT, Why.SECOND_LOOK}
    assert not any(confirms(why, before, "reject", ("hate",)) or confirms(why, None, "approve", ()) for why in Why)


def test_only_what_users_chose_to_report_measures_nothing_by_itself() -> None:
    """Reversals give no probability in the first place, and gold items have one that says so."""
    assert {why for why, reason in REASONS.items() if not reason.measures} == {Why.REPORTED}
