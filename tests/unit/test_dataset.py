"""Splits, and the data set that is made of judgements."""

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from secondlook.trainer.data.dataset import Judged, build
from secondlook.trainer.data.splits import Draw, Split, group_keys, own_draw, split_at


def judged(text: str, labels: dict[str, bool], split: Split = "train", **more: Any) -> Judged:
    return Judged(text, labels, split, **{"stratum": "uncertain", "inclusion_probability": 1.0, "source": "forum",
                                          "language": None, **more})  # fmt: skip


WORDS = [f"{a} {b}" for a in ("red", "green", "blue") for b in ("sun", "moon", "star", "sky")]


def test_starter_examples_stand_in_until_people_have_spoken() -> None:
    said = [judged(text, {"spam": number % 2 == 0}) for number, text in enumerate(WORDS[:10])]
    both = build(["hate", "spam"], said, starter_until=11)
    alone = build(["hate", "spam"], said, starter_until=10)
    assert both.people == alone.people == 10
    people = alone.strata != "starter"
    assert np.isnan(alone.targets[~people, 1]).all(), "spam: people have said enough, the starter set is silent"
    assert not np.isnan(both.targets[:, 1]).any()
    assert np.isnan(alone.targets[people, 0]).all(), "hate: people said nothing about it"
    assert build(["heresy"], said, starter_until=500).texts == ()
    assert both.fingerprint != alone.fingerprint
    assert build(["hate", "spam"], said, starter_until=11).fingerprint == both.fingerprint


def test_copies_that_are_fitted_are_one_row_with_the_newest_judgement() -> None:
    said = [
        judged("Buy  now", {"spam": True, "hate": False}),
        judged("other", {"spam": False}),
        judged("buy now", {"spam": False}),
    ]
    data = build(["hate", "spam"], said, starter_until=0)
    assert data.people == len(data.texts) == 2
    assert data.targets[0].tolist() == [0.0, 0.0]


def test_what_certifies_or_compares_has_no_near_copy_in_what_is_fitted_and_keeps_its_own_copies() -> None:
    held = [judged("Win 100 at http://a.example now", {"spam": True}, "certify", stratum="uniform")] * 3
    said = [*held, judged("win 7 at http://b.example NOW!", {"spam": True}), judged("hello", {"spam": False})]
    data = build(["spam"], said, starter_until=0)
    assert [data.texts[i] for i in np.flatnonzero(data.part("train"))] == ["hello"]
    assert data.part("certify").sum() == 3, "copies are traffic"


def test_rows_weigh_what_they_stand_for() -> None:
    said = [judged("a", {"spam": True}), judged("b", {"spam": True}, inclusion_probability=0.2)]
    said.append(judged("c", {"spam": True}, inclusion_probability=0.001))
    assert build(["spam"], said, starter_until=0).weights.tolist() == [1.0, 5.0, 20.0]


def test_splits_have_their_shares_and_only_the_coin_certifies() -> None:
    drawn = [own_draw(group_keys(f"{a} {b} {c}")[0]) for a in WORDS for b in WORDS for c in WORDS]
    uniform = Counter(split_at(Draw(draw), "uniform") for draw in drawn)
    other = Counter(split_at(Draw(draw), "uncertain") for draw in drawn)
    assert set(uniform) == {"gold", "certify"}
    assert set(other) == {"gold", "calibrate", "train"}
    assert 0.07 < uniform["gold"] / len(drawn) < 0.13
    assert 0.11 < other["calibrate"] / len(drawn) < 0.19


@given(st.text(max_size=200))
def test_near_copies_have_one_group(text: str) -> None:
    assert group_keys(text) == group_keys(f"  {text}\n")
    assert group_keys(f"{text} 1!") == group_keys(f"{text} 22?!")
