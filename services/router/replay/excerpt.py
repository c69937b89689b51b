"""Route the newest content on the log once more, under another policy or bundle, and count what would change.

Nothing is written, published or created.
"""

import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from secondlook.cli.output import cell, say, shortened, show_table
from secondlook.cli.progress import Meter
from secondlook.cli.workspace import find_workspace, service_transactions
from secondlook.common.bus import Bus, Record
from secondlook.common.bus.wire import decode
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.policy import Policy, Thresholds
from secondlook.common.errors import BundleRejected, InvalidInput, NotFound
from secondlook.common.postgres import Queryable
from secondlook.reviewer_api.policies.service import PolicyService
from secondlook.router.classify import Row, classify
from secondlook.router.routing import Routing
from secondlook.router.state import Model
from secondlook.trainer.registry import BundleRow, Registry

ROUTES = ("approve", "reject", "review")
TEXTS = 256  # classified at a time
RECORDS = (1, 2, 4)  # read for an item; then fewer items than asked for are replayed
LONGEST_TEXT = 500  # as far as it is shown
ACCEPTED = "SELECT count(*) FROM router.revision"  # so far

Last = Annotated[int, typer.Option(min=1, max=100_000, help="How many of the newest items to replay.")]
Show = Annotated[int, typer.Option(min=0, help="How many of the items that change to show, newest first.")]
Texts = Annotated[bool, typer.Option("--texts", help="Show their texts, too; they can be hard to read.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the same as JSON.")]

Read = Callable[[Sequence[str]], Sequence[Row | None]]


@dataclass(frozen=True, slots=True)
class System:
    """What a replay reads from. `pool` may read the tables of every service."""

    bus: Bus
    pool: Queryable
    policies: PolicyService
    registry: Registry


@asynccontextmanager
async def open_system(data_dir: Path) -> AsyncIterator[System]:
    """The running system."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))  # standard output is the report's
    workspace = find_workspace(data_dir)
    async with (
        service_transactions(workspace, "router") as router,
        service_transactions(workspace, "reviewer") as reviewer,
        service_transactions(workspace, "trainer") as trainer,
    ):
        yield System(router.bus, router.database.pool, PolicyService(reviewer), Registry(trainer.database, trainer))


def open_model(row: BundleRow, cache: Path) -> Model:
    """A bundle, as the router opens it. Raises BundleRejected, also if its files were removed."""
    from secondlook.router.model import loader  # here: it takes seconds to import

    if row.removed_at is not None:
        raise BundleRejected(f"the files of bundle {row.bundle_version} were removed")
    return loader(cache)(row.uri, row.sha256)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The newest revisions on the log, each once, in the order in which they were written, from `first` to `last`.

    `complete`: the log holds no others.
    """

    contents: Sequence[ContentSubmitted]
    first: datetime | None
    last: datetime | None
    complete: bool


async def newest(bus: Bus, items: int) -> Excerpt:
    """The newest items on the log. Withdrawals, repeats and what cannot be read do not count as items.

    Raises:
        NotFound: there are none.
        BusUnavailable: the bus cannot be reached.
    """
    for asked in (items * times for times in RECORDS):
        records = await bus.tail(ContentSubmitted.topic, asked)
        excerpt = sift(records, items, complete=len(records) < asked)
        if len(excerpt.contents) == items or excerpt.complete:
            break
    if not excerpt.contents:
        raise NotFound("there is no content on the log to replay")
    return excerpt


def sift(records: Sequence[Record], items: int, *, complete: bool) -> Excerpt:
    """The last revisions in these records. Of repeats the first counts, as for the router."""
    found: dict[tuple[str, int, str], tuple[Record, ContentSubmitted]] = {}
    for record in records:
        try:
            event = decode(record)
        except InvalidInput:
            continue
        if isinstance(event, ContentSubmitted):
            found.setdefault((event.key, event.revision, event.text), (record, event))
    kept = list(found.values())[-items:]
    first, last = (kept[0][0].written_at, kept[-1][0].written_at) if kept else (None, None)
    return Excerpt([event for _, event in kept], first, last, complete and len(found) <= items)


def read_texts(model: Model | None, meter: Meter, texts: Sequence[str]) -> list[Row | None]:
    """What the router makes of each text; None for each without a model."""
    rows: list[Row | None] = []
    for start in range(0, len(texts), TEXTS):
        part = texts[start : start + TEXTS]
        rows += classify(model, part) if model is not None else [None] * len(part)
        meter.add(len(part))
    return rows


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
class Item:
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


def remarks(policy: Policy, row: BundleRow, thresholds: Thresholds) -> list[str]:
    """What to know about routing by a policy and a bundle: why nothing, or nothing certified, is automatic."""
    unknown = sorted(set(policy.labels) - set(row.labels))
    bundle = f"bundle {row.bundle_version}"
    found = []
    if policy.kill_switch:
        found.append("the kill switch is on: everything goes to review")
    if unknown:
        found.append(f"{bundle} does not know {', '.join(unknown)}: everything goes to review until one does")
    elif policy.mode == "certified" and thresholds == Thresholds():
        found.append(f"{bundle} carries no certified thresholds: everything goes to review under it")
    if policy.mode == "fixed":
        found.append("UNCERTIFIED: thresholds are set by hand, no error rate is promised")
    return found


@dataclass(frozen=True, slots=True)
class Part:
    """So many items, and their share of all that were replayed; None of none."""

    items: int
    share: float | None

    def __str__(self) -> str:
        return f"{self.items:,}" if self.share is None else f"{self.items:,} ({self.share:.1%})"


@dataclass(frozen=True, slots=True)
class Tally:
    """What changes. `routes` counts by the route before, then by the route after. `review` is what people are asked
    about, audits of automatic decisions included. `labels` counts rejections by a label, and flips by what decides.
    """

    items: int
    routes: Mapping[str, Mapping[str, int]]
    flips: Part
    review: Mapping[str, Part]
    automatic: Mapping[str, Part]
    labels: Mapping[str, Mapping[str, int]]


def tally(items: Sequence[Item]) -> Tally:
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
    )


def part_of(items: Sequence[Item], counts: Callable[[Item], bool]) -> Part:
    """Those of the items that count."""
    number = sum(map(counts, items))
    return Part(number, number / len(items) if items else None)


@dataclass(frozen=True, slots=True)
class Report:
    """What a replay found, as `--json` prints it. `shown` are items that flip, newest first."""

    before: str
    after: str
    replayed: str
    notes: Sequence[str]
    tally: Tally
    shown: Sequence[Mapping[str, Any]]


def describe(excerpt: Excerpt, items: int, accepted: int) -> str:
    """Which items were replayed."""
    there = len(excerpt.contents)
    which = f"all {there:,} items that the log still holds" if excerpt.complete else f"the last {there:,} on the log"
    return (
        f"{items:,} of {which}, written from {cell(excerpt.first)} to {cell(excerpt.last)}; "
        f"the router has accepted {accepted:,} so far"
    )


def pick(items: Sequence[Item], show: int, texts: bool) -> list[Mapping[str, Any]]:
    """The newest items that flip; their texts only if asked for."""
    return [
        {"key": item.content.key, "revision": item.content.revision, **({"text": item.content.text} if texts else {}),
         "before": asdict(item.before), "after": asdict(item.after)}
        for item in [item for item in reversed(items) if item.flips][:show]
    ]  # fmt: skip


def present(report: Report, as_json: bool) -> None:
    """Print a report."""
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
        return
    notes = [f"note: {line}" for line in report.notes]
    for line in (f"before: {report.before}", f"after: {report.after}", f"replayed: {report.replayed}", *notes):
        say(line)
    found = report.tally
    rows = [(f"was {before}", *row.values(), sum(row.values())) for before, row in found.routes.items()]
    total = [sum(row[route] for row in found.routes.values()) for route in ROUTES]
    show_table(("", *ROUTES, "all"), [*rows, ("all", *total, found.items)], "")
    say(f"flips: {found.flips}")
    for name, parts in (("review load, with audits", found.review), ("automatic", found.automatic)):
        say(f"{name}: {parts['before']} before, {parts['after']} after")
    rows = [(label, *counts.values()) for label, counts in found.labels.items()]
    show_table(("label", "rejected before", "rejected after", "flips"), rows, "no scores, so nothing by label")
    for item in report.shown:
        before, after = item["before"], item["after"]
        now = after["scores"] or before["scores"] or {}
        was = {label: f"{p:.3f} → " for label, p in (before["scores"] or {}).items() if p != now.get(label, p)}
        listed = ", ".join(f"{label} {was.get(label, '')}{p:.3f}" for label, p in now.items())
        way = f"{before['route']} → {after['route']}"
        say(f"{item['key']} revision {item['revision']}: {way} [{listed}] {after['reason']}")
        if "text" in item:
            say(f"    {shortened(item['text'], LONGEST_TEXT)}")
