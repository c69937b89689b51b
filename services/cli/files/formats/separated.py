"""CSV and its kin. The apostrophe is taken off that our exports put before text that begins like a formula."""

import csv
import re
from collections.abc import Collection, Iterator
from itertools import chain, islice, zip_longest
from typing import TextIO

from secondlook.cli.files.formats.cells import original
from secondlook.cli.files.formats.dialects import LINES, FieldReader, dialect_of
from secondlook.cli.files.formats.encodings import refuse_unreadable
from secondlook.cli.files.formats.table import MAX_LINE, Table, TableRow, Values, named_once
from secondlook.common.errors import ConfigurationError, InvalidInput

LONGEST_NAME = 100
_NO_NAME = re.compile(r"\s*[-+]?\d+([.,]\d+)?\s*|.*[.!?…]\s*", re.DOTALL)  # a number, or the end of a sentence


def separated(text: TextIO, shown: str, encoding: str, wanted: Collection[str], delimiter: str | None) -> Table:
    """The table of a CSV file. An empty line is no row, and cells that a short row lacks are None.

    Raises:
        ConfigurationError: the header cannot be read, names a column twice, or is a row of data.
    """
    csv.field_size_limit(MAX_LINE)
    sample = list(islice(text, LINES))
    dialect = dialect_of(sample, len(sample) < LINES, wanted, delimiter)
    reader = dialect.rows(chain(sample, text))
    header = _header(reader, shown)
    if header and not set(wanted) & {name.strip() for name in header} and _is_data(header):
        raise ConfigurationError(
            f"the first line of {shown} looks like a row, not like names of columns: "
            "put a line with the names before it, for example id,text"
        )
    columns = named_once(header, shown)
    return Table("CSV", columns, _rows(reader, columns, encoding), dialect.delimiter)


def _header(reader: FieldReader, shown: str) -> list[str]:
    while True:
        start = reader.line_num + 1
        try:
            if fields := next(reader):
                return fields
        except StopIteration:
            return []
        except csv.Error as error:
            found = f"is not CSV: {_where(start, reader.line_num)}: {_why(error)}"
            raise ConfigurationError(f"the header of {shown} {found}") from error


def _is_data(header: list[str]) -> bool:
    """Names are short, few words, and no numbers. What looks like data is never shown: it may be somebody's text."""
    return any(len(cell) > LONGEST_NAME or len(cell.split()) > 5 or _NO_NAME.fullmatch(cell) for cell in header)


def _rows(reader: FieldReader, columns: tuple[str, ...], encoding: str) -> Iterator[TableRow]:
    number = 0
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            problem = f"is not CSV: {_where(start, reader.line_num)}: {_why(error)}"
            yield TableRow(number, start, InvalidInput(problem, reason="malformed"))
            continue
        if fields:
            number += 1
            yield TableRow(number, start, _named(columns, fields, encoding))


def _named(columns: tuple[str, ...], fields: list[str], encoding: str) -> Values | InvalidInput:
    if len(fields) > len(columns):
        problem = f"has more fields than the header ({len(fields)}, not {len(columns)}); quote fields with delimiters"
        return InvalidInput(problem, reason="malformed")
    try:
        refuse_unreadable("".join(fields), encoding)
    except InvalidInput as error:
        return error
    return dict(zip_longest(columns, map(original, fields)))


def _where(start: int, end: int) -> str:
    return f"line {start}" if start == end else f"lines {start} to {end}"


def _why(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quote is opened and never closed; these lines were skipped"
    if "expected after" in str(error):
        return "a quote inside a field is not doubled, or a quote is not closed; these lines were skipped"
    return str(error)
