"""What the order of the review queue brings and costs: `python -m bench.priority`.

Made-up days of items with calibrated scores are reviewed by a fixed number of people. `peak`: three hours bring more
than they can do, the rest of the day less. `overload`: every hour brings an eighth more than they can do. Harm is what
harmful content does while it waits, weighed by severity: `harm_seen` counts views, half of which come in the first two
hours, `harm_minutes` counts the waiting alone; both as shares of the same day's in order of arrival. Waits are in
minutes. `label_bits` is what the model did not know of an item that was judged by noon, when the peak ends.
`audits_judged` is the share of what the coin drew that anybody looked at by the end of the day, and `audit_bias` how
much more harm that promises than all of it: at 1 it is the uniform sample that certificates need.

A figure's ending names the order: none is `secondlook.router.priority`; `_half` and `_double` give its points that
worth; `_without_...` leaves out a term; `_strict` always puts what has the most points first (10 a report up to 10, and
100 times the expected harm). Figures are medians over the seeds. The world is a guess: it shows how large each effect
is beside its price, not what your traffic will do.
"""

import heapq
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.report import report
from secondlook.common.bundle.arrays import Array
from secondlook.router.priority import MAX_SEVERITY, points

DAY = 24 * 60
NOON = 12 * 60
REVIEWERS, MINUTES_AN_ITEM = 8, 0.5
CALM, PEAK, OVERLOAD = 10, 26, 18  # items a minute, where the reviewers do 16
PEAK_BEGINS, PEAK_ENDS = 9 * 60, 12 * 60
HALF_LIFE = 120  # minutes in which half of the people who will ever see an item have seen it
SEVERITIES = np.array([5, 3, 2])
AUDITS = 0.1  # share of the queue: what was decided automatically and drawn by the coin
DRAWN_OF_REVIEWS = 0.02  # share that the coin draws of what is reviewed anyway
REPORTS_OF_HARM, REPORTS_OF_NONE = 0.6, 0.06  # a report an item, on average, when it is routed
SEEDS = 12
TARGETS = {
    "peak_harm_seen": 0.5,
    "peak_harm_minutes": 0.5,
    "overload_harm_seen": 0.5,
    "overload_harm_minutes": 0.5,
    "overload_audits_judged": 0.8,
}
SHARES = ("harm_seen", "harm_minutes")  # of what they are in order of arrival
SHOWN = {
    "peak": (*SHARES, "wait_longest", "label_bits"),
    "overload": (*SHARES, "wait_longest", "audits_judged", "audit_bias"),
}


@dataclass(frozen=True, slots=True)
class Items:
    """A day of items for review, in order of arrival, a row each."""

    arrived: Array  # minutes
    scores: Array  # a column a label: calibrated, so these are the chances of harm as well
    harm: Array  # true severity as a share of the highest; 0 where there is no harm
    reach: NDArray[np.int64]
    reports: NDArray[np.int64]
    drawn: NDArray[np.bool_]  # by the coin, out of all traffic

    @property
    def expected(self) -> Array:
        """Expected harm, as the router sees it."""
        return np.asarray((self.scores * SEVERITIES / MAX_SEVERITY).max(axis=1))


def day(rates: Array, seed: int) -> Items:
    """Items at `rates` a minute: most uncertain of one of the labels, audits sure that there is none."""
    random = np.random.default_rng(seed)
    counts = random.poisson(rates)
    n = int(counts.sum())
    arrived = np.sort(np.repeat(np.arange(len(rates)), counts) + random.random(n))
    audit = random.random(n) < AUDITS
    scores = random.beta(0.5, 30, (n, len(SEVERITIES)))
    leading = np.where(audit, random.beta(0.3, 20, n), np.clip(random.beta(1, 2, n), 0.05, 0.95))
    scores[np.arange(n), random.integers(0, len(SEVERITIES), n)] = leading
    harm = ((random.random(scores.shape) < scores) * SEVERITIES / MAX_SEVERITY).max(axis=1)
    reach = (10 ** random.normal(2, 1, n)).astype(np.int64)
    reports = random.poisson(np.where(harm > 0, REPORTS_OF_HARM, REPORTS_OF_NONE))
    drawn = audit | (random.random(n) < DRAWN_OF_REVIEWS)
    return Items(arrived, scores, np.asarray(harm), reach, reports, drawn)


def ahead(items: Items, without: str = "") -> Array:
    """Minutes ahead of its turn for each item, by the router's rule without one of its terms, or without what it makes
    of items that were drawn."""
    terms: dict[str, Any] = {
        "harm": items.expected.tolist(),
        "doubt": (4 * items.scores * (1 - items.scores)).max(axis=1).tolist(),
        "reach": items.reach.tolist(),
        "reports": items.reports.tolist(),
    }
    if without in terms:
        terms[without] = [0] * len(items.arrived)
    by_value = np.array([points(*row) for row in zip(*terms.values(), strict=True)], float)
    others = np.random.default_rng(0).choice(by_value[~items.drawn], len(by_value))  # as `Places` of the router picks
    return by_value if without == "drawn" else np.where(items.drawn, others, by_value)


def strict(items: Items) -> Array:
    """So many minutes that age only breaks ties."""
    return (10 * np.minimum(items.reports, 10) + np.round(100 * items.expected)) * DAY


ORDERS: dict[str, Callable[[Items], Array]] = {
    "_fifo": lambda items: np.zeros(len(items.arrived)),
    "_strict": strict,
    "": ahead,
    "_half": lambda items: ahead(items) / 2,
    "_double": lambda items: ahead(items) * 2,
    "_without_harm": lambda items: ahead(items, "harm"),
    "_without_doubt": lambda items: ahead(items, "doubt"),
    "_without_reach": lambda items: ahead(items, "reach"),
    "_without_reports": lambda items: ahead(items, "reports"),
    "_without_drawn": lambda items: ahead(items, "drawn"),
}


def judged_at(arrived: Array, minutes_ahead: Array) -> Array:
    """When each item is judged by the reviewers, who always take the one of the lowest rank; inf: not on that day."""
    ranks = (arrived - minutes_ahead).tolist()
    free = [0.0] * REVIEWERS
    waiting: list[tuple[float, int]] = []
    judged = np.full(len(arrived), math.inf)
    coming, n = 0, len(arrived)
    while coming < n or waiting:
        now = heapq.heappop(free)
        if not waiting and arrived[coming] > now:
            now = arrived[coming]
        while coming < n and arrived[coming] <= now:
            heapq.heappush(waiting, (ranks[coming], coming))
            coming += 1
        if now >= DAY:
            break
        judged[heapq.heappop(waiting)[1]] = now + MINUTES_AN_ITEM
        heapq.heappush(free, now + MINUTES_AN_ITEM)
    return judged


def measure(items: Items, minutes_ahead: Array) -> dict[str, float]:
    """The figures of a day under an order."""
    judged = judged_at(items.arrived, minutes_ahead)
    waited = np.minimum(judged, DAY) - items.arrived
    seen = items.reach * (1 - 2 ** (-waited / HALF_LIFE))
    p = np.clip(items.scores, 1e-9, 1 - 1e-9)
    bits = -(p * np.log2(p) + (1 - p) * np.log2(1 - p)).sum(axis=1)
    looked_at = items.drawn & np.isfinite(judged)
    return {
        "harm_seen": float(items.harm @ seen),
        "harm_minutes": float(items.harm @ waited),
        "wait_longest": float(waited.max()),
        "label_bits": float(bits[judged <= NOON].mean()),
        "audits_judged": float(looked_at.sum() / items.drawn.sum()),
        "audit_bias": float(items.expected[looked_at].mean() / items.expected[items.drawn].mean()),
    }


def compare(scenario: str, rates: Array) -> dict[str, float]:
    """Medians of the scenario's figures over the seeds, by name and order."""
    runs: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        items = day(rates, seed)
        found = {order: measure(items, minutes_ahead(items)) for order, minutes_ahead in ORDERS.items()}
        for name in SHOWN[scenario]:
            whole = found["_fifo"][name] if name in SHARES else 1.0
            for order, measured in found.items():
                if name not in SHARES or order != "_fifo":
                    runs.setdefault(f"{scenario}_{name}{order}", []).append(measured[name] / whole)
    return {name: round(float(np.median(values)), 3) for name, values in runs.items()}


def main() -> int:
    """Exit status 1 when a target is missed."""
    minutes = np.arange(DAY)
    peak = np.where((minutes >= PEAK_BEGINS) & (minutes < PEAK_ENDS), PEAK, CALM).astype(float)
    figures = {**compare("peak", peak), **compare("overload", np.full(DAY, float(OVERLOAD)))}
    settings = {
        "reviewers": REVIEWERS, "minutes_an_item": MINUTES_AN_ITEM, "calm": CALM, "peak": PEAK, "overload": OVERLOAD,
        "half_life": HALF_LIFE, "audits": AUDITS, "seeds": SEEDS,
    }  # fmt: skip
    report("priority", figures, TARGETS, settings)
    least = "overload_audits_judged"  # of the others the target is the most
    return int(any((figures[name] < target) == (name == least) for name, target in TARGETS.items()))


if __name__ == "__main__":
    sys.exit(main())
