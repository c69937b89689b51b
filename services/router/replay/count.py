"""Counts what a replay would change. Pure."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from secondlook.common.contract.events import ContentSubmitted
from secondlook.router.routing import Routing

ROUTES = ("approve", "reject", "review")


@dataclass(frozen=True, slots=True)
class Fate:
    """Where an item went, or would go. `asked`: a person sees it, in review or as an audit."""

    route: str
    asked: bool
    labels: tuple[str, ...]
    scores: Mapping[str, float] | None
    reason: str

    @classmethod
    def of(cls, routing: Routing, scores: Mapping[str, float] | None) -> "Fate":
        return cls(routing.route, routing.why is not None, routing.labels, scores, routing.reason)


@dataclass(frozen=True, slots=True)
class ReplayedItem:
    """A revision before and after."""

    content: ContentSubmitted
    before: Fate
    after: Fate

    @property
    def flips(self) -> bool:
        return self.before.route != self.after.route

    @property
    def deciding(self) -> Sequence[str]:
        """The labels of the rejection before or after; without a rejection the label with the highest score."""
        if rejected := {*self.before.labels, *self.after.labels}:
            return sorted(rejected)
        scores = self.after.scores or self.before.scores or {}
        return [max(scores, key=lambda label: scores[label])] if scores else []


@dataclass(frozen=True, slots=True)
class Part:
    """So many items, and their share of all that were replayed; None of none."""

    items: int
    share: float | None

    def __str__(self) -> str:
        return f"{self.items:,}" if self.share is None else f"{self.items:,} ({self.share:.1%})"


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """How a label's scores differ over `n` items that both sides scored: means before and after, and of the absolute
    differences the mean, the 95th percentile and the largest."""

    n: int
    before: float
    after: float
    mean: float
    p95: float
    largest: float


@dataclass(frozen=True, slots=True)
class Tally:
    """What changes. `routes` counts by the route before, then by the route after. `review` is what people are asked
    about, audits of automatic decisions included. `labels` counts rejections by a label, and flips by what decides.
    `scores`: by label, where two models scored the same items.
    """

    items: int
    routes: Mapping[str, Mapping[str, int]]
    flips: Part
    review: Mapping[str, Part]
    automatic: Mapping[str, Part]
    labels: Mapping[str, Mapping[str, int]]
    scores: Mapping[str, ScoreChange]


def tally(items: Sequence[ReplayedItem]) -> Tally:
    """Count what changes."""
    moves = Counter((item.before.route, item.after.route) for item in items)
    counts = {
        "rejected_before": Counter(label for item in items for label in item.before.labels),
        "rejected_after": Counter(label for item in items for label in item.after.labels),
        "flips": Counter(label for item in items if item.flips for label in item.deciding),
    }

    def both(counts: Callable[[Fate], bool]) -> dict[str, Part]:
        before, after = (
            part_of(items, lambda item: counts(item.before)),
            part_of(items, lambda item: counts(item.after)),
        )
        return {"before": before, "after": after}

    scored = {label for item in items for label in {*(item.before.scores or ()), *(item.after.scores or ())}}
    return Tally(
        items=len(items),
        routes={before: {after: moves[before, after] for after in ROUTES} for before in ROUTES},
        flips=part_of(items, lambda item: item.flips),
        review=both(lambda fate: fate.asked),
        automatic=both(lambda fate: fate.route != "review"),
        labels={label: {k: n[label] for k, n in counts.items()} for label in sorted(scored.union(*counts.values()))},
        scores={label: change for label in sorted(scored) if (change := score_change(items, label)) is not None},
    )


def score_change(items: Sequence[ReplayedItem], label: str) -> ScoreChange | None:
    """How the scores of a label changed; None where no item has one on both sides."""
    pairs = [
        (item.before.scores[label], item.after.scores[label])
        for item in items
        if item.before.scores and item.after.scores and label in item.before.scores and label in item.after.scores
    ]
    if not pairs:
        return None
    before, after = zip(*pairs, strict=True)
    changes = sorted(abs(new - old) for old, new in pairs)
    return ScoreChange(
        len(pairs),
        fmean(before),
        fmean(after),
        fmean(changes),
        changes[math.ceil(0.95 * len(changes)) - 1],
        changes[-1],
    )


def part_of(items: Sequence[ReplayedItem], counts: Callable[[ReplayedItem], bool]) -> Part:
    """Those of the items that count."""
    number = sum(map(counts, items))
    return Part(number, number / len(items) if items else None)
