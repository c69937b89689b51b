"""What commands print: plain sentences, a table on a terminal, columns in a pipe, never a control character."""

import io
from collections.abc import Collection, Sequence
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from secondlook.cli.terminal import console, errors

PIPE_WIDTH = 2000


def say(text: str, style: str = "") -> None:
    """Print a line of the result on standard output, unwrapped; brackets in it are not markup."""
    console.print(printable(text), style=style, highlight=False, markup=False, soft_wrap=True)


def note(text: str, style: str = "") -> None:
    """Print a line about progress or trouble on standard error."""
    errors.print(printable(text), style=style, highlight=False, markup=False, soft_wrap=True)


def printable(text: str) -> str:
    """The text, with every character that could control a terminal escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


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
    Console(width=PIPE_WIDTH, file=lines).print(table)
    for line in lines.getvalue().splitlines():
        say(line.rstrip())
