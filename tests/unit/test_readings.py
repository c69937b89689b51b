"""Which readings of a text count: all of a long or disguised one, and of a short one's windows those that speak for
themselves."""

import numpy as np

from secondlook.common.bundle.features import FeatureSpec
from secondlook.common.bundle.readings import SHORT, readings

FRIENDLY = "What a lovely morning it was in the garden. "
SPEC = FeatureSpec(version=2)


def test_a_window_of_a_short_text_counts_only_where_its_label_is_more_likely_than_not() -> None:
    found = readings([FRIENDLY * 3], SPEC)
    assert found.glimpses.any()
    first, windows = -4.0, [-0.1] * (len(found.rows) - 1)
    assert found.highest(np.array([[first], *[[each] for each in windows]]))[0, 0] == first
    windows[-1] = 0.3
    assert found.highest(np.array([[first], *[[each] for each in windows]]))[0, 0] == 0.3


def test_every_window_of_a_long_text_counts() -> None:
    text = FRIENDLY * (SHORT // len(FRIENDLY) + 2)
    found = readings([text], SPEC)
    assert not found.glimpses.any()
    assert found.highest(np.array([[-4.0], *[[-1.0]] * (len(found.rows) - 1)]))[0, 0] == -1.0


def test_what_a_disguise_hides_counts_whatever_it_scores() -> None:
    found = readings(["you are an i.d.i.o.t"], SPEC)
    assert len(found.rows) == 2
    assert found.highest(np.array([[-4.0], [-1.0]]))[0, 0] == -1.0
