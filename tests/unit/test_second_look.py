"""Second looks: whose answers are doubted, and the review that comes of a doubt."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from secondlook.common.contract.events import (
    Coin,
    PriorDecision,
    SecondLookRequested,
    Why,
    decision_id,
    first_sequence,
    review_id,
)
from secondlook.common.contract.fields import Outcome
from secondlook.common.errors import InvalidInput
from secondlook.reviewer_api.review.reasons import confirms
from secondlook.reviewer_api.review.second_looks import PastReview, second_look
from secondlook.reviewer_api.review.tasks import State
from secondlook.trainer.data.dataset import Dataset, Judged, RevisionKey, build
from secondlook.trainer.data.second_looks import MOST, doubts
from secondlook.trainer.data.splits import Split
from tests.integration.review_world import START, prior, requested

LATER = START.replace(year=2027)
ASKED = SecondLookRequested(source="forum", content_id="a", revision=1, reason="looks wrong", requested_at=LATER)


def decision(number: int, outcome: Outcome, *labels: str) -> PriorDecision:
    sequence = first_sequence(1) + number
    return PriorDecision(
        decision_id=decision_id("forum", "a", 1, sequence), sequence=sequence, outcome=outcome, labels=labels
    )


def review(said: PriorDecision | None, *reviewers: str, state: State = State.PUBLISHED, **more: Any) -> PastReview:
    return PastReview(asked=requested("a", **more), state=state, decision=said, reviewers=reviewers)


def test_it_is_like_the_first_review_but_for_who_may_get_it() -> None:
    first = review(decision(0, "approve"), "ann", "bob", queue="photos", priority=7)
    look = second_look(ASKED, [first])
    assert look is not None
    assert look.request == first.asked.model_copy(
        update={
            "review_id": review_id("forum", "a", 1, Why.SECOND_LOOK),
            "why": Why.SECOND_LOOK,
            "prior": decision(0, "approve"),
            "requested_at": LATER,
            "content": first.asked.content.model_copy(update={"created_at": LATER}),  # as old as it was then
        }
    )
    assert look.request.coin == Coin(u=0.25, inclusion_probability=0.5, stratum="certify")
    assert look.excluded == ("ann", "bob")


def test_it_looks_at_the_decision_in_force() -> None:
    by_model = prior("a", "reject", "spam", "hate")
    overturned = review(decision(1, "approve"), "ann", why=Why.AUDIT, prior=by_model)
    confirmed = review(decision(1, "reject", "hate", "spam"), "ann", why=Why.AUDIT, prior=by_model)
    appealed = review(decision(2, "reject", "hate"), "lea", why=Why.APPEAL, prior=decision(1, "approve"), queue="leads")
    late = review(decision(3, "reject", "spam", "hate"), "bob", why=Why.SECOND_LOOK, prior=by_model)
    for reviews, expected in (
        ([overturned], decision(1, "approve")),
        ([confirmed], by_model),
        ([appealed, overturned], decision(2, "reject", "hate")),
        ([late, appealed, overturned], decision(2, "reject", "hate")),  # `late` left things as they were before
    ):
        look = second_look(ASKED, reviews)
        assert look is not None
        assert look.request.prior == expected
        assert (
            look.request.queue == min(reviews, key=lambda one: one.decision.sequence if one.decision else 0).asked.queue
        )


def test_nobody_who_judged_it_in_any_review_gets_it() -> None:
    waiting = review(None, "eve", state=State.PENDING, why=Why.APPEAL, prior=decision(0, "approve"))
    look = second_look(ASKED, [waiting, review(decision(0, "approve"), "ann", "bob"), review(None, "ann")])
    assert look is not None
    assert look.excluded == ("ann", "bob", "eve")


def test_what_cannot_be_looked_at_again_says_why() -> None:
    with pytest.raises(InvalidInput) as unknown:
        second_look(ASKED, [])
    assert unknown.value.reason == "unknown_revision"
    for state in (State.PENDING, State.LEASED, State.DECIDED):
        with pytest.raises(InvalidInput) as unsettled:
            second_look(ASKED, [review(decision(0, "approve"), state=state), review(None, state=State.SUPERSEDED)])
        assert unsettled.value.reason == "not_settled"
    for state in (State.SUPERSEDED, State.WITHDRAWN):
        assert second_look(ASKED, [review(None, state=state)]) is None, "nobody needs it any more"


@given(st.sampled_from(Why), st.sampled_from([("approve",), ("reject", "spam"), ("reject", "hate", "spam")]))
def test_only_audits_and_second_looks_confirm_and_only_what_was_said_before(
    why: Why, said: tuple[Outcome, str]
) -> None:
    before = decision(0, "reject", "spam", "hate")
    expected = why in (Why.AUDIT, Why.SECOND_LOOK) and set(said) == {"reject", "spam", "hate"}
    assert confirms(why, before, said[0], said[1:]) is expected
    assert not confirms(why, None, said[0], said[1:])


def judged(number: int, spam: bool, split: Split, *, review: bool = True) -> Judged:
    item = RevisionKey("forum", f"c{number}", 1) if review else None
    return Judged(f"text {chr(97 + number)}", {"spam": spam}, split, "uncertain", 1.0, "forum", None, number, item)


def scored(rows: list[Judged], probability: list[float]) -> tuple[Dataset, NDArray[np.float64]]:
    """The data set, with the probability of each row."""
    data = build(["spam"], rows, starter_until=0)
    by_text = {row.text: p for row, p in zip(rows, probability, strict=True)}
    return data, np.array([[by_text[text]] for text in data.texts])


@pytest.mark.parametrize("split", ["train", "calibrate", "certify", "gold"])
def test_only_what_is_fitted_or_calibrated_on_is_doubted(split: Split) -> None:
    rows = [judged(0, True, split), *[judged(n, n % 2 == 0, "train") for n in range(1, 9)]]
    data, unseen = scored(rows, [0.001, *[0.9 if row.labels["spam"] else 0.1 for row in rows[1:]]])
    found = [doubt.content_id for doubt in doubts(["spam"], data, unseen)]
    assert found == (["c0"] if split in ("train", "calibrate") else [])


def test_the_least_likely_comes_first_and_only_items_of_the_queue() -> None:
    wrong = [judged(0, True, "train"), judged(1, False, "calibrate"), judged(2, True, "train", review=False)]
    right = [judged(n, n % 2 == 0, "train") for n in range(3, 13)]
    data, unseen = scored([*wrong, *right], [0.04, 0.99, 0.001, *[0.9 if r.labels["spam"] else 0.1 for r in right]])
    found = doubts(["spam"], data, unseen)
    assert [(doubt.content_id, doubt.given) for doubt in found] == [("c1", False), ("c0", True)]
    assert found[0].reason == "spam: people said no; a model that had not learned from it gives that 0.010"


def test_an_item_is_doubted_once_for_the_worst_of_its_labels() -> None:
    items = [Judged(f"text {chr(97 + n)}", {"hate": n % 2 == 0, "spam": n % 2 == 0}, "train", "uncertain", 1.0, "forum",
                    None, n, RevisionKey("forum", f"c{n}", 1)) for n in range(10)]  # fmt: skip
    data = build(["hate", "spam"], items, starter_until=0)
    unseen = np.where(data.targets == 1, 0.9, 0.1)
    unseen[0] = [0.2, 0.02]
    (doubt,) = doubts(["hate", "spam"], data, unseen)
    assert (doubt.content_id, doubt.label, round(doubt.score, 3)) == ("c0", "spam", 0.02)


def test_what_no_model_has_scored_is_not_doubted_and_there_is_an_end() -> None:
    rows = [Judged(f"{n:b} x".replace("0", "o").replace("1", "i"), {"spam": n % 2 == 0}, "train", "uncertain", 1.0,
                   "forum", None, n, RevisionKey("forum", f"c{n}", 1)) for n in range(3 * MOST)]  # fmt: skip
    data = build(["spam"], rows, starter_until=0)
    wrong = np.where(np.arange(len(rows)) % 3 == 0, 1 - data.targets[:, 0], data.targets[:, 0])[:, None]
    assert len(doubts(["spam"], data, 0.05 + 0.9 * wrong)) == MOST
    assert doubts(["spam"], data, np.full_like(data.targets, np.nan)) == []
    empty = build(["spam"], [], starter_until=0)
    assert doubts(["spam"], empty, np.empty((0, 1))) == []
