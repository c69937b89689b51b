"""From audited decisions and routed items to errors, overturned decisions and prevalence."""

import pytest

from secondlook.trainer.quality.figures import (
    AuditedDecision,
    RoutedItem,
    assisted_prevalence,
    audited_errors,
    overturned,
    shares,
)

DECISIONS = [
    AuditedDecision("approve", (), {"hate": False, "spam": False}, True),
    AuditedDecision("approve", (), {"hate": True, "spam": False}, True),
    AuditedDecision("approve", (), {"spam": False}, True),  # hate was not judged, so nobody knows
    AuditedDecision("approve", (), {"hate": True, "spam": True}, False),
    AuditedDecision("reject", ("hate", "spam"), {"hate": False, "spam": True}, True),
    AuditedDecision("reject", ("spam",), {"hate": True, "spam": False}, True),
    AuditedDecision("reject", ("spam",), {"hate": False}, True),
]


def test_errors_of_each_side_are_those_of_the_uniform_sample() -> None:
    found = audited_errors(DECISIONS, ["hate", "spam"])
    assert (found.approve.k, found.approve.n) == (1, 2)
    assert {label: (one.k, one.n) for label, one in found.reject.items()} == {"hate": (1, 1), "spam": (1, 2)}


def test_overturned_are_decisions_with_another_outcome_however_they_were_chosen() -> None:
    found = overturned(DECISIONS)
    assert (found.k, found.n) == (3, 7), "a rejection for another label stays a rejection"


def test_without_audits_nothing_is_known() -> None:
    found = audited_errors([], ["spam"])
    for one in (found.approve, found.reject["spam"], overturned([])):
        assert (one.value, one.k, one.n, one.low, one.high) == (None, 0, 0, 0, 1)
    assert audited_errors([], []).reject == {}
    assert assisted_prevalence([]) == {}


def test_a_share_counts_the_items_where_the_label_was_judged() -> None:
    found = shares([{"spam": True}, {"spam": False}, {"hate": True}, {}], ["spam"])
    assert (found["spam"].k, found["spam"].n) == (1, 2)


def test_prevalence_weighs_what_the_coin_chose_and_leaves_out_items_without_a_score() -> None:
    items = [
        RoutedItem("review", {"spam": 0.5}, {"spam": True}, 0.1),  # chosen for sure
        RoutedItem("approve", {"spam": 0.1}, {"spam": False}, 0.5),
        RoutedItem("approve", {"spam": 0.1}, None, None),
        RoutedItem("approve", {"hate": 0.2}, None, None),
    ]
    found = assisted_prevalence(items)
    assert found["spam"].n == 2
    assert found["spam"].value == pytest.approx((0.5 + 0.1 + 0.1) / 3 + (0.5 / 1 - 0.1 / 0.5) / 3)
    assert (found["hate"].value, found["hate"].n) == (None, 0)
