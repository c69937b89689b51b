"""No single person decides what the gate lets through."""

from typing import Any

import numpy as np
import pytest

from secondlook.common.bundle.arrays import Array
from secondlook.trainer.gate.contested import Contested
from secondlook.trainer.gate.decide import decide
from tests.unit.gate_world import check, drawn, evidence, failed

SLICE = 'spam: eve alone said no to 40 of 40 texts with "so kind"'


def contested(expected: float, challenger: float, active: float, n: int = 40) -> Contested:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.02, n)
    around = (np.clip(np.full(n, mean) + noise, 0.01, 0.99) for mean in (challenger, active))
    return Contested(SLICE, np.full(n, expected), *around)


@pytest.mark.parametrize(
    ("challenger", "active", "promoted"),
    [
        (0.90, 0.90, True),
        (0.10, 0.90, False),  # it has learned what eve alone says
        (0.60, 0.90, False),
        (0.10, 0.10, True),  # it was so before: no worse, and eve's judgements are withheld
        (0.90, 0.10, True),  # it has unlearned it
    ],
)
def test_the_challenger_follows_the_others_where_one_person_contradicts_them(
    challenger: float, active: float, promoted: bool
) -> None:
    decision = decide(evidence(contested=(contested(0.9, challenger, active),)))
    assert decision.promote is promoted
    assert failed(decision) == (set() if promoted else {SLICE})
    if not promoted:
        assert decision.reasons[0].startswith(SLICE), "the report names the slice first"


def test_a_slice_of_few_texts_or_of_a_new_label_is_not_judged() -> None:
    few = contested(0.9, 0.1, 0.9, n=4)
    assert check(decide(evidence(contested=(few,))), SLICE).passed is None
    full = contested(0.9, 0.1, 0.9)
    unknown = Contested(SLICE, full.expected, full.challenger, np.full(40, np.nan))
    assert check(decide(evidence(contested=(unknown,))), SLICE).passed is None


def lying(n: int = 600) -> dict[str, Any]:
    """Eve judged two thirds and always says no, which the challenger has learned; of other items it knows less."""
    truth, logits, rng = drawn(n)
    eve = rng.random(n) < 2 / 3
    p: Array = 1 / (1 + np.exp(-logits))
    challenger = np.where(eve[:, None], 0.02, (0.4 * p + 0.5 * 0.6))
    targets = np.where(eve[:, None], 0.0, truth)
    return {"targets": targets, "challenger": challenger, "active": p, "without": {"without eve": ~eve}}


def test_a_challenger_that_only_one_person_likes_is_kept_out() -> None:
    given = lying()
    decision = decide(evidence(n=600, **given))
    assert check(decision, "gold").passed, "measured by everybody, it looks better"
    assert check(decision, "gold without eve").passed is False
    assert not decision.promote
    assert decide(evidence(n=600, **{**given, "without": {}})).promote, "nothing else keeps it out"


def test_a_challenger_that_is_as_good_passes_without_anybody() -> None:
    people = np.random.default_rng(1).integers(0, 8, 800)
    without = {f"without r{person}": people != person for person in range(8)}
    decision = decide(evidence(n=800, without=without))
    assert decision.promote
    assert all(check(decision, f"gold {name}").passed for name in without)


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="without eve"):
        evidence(without={"without eve": np.ones(3, np.bool_)})
