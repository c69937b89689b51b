"""Whether harm has become more common than expected, overall or on one topic, whenever that began. Pure.

For every moment at which a rise may have begun, the likelihood of what followed under higher odds is held against that
of what was expected; the sum over all moments is the statistic of Shiryaev and Roberts, an e-detector (Shin, Ramdas and
Rinaldo 2024). While nothing rises it grows by one an item at most in expectation, and so does the sum of those of all
topics, as an item has one topic. By Doob's inequality their mean reaches c within n items with a chance of at most n/c.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from scipy.special import betaincinv

from secondlook.common.bundle.classifier import Floats
from secondlook.trainer.noticing.topics import Topics

ODDS = (1.5, 3.0, 8.0)  # times the odds that were expected
CHANCE, ITEMS = 0.05, 1_000  # of a false notice within so many items, and again whenever their number has grown e-fold
BINS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7)  # of the score, where what is expected differs
TOPIC_BINS = (0.2,)  # within a topic, of which there is less
REPORTED = -1  # the topic of what users had reported
LAG, LEAST = 100, 300  # newest items that expect nothing yet; items before anything is expected
CAUTION, TOPIC_CAUTION = 0.8, 0.65  # of the upper bound of what is expected: the past is a sample, too
LOW, HIGH = 1e-3, 0.95


@dataclass(slots=True)
class Rise:
    """The statistic over a row of items, by odds."""

    sums: list[float] = field(default_factory=lambda: [0.0] * len(ODDS))

    def add(self, expected: float, harmful: bool) -> None:
        """Take in an item that was harmful with a chance of at most `expected`."""
        expected = min(max(expected, LOW), HIGH)
        for i, times in enumerate(ODDS):
            odds = times * expected / (1 - expected)
            raised = odds / (1 + odds)
            ratio = raised / expected if harmful else (1 - raised) / (1 - expected)
            self.sums[i] = (1 + self.sums[i]) * ratio

    @property
    def statistic(self) -> float:
        return sum(self.sums) / len(ODDS)


@dataclass(slots=True)
class Expectation:
    """How often people found harm in items of like scores, by one model, some time ago. It bounds that from above, with
    a chance of `caution`, once it has taken in `least`."""

    caution: float = CAUTION
    least: int = LEAST
    found: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    newest: list[tuple[tuple[int, int], bool]] = field(default_factory=list)
    items: int = 0

    def add(self, place: tuple[int, int], harmful: bool) -> float | None:
        """What was to be expected of an item of this topic and range of scores, before it is taken in; None if that is
        unknown."""
        harm, of = self.found.get(place, (0, 0))
        expected = float(betaincinv(harm + 1, of - harm + 1, self.caution)) if self.items >= self.least else None
        self.newest.append((place, harmful))
        self.items += 1
        if len(self.newest) > LAG:
            old, was = self.newest.pop(0)
            harm, of = self.found.get(old, (0, 0))
            self.found[old] = harm + was, of + 1
        return expected


@dataclass(slots=True)
class HarmDetector:
    """Watches the judgements of one model's items. `items`: since the last notice."""

    items: int = 0
    overall: Rise = field(default_factory=Rise)
    by_topic: dict[int, Rise] = field(default_factory=dict)
    expectation: Expectation = field(default_factory=Expectation)
    topic_expectation: Expectation = field(default_factory=lambda: Expectation(TOPIC_CAUTION, least=0))
    topics: Topics = field(default_factory=Topics)

    def add(self, score: float, harmful: bool, embedding: Floats | None = None, *, reported: bool = False) -> bool:
        """Take in an item with this highest score; True if harm has risen. After that it begins anew.

        What users had reported is a topic of its own: they point to where one must look. Any other item without an
        embedding counts for no topic.
        """
        expected = self.expectation.add((0, _bin(BINS, score)), harmful)
        topic = self.topics.of(embedding) if embedding is not None else None
        topic = REPORTED if reported else topic
        if topic is not None:
            within = self.topic_expectation.add((topic, _bin(TOPIC_BINS, score)), harmful)
            if within is not None:
                self.by_topic.setdefault(topic, Rise()).add(within, harmful)
        if expected is None:
            return False
        self.items += 1
        self.overall.add(expected, harmful)
        statistic = (self.overall.statistic + sum(rise.statistic for rise in self.by_topic.values())) / 2
        if statistic < math.e * max(self.items, ITEMS / math.e) / CHANCE:
            return False
        self.items, self.overall, self.by_topic = 0, Rise(), {}
        return True


def _bin(edges: Sequence[float], score: float) -> int:
    return sum(score >= edge for edge in edges)
