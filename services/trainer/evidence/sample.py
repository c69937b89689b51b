"""What certificates rest on: items in the order in which people were asked about them. Pure.

Every item was to be judged with a known probability, and an item counts for a side only if the side could decide it. To
make what counts a uniform sample of a side's region, an item counts if its coin lies below the share that was judged of
what the side decides: whatever the model decided at the time, the coin did not look at scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Array, Bools, Scopes
from secondlook.common.bundle.sides import Side, as_routed, in_scope, reach, usable

NOBODY = -1


@dataclass(frozen=True, slots=True, eq=False)
class Witnesses:
    """`sole` int[n, labels]: the person on whose word alone a target rests, negative for nobody's. `others`
    [n, labels]: the target without that person, NaN where nobody else judged it.
    """

    sole: NDArray[np.int64]
    others: NDArray[Any]

    def versions(self, targets: Array) -> list[Array]:
        """The targets, and the targets without each person's judgements. One person alone is not left out."""
        people = np.unique(self.sole[self.sole >= 0]).tolist()
        judged = ~np.isnan(targets)
        if len(people) == 1 and np.all(self.sole[judged] >= 0) and np.isnan(self.others[judged]).all():
            return [targets]
        return [targets, *(np.where(self.sole == person, self.others, targets) for person in people)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """n items that the model did not learn from, in the order in which people were asked.

    `scores` float[n, labels] of the model; `scopes` uint8[n]: whether it was made for the texts. `targets` [n, labels]:
    1, 0, NaN unknown. `waiting` bool[n]: nobody has judged the item yet. `gone` bool[n]: it was withdrawn or superseded
    before anybody did. `u` float[n] is the coin; `approve`, `reject` float[n]: the shares of what was approved, and
    rejected, that people judged then. `automatable` bool[n]: the policy leaves the item to sides. `numbers` int[n] grow
    with the order. `clusters`: n times the keys that an item shares with copies, and with other texts of its author.
    `declared` bool[n]: of a file that people declared to be a uniform sample.
    """

    labels: tuple[str, ...]
    scores: Array
    scopes: Scopes
    targets: Array
    waiting: Bools
    gone: Bools
    u: Array
    approve: Array
    reject: Array
    automatable: Bools
    numbers: NDArray[np.int64]
    clusters: tuple[tuple[bytes, ...], ...]
    declared: Bools
    people: Witnesses | None = None

    def __post_init__(self) -> None:
        rows = {len(getattr(self, name)) for name in ROWS}
        width = {self.scores.shape[1:], self.targets.shape[1:]}
        if len(rows) != 1 or width != {(len(self.labels),)}:
            raise ValueError(f"rows {sorted(rows)}, labels {sorted(width)} do not fit {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def versions(self) -> list[Array]:
        """The targets, and the targets without each person's judgements."""
        return [self.targets] if self.people is None else self.people.versions(self.targets)

    def of(self, side: Side, mark: int) -> "SideSample":
        """What counts for a side, without what was asked up to `mark`."""
        floor = self.approve if side.label is None else self.reject
        acted_on = usable(self.scores) & in_scope(side, self.scopes) & self.automatable
        rows = np.flatnonzero(acted_on & (self.u < floor) & (self.numbers > mark))
        keys = reach(side, self.labels, as_routed(self.scores[rows]))
        waiting, gone = self.waiting[rows], self.gone[rows]
        outcomes = []
        for targets in self.versions:
            known, wrong = judged(side, self.labels, targets[rows])
            wrong = (wrong & known & ~gone) | waiting
            right = known & ~wrong & ~gone
            outcomes.append(Outcomes(wrong, right & ~_repeated([self.clusters[row] for row in rows], right)))
        known, _ = judged(side, self.labels, self.targets[rows])
        return SideSample(keys, tuple(outcomes), waiting, gone, known & ~waiting & ~gone, self.declared[rows])


ROWS = (
    "scores", "scopes", "targets", "waiting", "gone", "u", "approve", "reject", "automatable", "numbers", "clusters",
    "declared",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """bool[n]: what counts as decided wrongly, and what as decided rightly; the rest counts for nothing."""

    wrong: Bools
    right: Bools


@dataclass(frozen=True, slots=True, eq=False)
class SideSample:
    """The items of one side, in order. `keys` float[n]: how far the side has to reach to decide each.

    `outcomes`: with all judgements, then without each person's. What waits counts as wrong; of right items that share a
    cluster the first counts, and of wrong ones each.
    """

    keys: Array
    outcomes: tuple[Outcomes, ...]
    waiting: Bools
    gone: Bools
    known: Bools
    declared: Bools


def judged(side: Side, labels: Sequence[str], targets: Array) -> tuple[Bools, Bools]:
    """(whether it is known, whether it is wrong) bool[n] if the side decides each item of targets[n, labels]."""
    if side.label is None:
        return judge_approvals(targets)
    answers = targets[:, labels.index(side.label)]
    return ~np.isnan(answers), answers == 0


def judge_approvals(targets: Array) -> tuple[Bools, Bools]:
    """(whether it is known, whether it is wrong) bool[n] to approve items of targets[n, labels] (1, 0, NaN unknown)."""
    wrong = (targets == 1).any(axis=1)
    return wrong | ~np.isnan(targets).any(axis=1), wrong


def _repeated(clusters: Sequence[tuple[bytes, ...]], right: Bools) -> Bools:
    """bool[n]: an earlier right item shares a key with this one."""
    seen: set[bytes] = set()
    found = np.zeros(len(clusters), np.bool_)
    for row in np.flatnonzero(right).tolist():
        found[row] = not seen.isdisjoint(clusters[row])
        seen.update(clusters[row])
    return found


def plain_sample(labels: Sequence[str], scores: Array, targets: Array, **more: Any) -> Sample:
    """A sample of items that people judged, each its own cluster, with `more` of the fields of `Sample`."""
    n = len(scores)
    fields: Mapping[str, Any] = {
        "scopes": np.zeros(n, np.uint8), "waiting": np.zeros(n, np.bool_), "gone": np.zeros(n, np.bool_),
        "u": np.zeros(n), "approve": np.ones(n), "reject": np.ones(n), "automatable": np.ones(n, np.bool_),
        "numbers": np.arange(1, n + 1), "clusters": tuple((number.to_bytes(8),) for number in range(n)),
        "declared": np.zeros(n, np.bool_), **more,
    }  # fmt: skip
    targets = np.asarray(targets, np.float64)
    return Sample(labels=tuple(labels), scores=np.asarray(scores, np.float64), targets=targets, **fields)
