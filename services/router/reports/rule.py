"""When users' reports send content that was approved automatically to a person. Pure.

Reporters whose reports people upheld weigh more than those whose reports they refused. Accounts cost nothing, so that
a crowd of reporters of whom nothing is known is no evidence of its own: beside reporters with a record they count as
all but one of those that are needed, and what rests on them alone goes to people on trial, a few at a time.

The order in which reports come does not matter, and another report never lowers anything.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from secondlook.common.contract.reports import ReportsPolicy

UNIT = 1000  # weights are whole thousandths, so that sums do not depend on their order
HEAVIEST = 2 * UNIT  # so that no reporter decides alone where reports of weight 3 are needed
LEAST_UPHELD = 0.2  # whose share of upheld reports is smaller weighs nothing
UNPROVEN_MOST = 5  # reports that those without a record count as, at most, for the place in the queue


class ReporterRecord(NamedTuple):
    """What people made of a reporter's earlier reports: pieces of content that they rejected, and approved."""

    upheld: int = 0
    refused: int = 0

    @property
    def weight(self) -> int:
        """In thousandths: 1000 while nothing is known, 2000 at best, 0 where nearly all was refused.

        The square of twice the expected share of upheld reports, with one upheld and one refused presumed of everybody
        (Laplace's rule of succession): whose reports are upheld half as often counts a quarter.
        """
        share = (1 + self.upheld) / (2 + self.upheld + self.refused)
        return min(round(UNIT * (2 * share) ** 2), HEAVIEST) if share >= LEAST_UPHELD else 0

    @property
    def proven(self) -> bool:
        """Whether people upheld at least one report, and not fewer than they refused."""
        return self.upheld > 0 and self.upheld >= self.refused


class Complaint(NamedTuple):
    """A report as far as the rule goes."""

    reporter: str
    reason: str
    at: datetime
    record: ReporterRecord = ReporterRecord()


class Opinion(StrEnum):
    """What the reports of a piece of content ask for."""

    NOTHING = "nothing"
    TRIAL = "trial"  # a person, if not too many items went to people on the word of unproven reporters lately
    PERSON = "person"


def opinion(complaints: Iterable[Complaint], rule: ReportsPolicy) -> Opinion:
    """Whether enough weight comes together within the rule's time, of all reports or of those of one label."""
    given = sorted(complaints, key=lambda one: one.at)
    found = [_reached(given, rule.reopen_after, rule.window)]
    for label, needed in rule.labels.items():
        found.append(_reached([one for one in given if one.reason == label], needed, rule.window))
    return Opinion.PERSON if Opinion.PERSON in found else Opinion.TRIAL if Opinion.TRIAL in found else Opinion.NOTHING


def reports_worth(complaints: Iterable[Complaint]) -> int:
    """How many reports these count as for the place in the queue; a reporter counts once."""
    records = {one.reporter: one.record for one in complaints}
    proven = sum(record.weight for record in records.values() if record.proven)
    unproven = sum(record.weight for record in records.values() if not record.proven)
    return (proven + min(unproven, UNPROVEN_MOST * UNIT)) // UNIT


def _reached(given: Sequence[Complaint], weight: float, window: timedelta) -> Opinion:
    """The best that any stretch of `window` reaches; `given` by time."""
    needed, best = round(weight * UNIT), Opinion.NOTHING
    within: Counter[str] = Counter()
    proven = unproven = first = 0
    for one in given:
        while one.at - given[first].at > window:
            left = given[first]
            within[left.reporter] -= 1
            if not within[left.reporter]:
                proven, unproven = _moved(proven, unproven, left.record, -1)
            first += 1
        if not within[one.reporter]:
            proven, unproven = _moved(proven, unproven, one.record, 1)
        within[one.reporter] += 1
        if proven + min(unproven, needed - UNIT) >= needed:
            return Opinion.PERSON
        if proven + unproven >= needed:
            best = Opinion.TRIAL
    return best


def _moved(proven: int, unproven: int, record: ReporterRecord, sign: int) -> tuple[int, int]:
    weight = sign * record.weight
    return (proven + weight, unproven) if record.proven else (proven, unproven + weight)
