"""What commands print: plain sentences, a table on a terminal, columns in a pipe, never a control character."""

import io
import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from secondlook.cli.terminal import Terminal, console, errors
from secondlook.common.printable import printable, printable_json

PIPE_WIDTH = 2000


def say(text: str, style: str = "") -> None:
    """Print a line of the result on standard output, unwrapped; brackets in it are not markup."""
    console.print(printable(text), style=style, soft_wrap=True)


def note(text: str, style: str = "") -> None:
    """Print a line about progress or trouble on standard error."""
    errors.print(printable(text), style=style, soft_wrap=True)


def show_json(value: Any) -> None:
    """Print a value as indented JSON on standard output, in characters that no terminal takes for a command."""
    typer.echo(printable_json(json.dumps(value, indent=2, ensure_ascii=False, default=str)))


def show_lines(text: str) -> None:
    """Print lines as they are on standard output, for another program to read; only controls are escaped."""
    typer.echo(printable(text, keep="\n"), nl=False)


def shortened(text: str, length: int) -> str:
    """At most `length` printable characters of the text, with an ellipsis in place of the rest."""
    shown = printable(text[: length + 1])
    return shown if len(shown) <= length else f"{shown[: length - 1]}…"


def cell(value: object) -> str:
    """A value as text: times to the second in UTC, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    return printable(str(value))


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str, whole: Collection[str] = ()
) -> None:
    """Print rows, or the sentence `empty` if there are none. A terminal never folds the columns in `whole`."""
    if not rows:
        say(empty)
        return
    table = Table(box=SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        widest = max(cell_len(cell(row[number])) for row in rows) if column in whole else None
        table.add_column(column, overflow="fold", no_wrap=column in whole, min_width=widest)
    for row in rows:
        table.add_row(*(Text(cell(value)) for value in row))
    if console.is_terminal:
        console.print(table)
        return
    lines = io.StringIO()
    Terminal(width=PIPE_WIDTH, file=lines).print(table)
    for line in lines.getvalue().splitlines():
        say(line.rstrip())
