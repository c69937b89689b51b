"""Whether harm has become more common than expected, at whatever moment that began. Pure.

For every moment at which a rise may have begun, the likelihood of what followed under higher odds is held against that
of what was expected; the sum over all moments is the statistic of Shiryaev and Roberts, an e-detector (Shin, Ramdas and
Rinaldo 2024). While nothing rises it grows by one an item at most in expectation, so by Doob's inequality it reaches c
within n items with a chance of at most n/c.
"""

import math
from dataclasses import dataclass, field

from scipy.special import betaincinv

ODDS = (1.5, 3.0, 8.0)  # times the odds that were expected
CHANCE, ITEMS = 0.05, 1_000  # of a false notice within so many items, and again whenever their number has grown e-fold
BINS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7)  # of the score, where what is expected differs
LAG, LEAST = 100, 300  # newest items that expect nothing yet; items before anything is expected
CAUTION = 0.8  # of the upper bound of what is expected: the past is a sample, too
LOW, HIGH = 1e-3, 0.95


@dataclass(slots=True)
class Rise:
    """The detector. `statistic` since the last notice, over `items`."""

    items: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0] * len(ODDS))

    def add(self, expected: float, harmful: bool) -> bool:
        """Take in an item that was harmful with a chance of at most `expected`; True if harm has risen.

        After that it begins anew.
        """
        self.items += 1
        expected = min(max(expected, LOW), HIGH)
        for i, times in enumerate(ODDS):
            odds = times * expected / (1 - expected)
            raised = odds / (1 + odds)
            ratio = raised / expected if harmful else (1 - raised) / (1 - expected)
            self.sums[i] = (1 + self.sums[i]) * ratio
        if sum(self.sums) / len(ODDS) < math.e * max(self.items, ITEMS / math.e) / CHANCE:
            return False
        self.sums = [0.0] * len(ODDS)
        return True


@dataclass(slots=True)
class Expectation:
    """How often people found harm in items of like scores, by one model, some time ago. It bounds that from above."""

    found: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)] * (len(BINS) + 1))
    newest: list[tuple[int, bool]] = field(default_factory=list)
    items: int = 0

    def add(self, score: float, harmful: bool) -> float | None:
        """What was to be expected of an item with this highest score, before it is taken in; None if that is
        unknown."""
        place = sum(score >= edge for edge in BINS)
        harm, of = self.found[place]
        expected = float(betaincinv(harm + 1, of - harm + 1, CAUTION)) if self.items >= LEAST else None
        self.newest.append((place, harmful))
        self.items += 1
        if len(self.newest) > LAG:
            old, was = self.newest.pop(0)
            harm, of = self.found[old]
            self.found[old] = harm + was, of + 1
        return expected
