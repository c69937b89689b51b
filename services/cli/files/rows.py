"""Rows of a data file, one at a time, whatever its format, its encoding and the tool that wrote it.

The first bytes tell whether it is gzipped, the encoding and Parquet; then the name, or the first character, tells CSV,
JSON Lines or a JSON array. In place of a row that cannot be read comes an InvalidInput, so that one bad line does not
cost the rest. `-` is standard input.
"""

import gzip
import io
import shutil
import sys
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path, PurePath
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from secondlook.cli.files.formats.columnar import columnar
from secondlook.cli.files.formats.dialects import delimiter_named
from secondlook.cli.files.formats.encodings import encoding_of, text_of_file
from secondlook.cli.files.formats.json_text import json_array, json_lines
from secondlook.cli.files.formats.separated import separated
from secondlook.cli.files.formats.table import Table, TableRow
from secondlook.cli.files.names import suggestion
from secondlook.cli.files.tools.known import TEXTS, layout_of
from secondlook.cli.files.tools.layout import Layout
from secondlook.cli.output import shortened
from secondlook.common.errors import ConfigurationError, InvalidInput

NAMED = 20
SEPARATED = (".csv", ".tsv", ".tab", ".psv")
JSON = (".json", ".jsonl", ".ndjson")
GZIP = b"\x1f\x8b"
# Files that are none of ours, by their first bytes, and what to do with them.
OTHERS = {
    b"PK\x03\x04": "is a zip archive or a spreadsheet: unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "is a spreadsheet: save it as CSV",
    b"BZh": "is packed with bzip2: unpack it first",
    b"\xfd7zXZ": "is packed with xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "is packed with zstd: unpack it first",
    b"ARROW1": "is an Arrow file: save it as Parquet",
    b"Obj\x01": "is an Avro file: save it as Parquet or JSON Lines",
    b"SQLite format": "is a database: export the table as CSV",
}
START = 256  # bytes that are looked at


@dataclass(frozen=True, slots=True)
class ReadAs:
    """How somebody wants a file read; None where the file shall tell. `columns`: others that it should have.

    `judgements`: a row for each person who judged an item, else one for each item.
    """

    encoding: str | None = None
    delimiter: str | None = None
    text_column: str | None = None
    labels_column: str | None = None
    reviewer_column: str | None = None
    columns: tuple[str, ...] = ()
    judgements: bool = False


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that is being read. `layout` names the columns of text, labels and reviewer that are in use.

    `columns` are those of the header or the schema, in JSON those of the first row.
    """

    shown: str
    form: str
    encoding: str | None
    delimiter: str | None
    layout: Layout
    columns: tuple[str, ...]
    rows: Iterator[TableRow]

    def described(self) -> str:
        """In one line what was found: `CSV, cp1252, delimiter ';', written by Label Studio`."""
        parts = [self.form, (self.encoding or "").replace("utf-8-sig", "utf-8 with its mark")]
        if self.delimiter:
            parts.append(f"delimiter {'tab' if self.delimiter == chr(9) else repr(self.delimiter)}")
        if self.layout.name:
            parts.append(f"as {self.layout.name} writes it")
        return ", ".join(part for part in parts if part)


@contextmanager
def opened(path: str, wanted: ReadAs = ReadAs(), shown: str | None = None) -> Iterator[DataFile]:
    """Open a data file. Its rows are read while they are taken.

    Raises, also while rows are taken:
        ConfigurationError: the file cannot be read, is damaged, has another format than its name or first bytes tell,
            has no rows, or its header, schema or first row lacks a wanted column.
    """
    shown = shown or ("standard input" if path == "-" else path)
    with ExitStack() as stack:
        with _explained(shown):
            found = _found(path, wanted, shown, stack)
        yield replace(found, rows=_guarded(found.rows, shown))


def read_rows(path: str, wanted: ReadAs = ReadAs()) -> Iterator[TableRow]:
    """The rows of a file; raises what `opened` raises."""
    with opened(path, wanted) as file:
        yield from file.rows


def _guarded(rows: Iterator[TableRow], shown: str) -> Iterator[TableRow]:
    with _explained(shown):
        yield from rows


@contextmanager
def _explained(shown: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ConfigurationError(f"{shown} is damaged: {error}") from error
    except UnicodeError as error:  # codecs that refuse a text as a whole, like idna
        raise ConfigurationError(f"{shown} cannot be decoded: {error}; name another encoding") from error
    except OSError as error:
        raise ConfigurationError(f"cannot read {shown}: {error.strerror or error}") from error


def _found(path: str, wanted: ReadAs, shown: str, stack: ExitStack) -> DataFile:
    raw = sys.stdin.buffer if path == "-" else stack.enter_context(Path(path).open("rb"))  # noqa: SIM115
    file = _peekable(raw, stack)
    if (start := file.peek(START)[:START]).startswith(GZIP):
        file = _peekable(stack.enter_context(gzip.GzipFile(fileobj=file)), stack)
        start = file.peek(START)[:START]
    if what := next((what for mark, what in OTHERS.items() if start.startswith(mark)), None):
        raise ConfigurationError(f"{shown} {what}")
    suffix = PurePath(path.lower().removesuffix(".gz")).suffix
    encoding = None
    if start.startswith(b"PAR1") or (suffix == ".parquet" and path != "-"):
        table = columnar(file if file.seekable() and path != "-" else _copied(file, stack), shown)
    else:
        encoding = encoding_of(start, wanted.encoding, shown)
        text = text_of_file(file, encoding)
        stack.callback(text.detach)  # standard input stays open
        table = _text_table(text, encoding, suffix, start, wanted, shown)
    return _laid_out(table, encoding, wanted, shown)


def _peekable(raw: Any, stack: ExitStack) -> io.BufferedReader:
    if isinstance(raw, io.BufferedReader):
        return raw
    file = io.BufferedReader(raw)
    stack.callback(file.detach)
    return file


def _copied(file: io.BufferedReader, stack: ExitStack) -> BinaryIO:
    """A copy that can seek, as Parquet needs it; no other process can see the file."""
    copy = stack.enter_context(TemporaryFile())  # noqa: SIM115
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return cast(BinaryIO, copy)


def _text_table(text: io.TextIOWrapper, encoding: str, suffix: str, start: bytes, wanted: ReadAs, shown: str) -> Table:
    first = start.decode(encoding, "replace").lstrip(" \t\r\n\ufeff")[:1]
    delimiter = delimiter_named(wanted.delimiter) if wanted.delimiter else None
    if suffix not in SEPARATED and first == "[":
        return json_array(text, shown, encoding)
    if suffix in SEPARATED or delimiter or (suffix not in JSON and first not in ("{", "")):
        names = [wanted.text_column] if wanted.text_column else [*TEXTS]
        names += [name for name in (wanted.labels_column, wanted.reviewer_column, *wanted.columns) if name]
        return separated(text, shown, encoding, names, delimiter)
    return json_lines(text, shown, encoding)


def _laid_out(table: Table, encoding: str | None, wanted: ReadAs, shown: str) -> DataFile:
    """The file with rows as its layout unfolds them. Looks at rows until one can be read."""
    seen: list[TableRow] = []
    for row in table.rows:
        seen.append(row)
        if not isinstance(row.values, InvalidInput):
            break
    first = next((row.values for row in seen if not isinstance(row.values, InvalidInput)), {})
    layout = layout_of(table.columns or tuple(first), first)
    rows: Iterator[TableRow] = chain(seen, table.rows)
    if unfold := layout.judgements if wanted.judgements else None:
        rows = _unfolded(rows, layout, wanted.labels_column)
        wanted = replace(wanted, labels_column=None) if layout.labels_column else wanted
    elif layout.content and not wanted.judgements:
        rows = _contents(rows, layout)
    columns = table.columns or tuple(first)
    if layout.content and first and (unfold or not wanted.judgements):
        columns = tuple(layout.content(first)) + ((layout.labels_column or "",) if unfold else ())
    layout = replace(
        layout,
        text_column=wanted.text_column or layout.text_column,
        labels_column=wanted.labels_column or layout.labels_column,
        reviewer_column=wanted.reviewer_column or layout.reviewer_column,
    )
    if columns:
        _require(layout.text_column, columns, shown, "--text-column")
        if wanted.judgements:
            _require(wanted.labels_column, columns, shown, "--labels-column")
            _require(wanted.reviewer_column, columns, shown, "--reviewer-column")
    if not seen:
        raise ConfigurationError(f"no rows in {shown}")
    return DataFile(shown, table.form, encoding, table.delimiter, layout, columns, rows)


def _unfolded(rows: Iterable[TableRow], layout: Layout, question: str | None) -> Iterator[TableRow]:
    for row in rows:
        if isinstance(row.values, InvalidInput) or layout.judgements is None:
            yield row
        else:
            for values in layout.judgements(row.values, question):
                yield row._replace(values=values)


def _contents(rows: Iterable[TableRow], layout: Layout) -> Iterator[TableRow]:
    for row in rows:
        if not isinstance(row.values, InvalidInput) and layout.content is not None:
            try:
                row = row._replace(values=layout.content(row.values))
            except InvalidInput as error:
                row = row._replace(values=error)
        yield row


def _require(column: str | None, columns: Collection[str], shown: str, option: str) -> None:
    if column is not None and column not in columns:
        there = shortened(", ".join(islice(columns, NAMED)), 300) or "no columns"
        raise ConfigurationError(
            f"{shown} has no column {column!r}, only {there}; see {option}{suggestion(column, columns)}"
        )
