"""What a side that is off still needs: the words, and that the number of items is the fewest that would do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondlook.common.bundle.sequential import enough, evidence, least
from secondlook.common.bundle.sides import APPROVE
from secondlook.common.contract.policy import Risk
from secondlook.trainer.evidence.certify import Certification, SideEvidence, SideOff, all_sides, certify, deltas_of
from secondlook.trainer.evidence.forecast import needed, outlook, when
from secondlook.trainer.evidence.grid import grid
from secondlook.trainer.evidence.sample import plain_sample

RISK = Risk(approve=0.01)


def off(wrong: int, n: int, waiting: int = 0) -> SideOff:
    known = SideEvidence(
        side=APPROVE, threshold=0.1, wrong=wrong, n=n, judged=n - waiting, waiting=waiting, missing=0, declared=0,
        bound=0.02, share=0.5,
    )  # fmt: skip
    return SideOff(APPROVE, "too few", known, delta=0.01)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 0.8), st.floats(0.005, 0.2), st.floats(1e-6, 0.1))
def test_so_many_items_certify_at_this_share_of_errors_and_no_fewer(part: float, epsilon: float, delta: float) -> None:
    n = least(part * epsilon, epsilon, delta)
    assert n is not None
    assert evidence(np.array(math.ceil(part * epsilon * n)), np.array(n), epsilon) >= enough(delta)
    if n > 2:
        fewer = np.array(math.ceil(part * epsilon * (n - 1)))
        assert evidence(fewer, np.array(n - 1), epsilon) < enough(delta)


def test_no_number_of_items_certifies_a_share_that_is_too_high() -> None:
    assert least(0.02, 0.01, 0.01) is None
    assert needed(off(6, 300), RISK, of=1000) is None
    assert needed(off(3, 300), RISK, of=1000) is None, "nor the risk itself"


@pytest.mark.parametrize(
    ("side", "a_week", "words"),
    [
        (SideOff(APPROVE, "nothing"), 30, "judgements of what it would decide are missing"),
        (off(3, 300), 30, "a model that is wrong less often"),
        (off(1, 300), 100, "more judgements, in about "),
        (off(0, 9_000), 30, "judgements that stay as good"),
        (off(0, 300), 100, "more judgements, in about "),
        (off(0, 300), 0, "more judgements, and none came in the last week"),
        (off(9, 300), 30, "a model that is wrong less often"),
        (off(9, 300, waiting=6), 30, "6 items wait for a person, and count as wrong until then"),
    ],
)
def test_what_is_missing_is_said_in_words(side: SideOff, a_week: float, words: str) -> None:
    assert words in outlook(side, RISK, a_week, of=1000)


def test_judgements_outside_the_reach_are_needed_too() -> None:
    """Of 1,000 judgements 250 were in its reach: for one more in reach, four are needed."""
    wanted = least(0, 0.01, 0.01)
    assert wanted is not None
    assert needed(off(0, 250), RISK, of=1000) == 4 * (wanted - 250)
    assert needed(SideOff(APPROVE, "nothing"), RISK, of=1000) is None
    assert outlook(off(0, 250), RISK, 70.0, of=1000) == (
        f"about {4 * (wanted - 250):,} more judgements, {when(4 * (wanted - 250), 70.0)}"
    )


def growing(n: int, risk: Risk) -> Certification:
    """What certifies of n judgements, all right and evenly spread over the side's reach."""
    labels = ("spam",)
    scores = np.asarray(np.arange(1, n + 1) * 0.618034 % 1 * 0.2, np.float64)[:, None]
    grids = {side: grid(side, labels, np.linspace(0, 0.2, 2_000)[:, None]) for side in all_sides(labels)}
    deltas = deltas_of(dict.fromkeys(all_sides(labels), 1), risk, len(labels))
    return certify(plain_sample(labels, scores, np.zeros((n, 1), np.float64)), grids, risk, deltas)


@pytest.mark.parametrize("epsilon", [0.01, 0.03, 0.1])
def test_what_is_needed_certifies_and_little_less_does_not(epsilon: float) -> None:
    risk = Risk(approve=epsilon, reject=epsilon, confidence=0.9)
    for n in (20, 60, 400):
        side = next((each for each in growing(n, risk).off if each.side == APPROVE), None)
        if side is None:
            continue
        more = needed(side, risk, of=n)
        assert more is not None
        assert growing(math.ceil(1.05 * (n + more)), risk).thresholds.approve is not None
        assert growing(math.floor(0.95 * (n + more)), risk).thresholds.approve is None


def test_a_side_that_is_off_never_says_that_its_risk_could_be_certified() -> None:
    risk = Risk(approve=0.1, reject=0.1, confidence=0.9)
    for n in range(1, 200):
        found = growing(n, risk)
        side = next((each for each in found.off if each.side == APPROVE), None)
        if side is None:
            break
        if side.evidence is None:
            continue
        assert side.evidence.bound > risk.approve, n
        assert needed(side, risk, of=n), n
    else:
        pytest.fail("it was never certified")


@pytest.mark.parametrize(
    ("more", "a_week", "words"),
    [
        (10, 70.0, "in about 1 day "), (30, 70.0, "in about 3 days "), (150, 70.0, "in about 2 weeks "),
        (700, 70.0, "in about 2 months "), (70_000, 70.0, "in about 19 years "),
        (1_000_000, 7.0, "in about 2,740 years at last week's pace (7 a week)"),
    ],
)  # fmt: skip
def test_a_time_is_said_in_the_largest_unit_that_fits_twice(more: int, a_week: float, words: str) -> None:
    assert words in when(more, a_week)
