"""That harm has risen is noticed soon, and hardly ever when it has not."""

import numpy as np
import pytest

from secondlook.trainer.noticing.rise import LAG, LEAST, Expectation, Rise


def noticed(n: int, seed: int, *, change: int | None = None, share: float = 0.2, biased: float = 1.0) -> int | None:
    """After how many items harm is noticed: scores that say little or much, harmful as they say times a factor, and
    from `change` on a share of new harm that scores hardly show.
    """
    rng = np.random.default_rng(seed)
    scores = rng.beta(0.4, 2, n)
    harmful = rng.random(n) < np.clip(scores * biased, 0, 1)
    if change is not None:
        new = (np.arange(n) >= change) & (rng.random(n) < share)
        scores, harmful = np.where(new, rng.beta(1, 4, n), scores), harmful | new
    expectation, rise = Expectation(), Rise()
    for i in range(n):
        expected = expectation.add(float(scores[i]), bool(harmful[i]))
        if expected is not None and rise.add(expected, bool(harmful[i])):
            return i
    return None


@pytest.mark.parametrize("biased", [0.5, 1.0, 1.4], ids=["fewer than it says", "as it says", "more than it says"])
def test_where_nothing_changes_nothing_is_noticed(biased: float) -> None:
    """Whatever the model gets wrong, people have found it so from the beginning."""
    found = [noticed(1_500, seed, biased=biased) for seed in range(60)]
    assert sum(at is not None for at in found) <= 60 * 0.1 + 3, "5 % in 1,000 items, and a little more"


@pytest.mark.parametrize(("share", "within"), [(0.2, 400), (0.4, 200)])
def test_new_harm_is_noticed_soon_whenever_it_begins(share: float, within: int) -> None:
    for change in (600, 2_000):
        found = [noticed(change + within, seed, change=change, share=share) for seed in range(25)]
        assert sum(at is not None and at >= change for at in found) >= 22


def test_nothing_is_expected_before_enough_was_seen_and_the_newest_items_expect_nothing() -> None:
    expectation = Expectation()
    assert [expectation.add(0.1, False) for _ in range(LEAST)] == [None] * LEAST
    quiet = expectation.add(0.1, False)
    assert quiet is not None
    for _ in range(LAG - 1):
        expectation.add(0.1, True)
    after = expectation.add(0.1, True)
    assert after is not None
    assert after <= quiet, "a rise does not excuse itself while it is new"


def test_after_a_notice_it_begins_anew() -> None:
    rise = Rise()
    assert [rise.add(0.05, True) for _ in range(9)].count(True) >= 1
    fresh = Rise()
    while not fresh.add(0.05, True):
        pass
    assert fresh.sums == [0.0] * len(fresh.sums)
    assert not fresh.add(0.05, False)
