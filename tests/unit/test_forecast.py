"""What a side that is off still needs: the words, and that the number of items is the fewest that would do."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondlook.common.bundle.certificates import upper_bound
from secondlook.common.bundle.sides import APPROVE
from secondlook.trainer.evidence.certify import SideOff, Strictest, most_wrong
from secondlook.trainer.evidence.forecast import Supply, enough, missing, when


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 0.9), st.floats(0.005, 0.2), st.floats(1e-6, 0.1))
def test_so_many_items_certify_at_this_share_of_errors_and_no_fewer(part: float, epsilon: float, delta: float) -> None:
    n = enough(part * epsilon, epsilon, delta)
    assert n is not None
    assert math.ceil(part * epsilon * n) <= most_wrong(n, epsilon, delta)
    if n > 2:
        assert upper_bound(math.ceil(part * epsilon * (n - 1)), n - 1, delta) > epsilon


def test_no_number_of_items_certifies_a_share_that_is_too_high() -> None:
    assert enough(0.02, 0.01, 0.01) is None


@pytest.mark.parametrize(
    ("off", "supply", "words"),
    [
        (SideOff(APPROVE, "", 50, 200), Supply(100, 30), "about 300 more certify items, in about 2 months"),
        (SideOff(APPROVE, "", 90, 100), Supply(100, 700), "about 100 more certify items, in about 1 day at"),
        (SideOff(APPROVE, "", 90, 100), Supply(100, 0), "about 100 more certify items, and none came"),
        (SideOff(APPROVE, "", 0, 200), Supply(0, 30), "no item is in its reach yet"),
        (SideOff(APPROVE, "", 500, 200, Strictest(9, 300)), Supply(1000, 30), "a model that is wrong less often"),
        (SideOff(APPROVE, "", 500, 200, Strictest(3, 300)), Supply(1000, 30), "a model that is wrong less often"),
        (SideOff(APPROVE, "", 500, 200, Strictest(1, 300)), Supply(1000, 100), "more certify items, in about "),
    ],
)
def test_what_is_missing_is_said_in_words(off: SideOff, supply: Supply, words: str) -> None:
    assert words in missing(off, supply, 0.01, 0.01)


@pytest.mark.parametrize(
    ("more", "a_week", "words"),
    [
        (10, 70.0, "in about 1 day "), (30, 70.0, "in about 3 days "), (150, 70.0, "in about 2 weeks "),
        (700, 70.0, "in about 2 months "), (70_000, 70.0, "in about 19 years "),
        (1_000_000, 7.0, "in about 2,740 years at last week's traffic (7 a week)"),
    ],
)  # fmt: skip
def test_a_time_is_said_in_the_largest_unit_that_fits_twice(more: int, a_week: float, words: str) -> None:
    assert words in when(more, a_week)
