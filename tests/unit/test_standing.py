"""Who stands behind an answer, and how much one person counts."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.trainer.data.dataset import Dataset, Judged, build
from secondlook.trainer.data.splits import Split
from secondlook.trainer.data.standing import NOBODY, REGULAR, capped, standing

NAN = float("nan")
YES, NO = {"spam": True}, {"spam": False}


@pytest.mark.parametrize(
    ("settled", "answers", "sole", "others"),
    [
        (YES, {"ann": YES}, "ann", NAN),
        (YES, {"ann": YES, "bob": YES}, None, 1.0),
        (NO, {"ann": YES, "bob": NO}, "bob", 1.0),
        (NO, {"ann": YES, "bob": YES, "lea": NO}, "lea", 1.0),
        (YES, {"ann": YES, "bob": {}}, "ann", NAN),
        (YES, {"ann": YES, "bob": {"hate": True}}, "ann", NAN),
        (YES, {}, None, 1.0),
        ({}, {"ann": {"hate": True}}, None, NAN),
    ],
)
def test_who_stands_behind_an_answer(
    settled: dict[str, bool], answers: dict[str, dict[str, bool]], sole: str | None, others: float
) -> None:
    found = standing(["spam"], [settled], [answers])
    named = None if found.sole[0, 0] == NOBODY else found.reviewers[found.sole[0, 0]]
    assert named == sole
    assert np.array_equal(found.others[0], [others], equal_nan=True)


people = st.lists(st.integers(0, 400), min_size=1, max_size=12)


@given(people, st.integers(0, 300), st.sampled_from([0.1, 0.25, 0.4]))
def test_nobody_counts_for_more_than_their_share(counts: list[int], shared: int, most: float) -> None:
    rests_on = np.concatenate([np.repeat(np.arange(len(counts)), counts), np.full(shared, NOBODY)])
    weights = capped(rests_on, most)
    regular = sum(count >= REGULAR for count in counts)
    assert np.all((weights > 0) & (weights <= 1))
    assert np.all(weights[rests_on == NOBODY] == 1)
    if regular < 3:
        assert np.all(weights == 1), "with one or two regular reviewers nobody can be cut down"
        return
    total = np.array([weights[rests_on == person].sum() for person in range(len(counts))])
    allowed = max(most, 2 / regular) * weights.sum()
    assert np.all(total <= allowed + 1e-6)
    cut = total < np.array(counts) - 1e-6
    assert np.all(total[cut] >= allowed - 1e-6), "nobody is cut below what is allowed"


def test_a_share_of_one_cuts_nobody_down() -> None:
    assert np.all(capped(np.repeat([0, 1, 2], [5000, 50, 50]), 1.0) == 1)


def judged(text: str, labels: dict[str, bool], person: str, split: Split = "train", **more: Any) -> Judged:
    return Judged(text, labels, split, "uncertain", 1.0, "forum", None, answers={person: labels}, **more)


def spam(data: Dataset) -> tuple[float, str | None]:
    """What the only row says, and on whose word."""
    who = data.standing.rests_on[0]
    return float(data.targets[0, 0]), None if who == NOBODY else data.standing.reviewers[who]


def test_one_person_overrules_no_two_others_by_a_copy() -> None:
    copies = [judged("Buy now", YES, "ann"), judged("buy  now", YES, "bob"), judged("BUY NOW", NO, "eve")]
    assert spam(build(["spam"], copies, starter_until=0)) == (1.0, None)
    assert spam(build(["spam"], [copies[0], copies[2]], starter_until=0)) == (0.0, "eve"), "even: the newest"
    again = [*copies, judged("buy now", NO, "eve")]
    assert spam(build(["spam"], again, starter_until=0)) == (1.0, None), "a person counts once"
    changed = [judged("buy now", YES, "ann"), judged("buy now", NO, "ann")]
    assert spam(build(["spam"], changed, starter_until=0)) == (0.0, "ann")


def test_withheld_rows_are_neither_fitted_nor_compared_but_certify() -> None:
    parts: tuple[Split, ...] = ("train", "calibrate", "gold", "certify")
    rows = [judged(f"text {part}", YES, "ann", part) for part in parts]
    data = build(["spam"], rows, starter_until=0)
    held = data.withholding(np.ones(4, np.bool_))
    assert [int(held.part(part).sum()) for part in parts] == [0, 0, 0, 1]
    assert int(held.part("withheld").sum()) == 3
    assert data.part("withheld").sum() == 0, "the data set itself is not changed"
