"""`secondlook labels`: import labels from a file, export them, or list labels that look wrong."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secondlook.cli.commands.label_import import ImportOrder, import_file, show_import
from secondlook.cli.files.columns import LABELS
from secondlook.cli.files.export import export_rows, time_named
from secondlook.cli.files.rows import ReadAs
from secondlook.cli.files.tables import Columns, Format
from secondlook.cli.output import note, show_table
from secondlook.cli.terminal import fail, run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions

if TYPE_CHECKING:
    from secondlook.trainer.data.suspects import Suspect
    from secondlook.trainer.quality.figures import ScoredAnswer, SecondLookCounts

JUDGEMENTS = """
SELECT {names} FROM trainer.judgement WHERE ($1::timestamptz IS NULL OR labelled_at >= $1)
ORDER BY received, label_id
"""


class Sampled(StrEnum):
    """How the rows of a file were chosen."""

    UNIFORM = "uniform"


app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def labels() -> None:
    """Import labels that people gave elsewhere, export labels, or list labels that look wrong to the model."""


@app.command("import")
def import_labels(
    file: Annotated[
        str, typer.Argument(help="CSV, JSON Lines, a JSON array (also .gz) or Parquet; - reads standard input.")
    ],
    reviewer: Annotated[str, typer.Option(help="Pseudonym of the person who gave the labels.")] = "imported",
    source: Annotated[
        str | None, typer.Option(help="Source for rows that have none. Default: the file's name.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Import only this label; NAME=THERE if the file calls it THERE. Repeat for several."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many rows.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text. Default: text.")] = None,
    labels_column: Annotated[
        str | None, typer.Option(help="Column that holds names of labels. Default: labels, else label.")
    ] = None,
    reviewer_column: Annotated[
        str | None, typer.Option(help="Column that names who gave the labels of a row, if there are several people.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="For example cp1252. Default: as the file's mark, else UTF-8.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Character between the fields of CSV, or tab. Default: as it looks.")
    ] = None,
    sample: Annotated[
        Sampled | None,
        typer.Option(help="uniform: you declare that the file is a uniform sample of the traffic (see below)."),
    ] = None,
    of: Annotated[int | None, typer.Option(min=1, help="With --sample: of how many items it was drawn.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show how the file is read, and send nothing.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the trainer has stored them.")] = True,
    timeout: Annotated[float, typer.Option(min=1, help="Stop waiting after this many seconds without progress.")] = 60,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Send labels to the trainer. Importing an item again with the same text replaces its labels.

    An item is its source and its id. Labels of one text are never given to another: a row whose item was in an earlier
    row, or has labels already, with another text is refused. Give it an id of its own.

    Each row has a text and `labels`: an object that maps names to 0, 1, true or false (a label that it leaves out, or
    that is -1, is unknown), or the names that are true, as a list or in one cell (with --label, the others are false).
    Or each --label names a column. Exports of Label Studio, Argilla and doccano and the files of Jigsaw are recognised.

    The file is read twice: first it is held against --label and against the policy in force, and nothing is sent if it
    has no such label. --dry-run ends there, and shows the first rows as they would be sent.

    Imported labels teach the model and certify nothing, unless you declare with --sample uniform --of N that the rows
    were drawn from N items of the traffic by chance alone. A part of them is then evidence for certificates, which say
    so; if the traffic contradicts the declaration, that is said, and they are not used.

    To import the answers of several reviewers, name their column with --reviewer-column, or run this once for each,
    with --reviewer: the majority counts, and a tie is unknown. Invalid rows are listed and skipped; the exit status is
    then 1.
    """
    if (sample is None) != (of is None):
        fail("--sample uniform and --of N belong together: N is how many items the rows were drawn from")
    wanted = ReadAs(
        encoding, delimiter, text_column, labels_column, reviewer_column,
        tuple(each.partition("=")[2] or each for each in label or ()), judgements=True,
    )  # fmt: skip
    order = ImportOrder(
        file=file, reviewer=reviewer, source=source, labels=tuple(label or ()), wanted=wanted, limit=limit, of=of,
        wait=wait, timeout=timeout, data_dir=Path(data_dir),
    )  # fmt: skip
    if not run(show_import(order) if dry_run else import_file(order)):
        raise typer.Exit(1)


@app.command()
def export(
    out: Annotated[str, typer.Argument(help="File to write; - writes to standard output.")] = "-",
    form: Annotated[
        Format | None, typer.Option("--format", help="Default: by the file's extension, else jsonl.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only labels from this time on: 2026-01-31 or 2026-01-31T12:00 (UTC).")
    ] = None,
    text: Annotated[bool, typer.Option(help="Write the texts, too.")] = True,
    bom: Annotated[bool, typer.Option("--bom", help="Begin a CSV file with the mark of UTF-8, for Excel.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Write all judgements to a file, in the order in which they arrived. The file appears once it is complete.

    Each has its text, its labels (true or false; what it leaves out is unknown), who gave them (a pseudonym) and when,
    the probability with which the item was chosen for judgement (empty where the sampling is unknown), the stratum that
    it was drawn from, and the scores and the bundle at routing time. `labels import` reads the file again. In CSV,
    labels and scores are JSON, and no cell is a formula: text that begins like one has an apostrophe before it.
    """

    async def command() -> None:
        names = tuple(name for name in LABELS.names if text or name != "text")
        count = await export_rows(
            JUDGEMENTS.format(names=", ".join(names)), (time_named(since),), Columns(names, LABELS.kinds),
            schema="trainer", out=out, form=form, mark=bom, data_dir=data_dir,
        )  # fmt: skip
        note(f"{count:,} judgements" if out == "-" else f"{count:,} judgements in {out}")

    run(command())


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
