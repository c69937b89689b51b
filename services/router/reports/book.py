"""The reports of the pieces of content in a batch, and what follows from them. Pure.

What reports ask for depends on which reports there are, never on the order in which they and the content came: a report
that comes first waits here until its content does.
"""

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from secondlook.common.contract.fields import Scores
from secondlook.common.contract.policy import Policy
from secondlook.common.contract.reports import ContentReported
from secondlook.common.errors import FieldProblem, ReportReused
from secondlook.router.identity.standing import Key
from secondlook.router.reports.rule import Complaint, Opinion, ReporterRecord, opinion, reports_worth

MOST_KEPT = 1_000  # reports of one piece of content; the lightest go

ReportKey = tuple[str, str]  # source and report_id
Rank = tuple[bool, int, float, str]  # of a report: the lowest goes first
ASKED, WAITING = "asked", "waiting"


class KeptReport(NamedTuple):
    """A row of `report`. `counted`: the router has read it from the bus; until then, HTTP has accepted it, and it is in
    no `ReportBook.reports`.

    `answered`: the sequence of the decision by which a person answered it.
    """

    content_id: str
    reporter: str
    reason: str
    note: str | None
    reported_at: datetime
    received_at: datetime
    counted: bool = True
    answered: int | None = None
    upheld: bool | None = None


class Approved(NamedTuple):
    """What was approved automatically: a request for its review, as JSON, should reports ask for one."""

    revision: int
    request: str
    author_id: str | None


class LatestRevision(NamedTuple):
    """Where the latest revision of a piece of content went. `drawn`: the coin chose it for people."""

    route: str
    scores: Scores | None
    drawn: bool


class Reopening(NamedTuple):
    """A row of `reopening`, by (source, content_id, revision): reports ask for a person."""

    unproven: bool
    state: str


@dataclass(slots=True)
class ReportBook:
    """What is stored, changed by what a batch brings. The last four public fields are what changed.

    `trials`: how many more items may go to people now on the word of unproven reporters alone.
    """

    reports: dict[Key, dict[str, KeptReport]] = field(default_factory=dict)
    owners: dict[ReportKey, KeptReport] = field(default_factory=dict)  # by id: also those of other content
    records: Mapping[ReportKey, ReporterRecord] = field(default_factory=dict)  # by source and reporter
    approved: dict[Key, Approved | None] = field(default_factory=dict)
    latest: dict[Key, LatestRevision] = field(default_factory=dict)
    trials: int = 0
    changed: dict[ReportKey, KeptReport] = field(default_factory=dict)
    dropped: set[ReportKey] = field(default_factory=set)
    kept: dict[Key, Approved | None] = field(default_factory=dict)
    reopenings: dict[tuple[str, str, int], Reopening] = field(default_factory=dict)
    # What was computed of the reports as they are now, so that a flood of them costs little.
    _ranks: dict[Key, list[Rank]] = field(default_factory=dict)
    _worth: dict[Key, int] = field(default_factory=dict)
    _heard: set[Key] = field(default_factory=set)

    def take(self, event: ContentReported, now: datetime) -> bool:
        """Keep a report; whether it is new and kept.

        Raises:
            ReportReused: another report has its id.
        """
        key, at = (event.source, event.content_id), (event.source, event.report_id)
        report = KeptReport(event.content_id, event.reporter, event.reason, event.note, event.reported_at, now)
        known = self.owners.get(at)
        if known is not None:
            ensure_same(event, known)
            report = known._replace(reported_at=min(known.reported_at, event.reported_at), counted=True)
        new = known is None or not known.counted
        if report != known:
            self._keep(key, at, report)
        return new and at[1] in self.reports.get(key, {})

    def _keep(self, key: Key, at: ReportKey, report: KeptReport) -> None:
        mine = self.reports.setdefault(key, {})
        if at[1] not in mine and len(mine) >= MOST_KEPT:
            ranks = self._ranks.get(key) or sorted(self._rank(key, name, each) for name, each in mine.items())
            self._ranks[key] = ranks
            own = self._rank(key, at[1], report)
            if own < ranks[0]:
                self.owners.pop(at, None)
                self.dropped.add(at)
                return
            self._drop(key, ranks.pop(0)[-1])
            insort(ranks, own)
        else:
            self._ranks.pop(key, None)
        mine[at[1]] = self.owners[at] = self.changed[at] = report
        self._worth.pop(key, None)
        self._heard.discard(key)

    def _drop(self, key: Key, name: str) -> None:
        at = (key[0], name)
        del self.reports[key][name], self.owners[at]
        self.changed.pop(at, None)
        self.dropped.add(at)

    def _rank(self, key: Key, name: str, report: KeptReport) -> Rank:
        weight = self._record(key, report).weight
        return report.answered is None, weight, -report.reported_at.timestamp(), name

    def _record(self, key: Key, report: KeptReport) -> ReporterRecord:
        return self.records.get((key[0], report.reporter), ReporterRecord())

    def _open(self, key: Key, but: str | None = None) -> Iterable[Complaint]:
        for report in self.reports.get(key, {}).values():
            if report.answered is None and report.reporter != but:
                yield Complaint(report.reporter, report.reason, report.reported_at, self._record(key, report))

    def worth(self, key: Key) -> int:
        """How many reports those of this content count as that nobody has answered."""
        if key not in self._worth:
            self._worth[key] = reports_worth(self._open(key)) if key in self.reports else 0
        return self._worth[key]

    def approve(self, key: Key, approved: Approved | None) -> None:
        """Keep the request for a review, should the latest revision be reported; None: there is nothing to keep."""
        self.approved[key] = self.kept[key] = approved
        self._heard.discard(key)

    def asks(self, key: Key, policy: Policy | None) -> Approved | None:
        """The approval that reports send to a person now; None where they do not, or it has to wait for its turn."""
        approved = self.approved.get(key)
        if policy is None or policy.reports is None or approved is None or key in self._heard:
            return None
        self._heard.add(key)
        # An author who reports their own content asks for nothing.
        asked = opinion(self._open(key, approved.author_id), policy.reports)
        if asked is Opinion.NOTHING:
            return None
        trial = asked is Opinion.TRIAL
        waits = trial and self.trials <= 0
        self.trials -= trial and not waits
        self.reopenings[(*key, approved.revision)] = Reopening(trial, WAITING if waits else ASKED)
        return None if waits else approved


def ensure_same(event: ContentReported, known: KeptReport) -> None:
    """Raises ReportReused if the report that is known under the event's id says something else."""
    if (known.content_id, known.reporter, known.reason, known.note) != (
        event.content_id, event.reporter, event.reason, event.note,
    ):  # fmt: skip
        problem = f"{event.report_id!r} of {event.source} is the id of a report that is known with other content"
        raise ReportReused([FieldProblem("report_id", f"{problem}; give every report an id of its own")])
