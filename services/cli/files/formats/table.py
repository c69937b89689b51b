"""What every reader of a format gives: a table whose rows come one at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from secondlook.cli.output import shortened
from secondlook.common.errors import ConfigurationError, InvalidInput

MAX_LINE = 4 * 1024 * 1024  # characters of a line, of a cell and of an element of an array

Values = dict[str, Any]


class TableRow(NamedTuple):
    """A row, or why it cannot be read.

    `number`: the line in JSON Lines, else rows are counted from 1. `line`: where the row begins in the file, None in
    Parquet, which has no lines.
    """

    number: int
    line: int | None
    values: Values | InvalidInput

    @property
    def place(self) -> str:
        """Where to look for it: `row 7`, or `row 7 (line 9)` where they differ."""
        return f"row {self.number}" + (f" (line {self.line})" if self.line not in (None, self.number) else "")


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` are None in JSON, where each row has names of its own."""

    form: str
    columns: tuple[str, ...] | None
    rows: Iterator[TableRow]
    delimiter: str | None = None


def named_once(columns: Sequence[str], shown: str) -> tuple[str, ...]:
    """The names without blanks around them; an empty one becomes `column 3`.

    Raises:
        ConfigurationError: two columns have one name.
    """
    names = tuple(name.strip() or f"column {number}" for number, name in enumerate(columns, start=1))
    for name in names:
        if names.count(name) > 1:
            where = " and ".join(str(number) for number, other in enumerate(names, start=1) if other == name)
            raise ConfigurationError(
                f"{shown} has the column {shortened(name, 100)!r} more than once (columns {where}): rename all but one"
            )
    return names
