"""What users' reports bring back, with half of the reporters in a brigade: `python -m bench.reports`.

1,000 reporters for 14 days. Half of them are honest: some of those who see a harmful item report it within its first
day, a few are wrong about a harmless one. The other half is a brigade of pseudonyms of which nothing is known at first:
every day it picks harmless items and reports each with `SQUAD` of its accounts. `naive` reports nothing else; `careful`
also reports the harmful items that honest users report, with as many accounts, to earn a record. A person judges what
comes back an hour later, and is right.

The rule is the router's own, `secondlook.router.reports.rule`, with the default policy; `plain` counts reports: three
within a day, whoever they are from. `harmful_share` is how much of what came back was harmful, `harmful_found` how much
of what was harmful came back (of what at least three users reported), `brigade_reopened` how many harmless items the
brigade had judged, `late_harmful_share` the first in the second week, when reporters have records. Each with the mean
over the seeds and the ends of a 95 % interval (`_low`, `_high`; Student's t). The world is a guess: it shows how large
the effect is, not what your users do.
"""

import sys
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from scipy import stats

from bench.report import report
from secondlook.common.contract.reports import ReportsPolicy
from secondlook.router.reports.rule import Complaint, Opinion, ReporterRecord, opinion

HONEST, BRIGADE, DAYS, LATE = 500, 500, 14, 7
HARMFUL, HARMLESS = 20, 1_000  # items a day that were approved
SEEN, MISTAKEN = 4.0, 0.05  # honest reports of a harmful item and of a harmless one, on average
PICKED, SQUAD = 60, 8  # harmless items a day that the brigade reports, and accounts for each
SEEDS = 20
JUDGED_AFTER = timedelta(hours=1)
START = datetime(2025, 1, 1, tzinfo=UTC)
RULE = ReportsPolicy()
TARGETS = {"naive_harmful_share": 0.5, "careful_harmful_share": 0.5}


@dataclass(slots=True)
class ReportedItem:
    """An approved item: what it is, what was said of it, and when it came back."""

    harmful: bool
    picked: bool = False
    given: list[tuple[str, datetime]] = field(default_factory=list)
    back_at: datetime | None = None


@dataclass(slots=True)
class Weighed:
    """The router's rule over time: records, the turns of items that rest on unproven reporters, verdicts to come."""

    records: dict[str, list[int]] = field(default_factory=dict)
    trials: deque[tuple[datetime, ReportedItem]] = field(default_factory=deque)
    waiting: deque[ReportedItem] = field(default_factory=deque)
    verdicts: deque[tuple[datetime, ReportedItem]] = field(default_factory=deque)

    def hear(self, item: ReportedItem, at: datetime) -> None:
        """A report of the item has come."""
        self._pass(at)
        if item.back_at is not None or item in self.waiting:
            return
        asked = self._opinion(item)
        if asked is Opinion.PERSON:
            self._reopen(item, at)
        elif asked is Opinion.TRIAL:
            self.waiting.append(item)
            self._pass(at)

    def _opinion(self, item: ReportedItem) -> Opinion:
        known = {who: ReporterRecord(*self.records.get(who, (0, 0))) for who, _ in item.given}
        return opinion([Complaint(who, "", when, known[who]) for who, when in item.given], RULE)

    def _reopen(self, item: ReportedItem, at: datetime) -> None:
        item.back_at = at
        self.verdicts.append((at + JUDGED_AFTER, item))

    def _pass(self, at: datetime) -> None:
        """Verdicts that are due, and items whose turn it is by then."""
        while self.verdicts and self.verdicts[0][0] <= at:
            when, item = self.verdicts.popleft()
            for who in {who for who, said in item.given if said <= when}:
                self.records.setdefault(who, [0, 0])[0 if item.harmful else 1] += 1
            if item.harmful:
                self.trials = deque(each for each in self.trials if each[1] is not item)
        while self.trials and self.trials[0][0] <= at - RULE.window:
            self.trials.popleft()
        while self.waiting and len(self.trials) < RULE.unproven:
            item = self.waiting.popleft()
            asked = self._opinion(item)
            if asked is Opinion.TRIAL:
                self.trials.append((at, item))
            if asked is not Opinion.NOTHING:
                self._reopen(item, at)


def traffic(seed: int, *, careful: bool) -> tuple[list[ReportedItem], list[tuple[datetime, ReportedItem, str]]]:
    """The items, and the reports of them in order of time."""
    random = np.random.default_rng(seed)
    items: list[ReportedItem] = []
    said: list[tuple[datetime, ReportedItem, str]] = []

    def report_by(item: ReportedItem, group: str, among: int, count: int, since: float, hours: float) -> None:
        for who in random.choice(among, min(count, among), replace=False):
            at = START + timedelta(hours=since + float(random.random()) * hours)
            said.append((at, item, f"{group}{who}"))

    for day in range(DAYS):
        for number in range(HARMFUL + HARMLESS):
            item, born = ReportedItem(number < HARMFUL), day * 24 + float(random.random()) * 24
            items.append(item)
            count = int(random.poisson(SEEN if item.harmful else MISTAKEN))
            report_by(item, "honest", HONEST, count, born, 12)
            if careful and item.harmful and count:
                report_by(item, "brigade", BRIGADE, SQUAD, born + 1, 12)
        harmless = items[-HARMLESS:]
        for place in random.choice(HARMLESS, PICKED, replace=False):
            harmless[place].picked = True
            report_by(harmless[place], "brigade", BRIGADE, SQUAD, day * 24 + float(random.random()) * 23, 1)
    return items, sorted(said, key=lambda each: each[0])


def measure(seed: int, *, careful: bool, plain: bool) -> dict[str, float]:
    """The figures of one run."""
    items, said = traffic(seed, careful=careful)
    weighed = Weighed()
    for at, item, who in said:
        item.given.append((who, at))
        if not plain:
            weighed.hear(item, at)
        elif item.back_at is None:
            recent = {other for other, when in item.given if when >= at - RULE.window}
            item.back_at = at if len(recent) >= RULE.reopen_after else None
    back = [item for item in items if item.back_at is not None]
    late = [item for item in back if item.back_at is not None and item.back_at >= START + timedelta(days=LATE)]
    reported = [item for item in items if item.harmful and len({who for who, _ in item.given}) >= RULE.reopen_after]
    return {
        "harmful_share": sum(item.harmful for item in back) / len(back),
        "late_harmful_share": sum(item.harmful for item in late) / max(len(late), 1),
        "harmful_found": sum(item.back_at is not None for item in reported) / len(reported),
        "brigade_reopened": float(sum(item.picked for item in back)),
    }


def main() -> int:
    """Exit status 1 when a target is missed."""
    figures: dict[str, float] = {}
    for strategy in ("naive", "careful"):
        for ending, plain in (("", False), ("_plain", True)):
            runs = [measure(seed, careful=strategy == "careful", plain=plain) for seed in range(SEEDS)]
            for name in runs[0]:
                values = np.array([run[name] for run in runs])
                mean = float(values.mean())
                half = float(stats.t.ppf(0.975, SEEDS - 1) * values.std(ddof=1) / np.sqrt(SEEDS))
                key = f"{strategy}_{name}{ending}"
                ends = {"": mean, "_low": mean - half, "_high": mean + half}
                figures |= {f"{key}{end}": round(value, 3) for end, value in ends.items()}
    settings = {
        "honest": HONEST, "brigade": BRIGADE, "days": DAYS, "harmful_a_day": HARMFUL, "harmless_a_day": HARMLESS,
        "picked_a_day": PICKED, "squad": SQUAD, "reopen_after": RULE.reopen_after, "unproven": RULE.unproven,
        "seeds": SEEDS,
    }  # fmt: skip
    report("reports", figures, TARGETS, settings)
    return int(any(figures[name] < target for name, target in TARGETS.items()))


if __name__ == "__main__":
    sys.exit(main())
