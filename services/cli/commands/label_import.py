"""`secondlook labels import`: read labels that people gave elsewhere, and send them to the trainer."""

import asyncio
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile

from secondlook.cli.files.content import source_name
from secondlook.cli.files.formats.table import TableRow
from secondlook.cli.files.judgements import Labelling, judgement
from secondlook.cli.files.repeats import Repeats, reused
from secondlook.cli.files.rows import DataFile, ReadAs, opened
from secondlook.cli.files.survey import LabelSurvey, cautions, labels_column_of, require_labels, surveyed
from secondlook.cli.output import note, say, shortened, show_table
from secondlook.cli.progress import Meter
from secondlook.cli.terminal import errors
from secondlook.cli.workspace import NotRunning, find_workspace, service_transactions
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import ContentLabelled
from secondlook.common.errors import ConfigurationError, InvalidInput, Unavailable
from secondlook.common.postgres import fetch_one
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.policies.service import PolicyService
from secondlook.trainer.data.handler import text_sha256

BATCH = 500
SHOWN = 20
TEXT_SHOWN = 60
POLL_SECONDS = 0.5
NEWEST = "SELECT coalesce(max(received), 0) FROM trainer.stored_label"
STORED = """
SELECT count(*) AS stored, count(*) FILTER (WHERE received > $3) AS new
FROM trainer.stored_label WHERE reviewer = ANY($1::text[]) AND labelled_at = $2
"""

OTHER_TEXT = """
SELECT content_id, revision, source FROM trainer.judged_text k
JOIN unnest($1::text[], $2::text[], $3::int[], $4::bytea[]) AS t(source, content_id, revision, text_sha256)
     USING (source, content_id, revision)
WHERE k.text_sha256 <> t.text_sha256
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOrder:
    """What somebody asked `labels import` for. `labels`: `NAME` or `NAME=name in the file`. `of`: see `--of`."""

    file: str
    reviewer: str
    source: str | None
    labels: tuple[str, ...]
    wanted: ReadAs
    limit: int | None
    of: int | None
    wait: bool
    timeout: float
    data_dir: Path

    def asked(self) -> dict[str, str]:
        """The labels by name, and how the file calls them."""
        pairs = (label.partition("=") for label in self.labels)
        return {name.strip(): there.strip() if equals else name.strip() for name, equals, there in pairs}


async def show_import(order: ImportOrder) -> bool:
    """Show how the file would be read, and send nothing. False if rows would be refused."""
    try:
        policy = await _policy_labels(order.data_dir)
    except (NotRunning, Unavailable):
        policy = None
        note("no system is running here: the labels are not held against a policy")
    with _readable_twice(order.file) as (path, shown):
        file, labelling, survey = _survey(order, path, shown, policy, SystemClock().now())
    say(f"{shown}: {file.described()}")
    where = {"text": labelling.text_column, "labels": labelling.labels_column or "a column for each label",
             "reviewer": labelling.reviewer_column}  # fmt: skip
    say("; ".join(f"{what} in {column}" for what, column in where.items() if column))
    show_table(
        ("row", "content", "text", "labels", "reviewer"),
        [
            (row.number, f"{event.source}/{event.content_id}", shortened(event.text, TEXT_SHOWN),
             ", ".join(f"{name} {'yes' if flag else 'no'}" for name, flag in event.labels.items()), event.reviewer)
            for row, event in survey.first
        ],
        "no row can be read as a judgement",
    )  # fmt: skip
    show_table(
        ("label", "yes", "no"),
        [(name, f"{survey.yes[name]:,}", f"{survey.no[name]:,}") for name in sorted({*survey.yes, *survey.no})],
        "no labels",
    )
    for problem in survey.problems:
        note(f"refused {problem}")
    refused = survey.refused.total()
    sent = survey.read - refused - survey.repeated
    again = f"{survey.repeated:,} say what an earlier one says, " if survey.repeated else ""
    say(f"read {survey.read:,} rows: {sent:,} would be sent, {again}{refused:,} refused{_by_reason(survey)}")
    say("nothing was sent")
    return not refused


async def import_file(order: ImportOrder) -> bool:
    """Send the labels of a file. False if a row was refused, or the trainer has not stored all of them."""
    policy = await _policy_labels(order.data_dir)
    with _readable_twice(order.file) as (path, shown):
        async with service_transactions(find_workspace(order.data_dir), "trainer") as transactions:
            now = transactions.clock.now()
            _, labelling, survey = _survey(order, path, shown, policy, now)
            people = sorted(survey.people)
            del survey  # of a big file it is big, too
            mark = await transactions.database.pool.fetchval(NEWEST)
            with opened(path, order.wanted, shown) as file:
                rows = islice(file.rows, order.limit)
                published, refused = await _publish(transactions, rows, labelling, now)
            say(f"published {published:,} labels, refused {refused:,} rows")
            if order.wait and published:
                stored, new = await _stored(transactions, (people, now, mark), published, order.timeout)
                if stored < published:
                    note(f"the trainer has stored {stored:,} of them so far: is it running?")
                    note("it may have refused some: `secondlook dead-letters list --service trainer`")
                    return False
                say(f"the trainer has them: {new:,} are new, {published - new:,} replace earlier ones")
    return not refused


async def _policy_labels(data_dir: Path) -> tuple[str, ...] | None:
    async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
        in_force = await PolicyService(transactions).active()
    return tuple(in_force.policy.labels) if in_force else None


@contextmanager
def _readable_twice(file: str) -> Iterator[tuple[str, str]]:
    """The path to read, and how to call it: standard input is kept until the end, where only we can read it."""
    if file != "-":
        yield file, file
        return
    with NamedTemporaryFile(prefix="secondlook-") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield copy.name, "standard input"


def _survey(
    order: ImportOrder, path: str, shown: str, policy: tuple[str, ...] | None, now: datetime
) -> tuple[DataFile, Labelling, LabelSurvey]:
    """Read the whole file, and hold its labels against what was asked for and against the policy in force."""
    with opened(path, order.wanted, shown) as file:
        asked = order.asked() or {name: name for name in file.layout.label_columns}
        labelling = Labelling(
            order.source or source_name(order.file), order.reviewer, asked, file.layout.text_column,
            labels_column_of(file, tuple(asked.values()), order.wanted.labels_column), file.layout.reviewer_column,
            policy or (),
        )  # fmt: skip
        with errors.status("reading the file"):
            survey = surveyed(islice(file.rows, order.limit), labelling, now)
    require_labels(survey, file, labelling)
    for caution in cautions(survey, labelling, policy):
        note(caution, "yellow")
    if order.of is None:
        return file, labelling, survey
    drawn = survey.read if labelling.reviewer_column is None else len(survey.items)
    if drawn > order.of:
        raise ConfigurationError(f"{drawn:,} rows cannot have been drawn from {order.of:,} items: see --of")
    return file, replace(labelling, drawn=drawn / order.of if drawn else None), survey


def _by_reason(survey: LabelSurvey) -> str:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in survey.refused.most_common())
    return f" ({reasons})" if reasons else ""


async def _publish(
    transactions: Transactions, rows: Iterator[TableRow], labelling: Labelling, now: datetime
) -> tuple[int, int]:
    """Publish in batches; returns the numbers of published labels and of refused rows."""
    done = _Import(transactions)
    with Meter("imported") as meter:
        while some := list(islice(rows, BATCH)):
            meter.add(await done.send(some, labelling, now))
    if done.refused > SHOWN:
        note(f"refused {done.refused - SHOWN:,} more")
    if done.repeated:
        note(f"{done.repeated:,} rows say what an earlier row says, and were not sent again")
    return done.published, done.refused


@dataclass(slots=True)
class _Import:
    """What of a file was sent."""

    transactions: Transactions
    published: int = 0
    refused: int = 0
    repeated: int = 0
    repeats: Repeats = field(default_factory=Repeats)

    async def send(self, rows: Sequence[TableRow], labelling: Labelling, now: datetime) -> int:
        """Publish the rows that are right, and show the others. Returns how many were published."""
        found: list[tuple[TableRow, ContentLabelled]] = []
        for row in rows:
            try:
                if isinstance(row.values, InvalidInput):
                    raise row.values
                event = judgement(row.number, row.values, labelling, now)
                if self.repeats.is_new(row.number, event):
                    found.append((row, event))
                else:
                    self.repeated += 1
            except InvalidInput as error:
                self._refuse(row, error)
        other = await self._known_with_another_text([event for _, event in found])
        sent = 0
        async with self.transactions.begin() as work:
            for row, event in found:
                if (event.source, event.content_id) in other:
                    self._refuse(row, reused(event, "has labels already, which were given on another text"))
                else:
                    work.publish(event)
                    sent += 1
        self.published += sent
        return sent

    async def _known_with_another_text(self, events: Sequence[ContentLabelled]) -> set[tuple[str, str]]:
        rows = await self.transactions.database.pool.fetch(
            OTHER_TEXT,
            [event.source for event in events], [event.content_id for event in events],
            [event.revision for event in events], [text_sha256(event.text) for event in events],
        )  # fmt: skip
        return {(row["source"], row["content_id"]) for row in rows}

    def _refuse(self, row: TableRow, error: InvalidInput) -> None:
        self.refused += 1
        if self.refused <= SHOWN:
            note(f"refused {row.place}: {error}")


async def _stored(
    transactions: Transactions, what: tuple[list[str], datetime, int], wanted: int, patience: float
) -> tuple[int, int]:
    """Wait until `wanted` are stored, or there is no progress for `patience` seconds; returns (stored, new)."""
    before, heard = -1, time.monotonic()
    with errors.status("waiting for the trainer"):
        while True:
            row = await fetch_one(transactions.database.pool, STORED, *what)
            if row["stored"] > before:
                before, heard = row["stored"], time.monotonic()
            if row["stored"] >= wanted or time.monotonic() - heard > patience:
                return row["stored"], row["new"]
            await asyncio.sleep(POLL_SECONDS)
