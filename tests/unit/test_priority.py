"""What goes first, by property: more of what matters never goes later, and nothing goes a whole day ahead."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.contract.events import ContentSubmitted, Why
from secondlook.common.contract.policy import Audit, LabelPolicy, Policy, Thresholds
from secondlook.router.priority import DRAWN, ENOUGH_REPORTS, KEPT, MOST, UNKNOWN_SCORE, Places, points, priority
from secondlook.router.routing import route

DAY = 24 * 60  # minutes: a point is one
SEVERITIES = {"spam": 1, "hate": 4, "csam": 5}
POLICY = Policy(
    name="test", labels={name: LabelPolicy(description=name, severity=level) for name, level in SEVERITIES.items()}
)

shares, reaches, reports_of = st.floats(0, 1), st.integers(0, 2**53 - 1), st.integers(0, 2**31 - 1)
scores_of = st.fixed_dictionaries({label: shares for label in SEVERITIES})


def submitted(**more: Any) -> ContentSubmitted:
    when = datetime(2025, 1, 1, tzinfo=UTC)
    return ContentSubmitted(source="forum", content_id="c", revision=1, text="some text", created_at=when, **more)


def scored(score: float, label: str = "csam", **more: Any) -> int:
    """The priority of an item with one label that could be there."""
    return priority(submitted(**more), {**dict.fromkeys(SEVERITIES, 0.0), label: score}, POLICY)


@given(shares, shares, reaches, reports_of, st.data())
def test_more_of_anything_never_comes_later(
    harm: float, doubt: float, reach: int, reports: int, data: st.DataObject
) -> None:
    before = points(harm, doubt, reach, reports)
    assert points(data.draw(st.floats(harm, 1)), doubt, reach, reports) >= before
    assert points(harm, data.draw(st.floats(doubt, 1)), reach, reports) >= before
    assert points(harm, doubt, data.draw(st.integers(reach, 2**53 - 1)), reports) >= before
    assert points(harm, doubt, reach, data.draw(st.integers(reports, 2**31 - 1))) >= before


def test_every_term_matters() -> None:
    calm = points(0.2, 0.5, 100, 1)
    assert min(points(0.4, 0.5, 100, 1), points(0.2, 0.9, 100, 1), points(0.2, 0.5, 999, 1)) > calm
    assert points(0.2, 0.5, 100, 2) > calm
    assert points(0, 0, 0, 0) == 0


@given(st.none() | scores_of, reaches, reports_of, st.sampled_from([None, POLICY]))
def test_nothing_comes_a_day_before_its_turn_or_after_it(
    scores: dict[str, float] | None, reach: int, reports: int, policy: Policy | None
) -> None:
    assert 0 <= priority(submitted(reach=reach, reports=reports), scores, policy) <= MOST < DAY


def test_the_most_is_reached() -> None:
    assert points(1, 1, 10**6, ENOUGH_REPORTS) == points(1, 1, 2**53 - 1, 2**31 - 1) == MOST


@given(shares, reaches, reports_of)
def test_a_more_severe_label_of_the_same_score_comes_first(score: float, reach: int, reports: int) -> None:
    placed = [scored(score, label, reach=reach, reports=reports) for label in ("spam", "hate", "csam")]
    assert placed == sorted(placed)


@given(scores_of, scores_of)
def test_a_label_that_is_more_likely_never_sends_an_item_back_behind_calmer_ones(
    scores: dict[str, float], other: dict[str, float]
) -> None:
    """Where no label becomes more certain, that is: below one half."""
    low = {label: min(scores[label], other[label]) / 2 for label in scores}
    high = {label: max(scores[label], other[label]) / 2 for label in scores}
    assert priority(submitted(), high, POLICY) >= priority(submitted(), low, POLICY)


@given(reaches, reports_of)
def test_without_scores_an_item_stands_in_the_middle(reach: int, reports: int) -> None:
    known: dict[str, Any] = {"reach": reach, "reports": reports}
    unknown = priority(submitted(**known), None, POLICY)
    assert scored(0.1, **known) < unknown < scored(0.9, **known)
    assert unknown == scored(UNKNOWN_SCORE, **known)


@given(reaches, reports_of)
def test_without_a_policy_reports_and_reach_still_order(reach: int, reports: int) -> None:
    placed = priority(submitted(reach=reach, reports=reports), None, None)
    assert 0 < priority(submitted(), None, None) <= placed
    assert placed <= priority(submitted(reach=10**6, reports=ENOUGH_REPORTS), None, None)


@given(scores_of, reaches, reports_of, st.none() | shares, st.dictionaries(st.sampled_from([*SEVERITIES]), shares))
def test_an_audit_stands_where_it_would_stand_in_ordinary_review(
    scores: dict[str, float], reach: int, reports: int, approve: float | None, reject: dict[str, float]
) -> None:
    """Whatever is decided automatically: its place says nothing about it."""
    content = submitted(reach=reach, reports=reports)
    policy = POLICY.model_copy(update={"audit": Audit(certify=0, approve=1, reject=1)})
    asked = route(content, scores, Thresholds(approve=approve, reject=reject), policy, u=0.5)
    ordinary = route(content, scores, Thresholds(), policy, u=0.5)
    assert (asked.queue, asked.priority) == (ordinary.queue, ordinary.priority)
    assert ordinary.why is Why.UNCERTAIN
    assert asked.why is (Why.AUDIT if asked.outcome else Why.UNCERTAIN)


@given(scores_of | st.none(), reaches, reports_of, st.none() | shares, st.booleans())
def test_what_the_coin_drew_is_judged_in_the_order_it_came(
    scores: dict[str, float] | None, reach: int, reports: int, approve: float | None, kill: bool
) -> None:
    """Whatever it is and whatever becomes of it; else the first ones judged would not be a uniform sample."""
    content = submitted(reach=reach, reports=reports)
    policy = POLICY.model_copy(update={"audit": Audit(certify=1), "kill_switch": kill})
    asked = route(content, scores, Thresholds(approve=approve), policy, u=0.5)
    assert (asked.stratum, asked.priority) == ("uniform", DRAWN)


@given(st.lists(st.integers(0, MOST), min_size=1), st.floats(0, 1, exclude_max=True))
def test_what_the_coin_drew_stands_where_one_of_the_last_others_stands(others: list[int], number: float) -> None:
    places = Places()
    assert places.pick(number) == DRAWN, "while there is no other"
    for other in others:
        places.keep(other)
    assert places.pick(number) in others[-KEPT:]
    picked = Counter(places.pick((part + 0.5) / len(others[-KEPT:])) for part in range(len(others[-KEPT:])))
    assert picked == Counter(others[-KEPT:]), "each of them as often"


@pytest.mark.parametrize(
    ("urgent", "calm"),
    [
        ({"score": 0.9}, {"score": 0.3, "label": "hate"}),
        ({"score": 0.5, "reach": 100_000}, {"score": 0.9, "reach": 10}),
        ({"score": 0.2, "reports": 10}, {"score": 0.4}),
        ({"score": 0.9, "label": "hate"}, {"score": 1.0, "label": "spam"}),
        ({"score": 0.5, "label": "spam"}, {"score": 0.01, "label": "spam", "reach": 10**6}),
    ],
)
def test_what_a_lead_expects(urgent: dict[str, Any], calm: dict[str, Any]) -> None:
    assert scored(**urgent) > scored(**calm)
