"""`secondlook labels`: import labels from a file, or list labels that look wrong."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from secondlook.cli.files.content import source_name
from secondlook.cli.files.judgements import Labelling, judgement
from secondlook.cli.files.rows import NumberedRow, read_rows
from secondlook.cli.output import note, say, show_table
from secondlook.cli.progress import Meter
from secondlook.cli.terminal import errors, fail, run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.contract.events import ContentLabelled
from secondlook.common.errors import InvalidInput, RevisionReused
from secondlook.common.postgres import fetch_one
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.policies.service import PolicyService
from secondlook.trainer.data.handler import text_sha256

if TYPE_CHECKING:
    from secondlook.trainer.data.suspects import Suspect
    from secondlook.trainer.quality.figures import ScoredAnswer, SecondLookCounts

BATCH = 500
SHOWN = 20
POLL_SECONDS = 0.5
NEWEST = "SELECT coalesce(max(received), 0) FROM trainer.stored_label"
STORED = """
SELECT count(*) AS stored, count(*) FILTER (WHERE received > $3) AS new
FROM trainer.stored_label WHERE reviewer = $1 AND labelled_at = $2
"""

OTHER_TEXT = """
SELECT content_id, revision, source FROM trainer.judged_text k
JOIN unnest($1::text[], $2::text[], $3::int[], $4::bytea[]) AS t(source, content_id, revision, text_sha256)
     USING (source, content_id, revision)
WHERE k.text_sha256 <> t.text_sha256
"""


class Sampled(StrEnum):
    """How the rows of a file were chosen."""

    UNIFORM = "uniform"


app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def labels() -> None:
    """Import labels that people gave elsewhere, or list labels that look wrong to the model."""


@app.command("import")
def import_labels(
    file: Annotated[str, typer.Argument(help="JSON Lines, CSV (both also .gz) or Parquet.")],
    reviewer: Annotated[str, typer.Option(help="Pseudonym of the person who gave the labels.")] = "imported",
    source: Annotated[
        str | None, typer.Option(help="Source for rows that have none. Default: the file's name.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="Import only this label; repeat for several.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many rows.")] = None,
    text_column: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
    sample: Annotated[
        Sampled | None,
        typer.Option(help="uniform: you declare that the file is a uniform sample of the traffic (see below)."),
    ] = None,
    of: Annotated[int | None, typer.Option(min=1, help="With --sample: of how many items it was drawn.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the trainer has stored them.")] = True,
    timeout: Annotated[float, typer.Option(min=1, help="Stop waiting after this many seconds without progress.")] = 60,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Send labels to the trainer. Importing an item again with the same text replaces its labels.

    An item is its source and its id. Labels of one text are never given to another: a row whose item was in an earlier
    row, or has labels already, with another text is refused. Give it an id of its own.

    Each row has a text and `labels`: either an object that maps names to 0, 1, true or false (a label that it leaves
    out is unknown), or a list of the names that are true (with --label, the others are false). Or each --label names a
    column.

    Imported labels teach the model and certify nothing, unless you declare with --sample uniform --of N that the rows
    were drawn from N items of the traffic by chance alone. A part of them is then evidence for certificates, which say
    so; if the traffic contradicts the declaration, that is said, and they are not used.

    To import the answers of several reviewers, run this once for each, with --reviewer: the majority counts, and a tie
    is unknown. Invalid rows are listed and skipped; the exit status is then 1.
    """
    rows: Iterator[NumberedRow] = islice(read_rows(file, text_column), limit)
    drawn = None
    if (sample is None) != (of is None):
        fail("--sample uniform and --of N belong together: N is how many items the rows were drawn from")
    if of is not None:
        counted = list(rows)
        if len(counted) > of:
            fail(f"{len(counted):,} rows cannot have been drawn from {of:,} items: see --of")
        rows, drawn = iter(counted), len(counted) / of if counted else None
    every_row = Labelling(source or source_name(file), reviewer, tuple(label or ()), text_column, drawn=drawn)

    async def command() -> bool:
        workspace = find_workspace(data_dir)
        async with service_transactions(workspace, "reviewer") as transactions:
            in_force = await PolicyService(transactions).active()
        labelling = replace(every_row, known=in_force.policy.labels if in_force else ())
        async with service_transactions(workspace, "trainer") as transactions:
            mark = await transactions.database.pool.fetchval(NEWEST)
            now = transactions.clock.now()
            published, refused = await _publish(transactions, rows, labelling, now)
            say(f"published {published:,} labels, refused {refused:,} rows")
            if wait and published:
                stored, new = await _stored(transactions, (reviewer, now, mark), published, timeout)
                if stored < published:
                    note(f"the trainer has stored {stored:,} of them so far: is it running?")
                    note("it may have refused some: `secondlook dead-letters list --service trainer`")
                    return False
                say(f"the trainer has them: {new:,} are new, {published - new:,} replace earlier ones")
        return not refused

    if not run(command()):
        raise typer.Exit(1)


@app.command()
def suspects(
    limit: Annotated[int, typer.Option(min=1, help="How many to list.")] = 20,
    last: Annotated[int, typer.Option(min=1, help="How many of the newest labels to examine.")] = 50_000,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List labels that look wrong to the model.

    The least likely label comes first; nothing changes. The scores are from before the model could learn from these
    labels. After each training, the trainer sends some of the labels that look wrong back to the review queue for a
    second look. Check the others yourself, and import a correction where a label is wrong.
    """

    from secondlook.trainer.quality import figures, repository  # here: large

    async def command() -> tuple[list[tuple["ScoredAnswer", "Suspect"]], "SecondLookCounts"]:
        async with service_transactions(find_workspace(data_dir), "trainer") as transactions:
            pool = transactions.database.pool
            answers, looks = await repository.scored_answers(pool, last), await repository.second_looks(pool)
        return figures.suspects(answers, limit), looks

    found, looks = run(command())
    show_table(
        ("content", "label", "people said", "probability by the model", "second look"),
        [
            (answer.item, one.label, "yes" if one.given else "no", f"{one.score:.3f}", answer.second_look)
            for answer, one in found
        ],
        "no label looks wrong, or no label has scores yet",
    )
    if looks.asked:
        note(
            f"{looks.asked:,} second looks: {looks.answered:,} answered, "
            f"{looks.changed:,} of them with a different answer"
        )


async def _publish(
    transactions: Transactions, rows: Iterator[NumberedRow], labelling: Labelling, now: datetime
) -> tuple[int, int]:
    """Publish in batches; returns the numbers of published labels and of refused rows."""
    done = _Import(transactions)
    with Meter("imported") as meter:
        while some := list(islice(rows, BATCH)):
            meter.add(await done.send(some, labelling, now))
    if done.refused > SHOWN:
        note(f"refused {done.refused - SHOWN:,} more")
    return done.published, done.refused


@dataclass(slots=True)
class _Import:
    """What of a file was sent, and by item what its first row said: its number, its text and its labels."""

    transactions: Transactions
    published: int = 0
    refused: int = 0
    first: dict[tuple[str, str], tuple[int, bytes, dict[str, bool]]] = field(default_factory=dict)

    async def send(self, rows: Sequence[NumberedRow], labelling: Labelling, now: datetime) -> int:
        """Publish the rows that are right, and show the others. Returns how many were published."""
        found: list[tuple[int, ContentLabelled]] = []
        for number, row in rows:
            try:
                if event := self._read(number, row, labelling, now):
                    found.append((number, event))
            except InvalidInput as error:
                self._refuse(number, error)
        events = [event for _, event in found]
        other = await self._known_with_another_text(events)
        async with self.transactions.begin() as work:
            for number, event in found:
                if (event.source, event.content_id) in other:
                    self._refuse(number, _reused(event, "has labels already, which were given on another text"))
                else:
                    work.publish(event)
        self.published += len(found) - len(other)
        return len(found) - len(other)

    def _read(
        self, number: int, row: dict[str, Any] | InvalidInput, labelling: Labelling, now: datetime
    ) -> ContentLabelled | None:
        """The judgement in a row; None if an earlier row said just that."""
        if isinstance(row, InvalidInput):
            raise row
        event = judgement(number, row, labelling, now)
        said = text_sha256(event.text), event.labels
        before, *earlier = self.first.setdefault((event.source, event.content_id), (number, *said))
        if before == number:
            return event
        if earlier[0] != said[0]:
            raise _reused(event, f"was in row {before} with another text")
        if earlier[1] != said[1]:
            raise InvalidInput(f"content_id: {event.source}/{event.content_id} was in row {before} with other labels")
        return None

    async def _known_with_another_text(self, events: Sequence[ContentLabelled]) -> set[tuple[str, str]]:
        rows = await self.transactions.database.pool.fetch(
            OTHER_TEXT,
            [event.source for event in events], [event.content_id for event in events],
            [event.revision for event in events], [text_sha256(event.text) for event in events],
        )  # fmt: skip
        return {(row["source"], row["content_id"]) for row in rows}

    def _refuse(self, number: int, error: InvalidInput) -> None:
        self.refused += 1
        if self.refused <= SHOWN:
            note(f"refused row {number}: {error}")


def _reused(event: ContentLabelled, why: str) -> RevisionReused:
    what = f"{event.source}/{event.content_id}, revision {event.revision}"
    return RevisionReused(f"content_id: {what}, {why}; give this text an id of its own")


async def _stored(
    transactions: Transactions, what: tuple[str, datetime, int], wanted: int, patience: float
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
