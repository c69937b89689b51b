"""Sequences: the first decision of a revision, and every later one, has a number that no other has."""

from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.contract.events import SEQUENCE_STRIDE, ReviewRequested, Why, first_sequence
from secondlook.reviewer_api.review.handler import number, sort
from tests.integration.review_world import cancelled, items, prior, requested


@st.composite
def reviews(draw: st.DrawFn) -> ReviewRequested:
    why = draw(st.sampled_from(Why))
    again = why in (Why.AUDIT, Why.APPEAL, Why.SECOND_LOOK, Why.REPORTED)
    content = draw(st.sampled_from("ab"))
    return requested(content, why=why, prior=prior(content, "approve") if again else None)


@given(st.lists(reviews(), max_size=8, unique_by=lambda review: review.review_id))
def test_no_two_reviews_lead_to_the_same_decision(asked: list[ReviewRequested]) -> None:
    tasks = number(sort(items(asked)).requests, {})
    assert len({task.decision_id for task in tasks}) == len(tasks)
    for task in tasks:
        if task.request.prior is not None:
            assert task.request.prior.sequence < task.sequence < first_sequence(1) + SEQUENCE_STRIDE
        else:
            assert task.sequence == first_sequence(1)


def test_a_later_review_counts_on_from_those_that_exist() -> None:
    asked = sort(items([requested("a", why=Why.APPEAL, prior=prior("a", "approve"))])).requests
    assert [task.sequence for task in number(asked, {})] == [first_sequence(1) + 1]
    assert [task.sequence for task in number(asked, {("forum", "a", 1): 1030})] == [1031]


def test_a_request_closes_what_is_older_than_it() -> None:
    batch = sort(items([requested("a"), requested("a", 5), cancelled("b", 2)]))
    closures = [(c.content_id, c.up_to_revision, c.why) for c in batch.closures]
    assert closures == [("a", 4, "superseded"), ("b", 2, "withdrawn")]
