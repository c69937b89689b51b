"""`secondlook decisions export`: write the decision log to a file."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, cast

import typer

from secondlook.cli.files.decisions import COLUMNS, writer_for
from secondlook.cli.output import note
from secondlook.cli.progress import Meter
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.errors import ConfigurationError
from secondlook.common.printable import printable, printable_json

Format = Literal["jsonl", "csv", "parquet"]
BATCH = 1000
READ = f"""
SELECT {", ".join(COLUMNS)} FROM reviewer.published_decision
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
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Write all decisions to a file, oldest first. The file appears once it is complete.

    The export is one snapshot and holds no content and no names. If an item has several decisions, the one with the
    highest sequence is in force.
    """

    async def command() -> None:
        start = _time(since)
        kind = form or _format_of(out)
        count = 0
        async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
            with _target(out, kind) as file, writer_for(kind, file) as write, Meter("exported") as meter:
                async with transactions.database.pool.acquire() as connection, connection.transaction(readonly=True):
                    cursor = await connection.cursor(READ, start)
                    while rows := await cursor.fetch(BATCH):
                        write([dict(row) for row in rows])
                        count += len(rows)
                        meter.add(len(rows))
        note(f"{count:,} decisions" if out == "-" else f"{count:,} decisions in {out}")

    run(command())


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"--since {text!r} is not a time; write 2026-01-31 or 2026-01-31T12:00") from error
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _format_of(out: str) -> Format:
    suffix = Path(out).suffix
    return "csv" if suffix == ".csv" else "parquet" if suffix == ".parquet" else "jsonl"


class _Shown:
    """Standard output where it is a terminal: what is exported comes from outside, and must not control it."""

    def __init__(self, kind: Format) -> None:
        self._shown = printable_json if kind == "jsonl" else lambda text: printable(text, keep="\r\n")

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(self._shown(data.decode()).encode())


@contextmanager
def _target(out: str, kind: Format) -> Iterator[BinaryIO]:
    if out == "-":
        if kind == "parquet":
            raise ConfigurationError("Parquet needs a file: secondlook decisions export FILE.parquet")
        yield cast(BinaryIO, _Shown(kind)) if sys.stdout.isatty() else sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path, part = Path(out), Path(f"{out}.part")
    special = path.exists() and not path.is_file()  # a pipe or a device: write to it, never replace it
    try:
        with (path if special else part).open("wb") as file:
            yield file
        if not special:
            os.replace(part, path)
    except ConnectionError:
        raise
    except OSError as error:
        raise ConfigurationError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
