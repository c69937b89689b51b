"""`secondlook decisions export`: write the decision log to a file."""

from typing import Annotated

import typer

from secondlook.cli.files.columns import DECISIONS
from secondlook.cli.files.export import export_rows, time_named
from secondlook.cli.files.tables import Format
from secondlook.cli.output import note
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir

READ = f"""
SELECT {", ".join(DECISIONS.names)} FROM reviewer.published_decision
WHERE ($1::timestamptz IS NULL OR decided_at >= $1) ORDER BY decided_at, decision_id
"""  # noqa: S608

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def decisions() -> None:
    """Export the published decisions."""


@app.command()
def export(
    out: Annotated[str, typer.Argument(help="File to write; - writes to standard output.")] = "-",
    form: Annotated[
        Format | None, typer.Option("--format", help="Default: by the file's extension, else jsonl.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only decisions from this time on: 2026-01-31 or 2026-01-31T12:00 (UTC).")
    ] = None,
    bom: Annotated[bool, typer.Option("--bom", help="Begin a CSV file with the mark of UTF-8, for Excel.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Write all decisions to a file, oldest first. The file appears once it is complete.

    The export is one snapshot and holds no content and no names. If an item has several decisions, the one with the
    highest sequence is in force. In CSV no cell is a formula: text that begins like one has an apostrophe before it.
    """

    async def command() -> None:
        count = await export_rows(
            READ, (time_named(since),), DECISIONS,
            schema="reviewer", out=out, form=form, mark=bom, data_dir=data_dir,
        )  # fmt: skip
        note(f"{count:,} decisions" if out == "-" else f"{count:,} decisions in {out}")

    run(command())
