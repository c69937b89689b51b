"""What is noted of each item of `bench.loop`, and the thresholds of the strategies."""

from collections.abc import Collection
from dataclasses import dataclass

from bench.loop_data import Row, Said, wrong
from secondlook.common.bundle.sides import Side
from secondlook.common.contract.fields import Outcome
from secondlook.common.contract.policy import Thresholds


@dataclass(frozen=True, slots=True)
class Decided:
    """What a strategy did with an item: an outcome, or None for review; and whether a person looked at it."""

    outcome: Outcome | None
    labels: tuple[str, ...]
    reviewed: bool

    def wrong(self, said: Said) -> bool:
        """Whether it was decided automatically, and wrongly."""
        return self.outcome is not None and wrong(self.outcome, self.labels, said)


@dataclass(frozen=True, slots=True)
class Step:
    """One item: the loop, fixed thresholds and full automation on the same scores, and what the reviewer would say."""

    row: Row
    loop: Decided
    fixed: Decided
    automatic: Decided
    answer: Said
    approves: bool


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed what is decided: after `items` items, `what` (promoted, kept, certified, alarm, …)."""

    items: int
    what: str
    detail: str
    side: Side | None = None  # that an alarm switched off


def by_hand(labels: Collection[str], least: float) -> Thresholds:
    """Reject at `least` or more, approve at 1 - `least` or less."""
    return Thresholds(approve=1 - least, reject=dict.fromkeys(labels, least))
