"""`secondlook labels`: import labels from a file, or list labels that look wrong."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from secondlook.cli.files.content import source_name
from secondlook.cli.files.judgements import Labelling, judgement
from secondlook.cli.files.rows import NumberedRow, read_rows
from secondlook.cli.output import note, say, show_table
from secondlook.cli.progress import Meter
from secondlook.cli.terminal import errors, run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.contract.events import ContentLabelled
from secondlook.common.errors import InvalidInput
from secondlook.common.postgres import fetch_one
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.policies.service import PolicyService

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
    wait: Annotated[bool, typer.Option(help="Wait until the trainer has stored them.")] = True,
    timeout: Annotated[float, typer.Option(min=1, help="Stop waiting after this many seconds without progress.")] = 60,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Send labels to the trainer. Importing an item again replaces its labels.

    Each row has a text and `labels`: either an object that maps names to 0, 1, true or false (a label that it leaves
    out is unknown), or a list of the names that are true (with --label, the others are false). Or each --label names a
    column.

    To import the answers of several reviewers, run this once for each, with --reviewer: the majority counts, and a tie
    is unknown. Invalid rows are listed and skipped; the exit status is then 1.
    """
    every_row = Labelling(source or source_name(file), reviewer, tuple(label or ()), text_column)
    rows = islice(read_rows(file, text_column), limit)

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
    seen: set[int] = set()
    refused = 0
    batch: list[ContentLabelled] = []
    with Meter("imported") as meter:
        for number, row in rows:
            try:
                batch.append(_read(number, row, labelling, now, seen))
            except InvalidInput as error:
                refused += 1
                if refused <= SHOWN:
                    note(f"refused row {number}: {error}")
            if len(batch) == BATCH:
                await _send(transactions, batch)
                meter.add(len(batch))
                batch = []
        await _send(transactions, batch)
    if refused > SHOWN:
        note(f"refused {refused - SHOWN:,} more")
    return len(seen), refused


def _read(
    number: int, row: dict[str, Any] | InvalidInput, labelling: Labelling, now: datetime, seen: set[int]
) -> ContentLabelled:
    if isinstance(row, InvalidInput):
        raise row
    event = judgement(number, row, labelling, now)
    if event.label_id.int in seen:
        raise InvalidInput(f"content_id: {event.content_id!r} was in an earlier row")
    seen.add(event.label_id.int)
    return event


async def _send(transactions: Transactions, batch: list[ContentLabelled]) -> None:
    async with transactions.begin() as work:
        for event in batch:
            work.publish(event)


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
