"""Which characters part and quote the fields of a CSV file.

The dialect is the one in which the first lines name the columns that are wanted, and in which they have as many fields
as the header. Spreadsheets, databases and csv.writer disagree on all of these characters; a file names none of them.
"""

import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

from secondlook.common.errors import ConfigurationError

USUAL = (",", "\t", ";", "|")
LINES = 64  # of the file, looked at
NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
_NEVER = "\"'\\\r\n"


class FieldReader(Protocol):
    """What csv.reader gives. `line_num`: how many lines were read."""

    @property
    def line_num(self) -> int: ...

    def __next__(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """`escape` is None where a quote in a field is doubled."""

    delimiter: str
    quote: str = '"'
    escape: str | None = None

    def rows(self, lines: Iterator[str]) -> FieldReader:
        """A csv.reader that is strict: else a quote that is never closed swallows the rest of the file."""
        return csv.reader(
            lines, delimiter=self.delimiter, quotechar=self.quote, escapechar=self.escape,
            doublequote=self.escape is None, strict=True,
        )  # fmt: skip


def delimiter_named(text: str) -> str:
    """The character that `--delimiter` names: itself, or `tab`, `comma`, `semicolon`, `pipe` or `space`.

    Raises:
        ConfigurationError: it is no single character, or one that means something else in CSV.
    """
    character = NAMES.get(text.lower(), text)
    if len(character) != 1 or character in _NEVER:
        raise ConfigurationError(f"--delimiter {text!r} is not one character; write for example ';' or tab")
    return character


def dialect_of(lines: Sequence[str], whole: bool, wanted: Collection[str], delimiter: str | None = None) -> Dialect:
    """The dialect that fits the first lines of a file best; `delimiter` if that is known already.

    `wanted`: names of columns of which the file probably has some. `whole`: the lines are all that there are.
    """
    first = next((line for line in lines if line.strip()), "")
    others = sorted({each for each in first if not (each.isalnum() or each in USUAL or each in _NEVER or each in "_ ")})
    delimiters = [delimiter] if delimiter else [*USUAL, *(each for each in others if each.isascii())]
    quotes = ['"', "'"] if first.lstrip().startswith("'") else ['"']
    escapes = [None, "\\"] if any("\\" in line for line in lines) else [None]
    candidates = [Dialect(*parts) for parts in product(delimiters, quotes, escapes)]
    return max(candidates, key=lambda dialect: _fit(dialect, lines, whole, wanted))  # of equals, the first


def _fit(dialect: Dialect, lines: Sequence[str], whole: bool, wanted: Collection[str]) -> tuple[int, bool, bool, float]:
    """How well a dialect fits: wanted columns in the header, more than one column, no errors, rows as long as it."""
    header: list[str] | None = None
    rows = fitting = 0
    sound = True
    reader = dialect.rows(iter(lines))
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            sound = sound and not whole and "unexpected end" in str(error)
            continue
        if not fields:
            continue
        if header is None:
            header = [name.strip() for name in fields]
        else:
            rows += 1
            fitting += len(fields) == len(header)
    names = header or [name.strip() for name in next(iter(lines), "").split(dialect.delimiter)]
    return len(set(wanted) & set(names)), len(names) > 1, sound, fitting / rows if rows else 1.0
